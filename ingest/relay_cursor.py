"""How far a journal was relayed, and to where: `<data-dir>/journal/relay.json`.

Kept by a new file, fsync, rename, fsync of the folder, and only after the brokers acknowledged everything up to there:
after a kill at any moment the relay sends some events again, byte for byte the same, and none is left out.

The cursor names the chain's hash at its place and the topics by their ids: a journal restored from a backup, a topic
made again or another cluster are noticed, instead of being relayed to with a part missing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from decision.journal.chain import Head
from decision.model.errors import RelayRefused

CURSOR = "relay.json"
FORMAT = 1
AGAIN = "airlock ingest relay --again relays once more all that the journal holds"


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """Where events go: the cluster, and (name, id, partitions) of the topics of events and of approvals."""

    cluster_id: str
    topics: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class RelayCursor:
    """Everything up to `seq` was acknowledged; `hash` is the chain's there."""

    producer_id: str
    seq: int
    hash: bytes
    target: RelayTarget


class CursorFile:
    """The cursor of the journal in `folder`. One process writes it; any may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / CURSOR

    def load(self) -> RelayCursor | None:
        """None where nothing was relayed yet. Raises RelayRefused for a file that can't be understood."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            known = json.loads(text)
            if known["format"] != FORMAT:
                raise ValueError("another version's")
            topics = tuple((str(name), str(topic_id), int(count)) for name, topic_id, count in known["topics"])
            target = RelayTarget(str(known["cluster_id"]), topics)
            return RelayCursor(str(known["producer_id"]), int(known["seq"]), bytes.fromhex(known["hash"]), target)
        except (ValueError, KeyError, TypeError) as error:
            raise RelayRefused(f"{self.path} can't be understood ({error})", hint=AGAIN) from error

    def save(self, cursor: RelayCursor) -> None:
        known = {
            "format": FORMAT,
            "producer_id": cursor.producer_id,
            "seq": cursor.seq,
            "hash": cursor.hash.hex(),
            "cluster_id": cursor.target.cluster_id,
            "topics": cursor.target.topics,
        }
        staging = self.path.with_suffix(".new")
        with staging.open("w", encoding="utf-8") as file:
            json.dump(known, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self.path)
        sync_folder(self._folder)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def relayed_seq(folder: Path) -> int:
    """How far the journal in `folder` was relayed; 0 where nothing was, or the cursor can't be understood."""
    try:
        cursor = CursorFile(folder).load()
    except RelayRefused:
        return 0
    return 0 if cursor is None else cursor.seq


def begin_at(
    cursor: RelayCursor | None, producer_id: str, base: Head, head_seq: int, found: bytes | None, target: RelayTarget
) -> RelayCursor:
    """Where the relay goes on, given where the journal begins (`base`) and ends, the hash that it has at the cursor's
    place (None: it has none), and the topics as they are. Raises RelayRefused where going on would hide something."""
    if cursor is None:
        return RelayCursor(producer_id, base.seq, base.hash, target)
    if cursor.producer_id != producer_id:
        raise RelayRefused(
            f"the journal is producer {producer_id!r}'s, what was relayed from here is {cursor.producer_id!r}'s",
            hint=f"give each journal a data folder of its own; or {AGAIN}",
        )
    if head_seq < cursor.seq:
        raise RelayRefused(
            f"the journal ends at event {head_seq}, but events up to {cursor.seq} were relayed from it: it was "
            "restored from a backup, and new events would take the places of others",
            hint="move the journal and the file producer-id aside, as evidence, and start anew: see docs/kafka.md",
        )
    if base.seq > cursor.seq:
        raise RelayRefused(
            f"events {cursor.seq + 1} to {base.seq} were pruned from the journal before they were relayed",
            hint="look for the segments of that time in the audit store; to go on without them: " + AGAIN,
        )
    if found != cursor.hash:
        raise RelayRefused(
            f"event {cursor.seq} of the journal is not the one that was relayed: the journal was exchanged or changed",
            hint="airlock verify says more; keep both as evidence and start anew, docs/kafka.md",
        )
    if cursor.target != target:
        raise RelayRefused(
            f"{_difference(cursor.target, target)}: it lacks the events up to {cursor.seq}",
            hint=f"go back to the former one; or {AGAIN}",
        )
    return cursor


def _difference(before: RelayTarget, now: RelayTarget) -> str:
    if before.cluster_id != now.cluster_id:
        return "this is another Kafka cluster than the one that events were relayed to"
    names_before = {name: (topic_id, count) for name, topic_id, count in before.topics}
    for name, topic_id, count in now.topics:
        if name not in names_before:
            return f"the topic {name} is another than the one that events were relayed to"
        known_id, known_count = names_before[name]
        if known_id != topic_id:
            return f"the topic {name} was deleted and made again since events were relayed to it"
        if known_count != count:
            return f"the topic {name} had {known_count} partitions and has {count}, so keys go elsewhere"
    return "the topics are others than those that events were relayed to"
