"""The sequencer: durable events become leaves of one tree, each once, in one order; tree heads are signed.

    source ── take() ──▶ full tiles ── commit() ──▶ partial tiles, folder fsync, state.json ── publish() ──▶ checkpoint

`state.json` is the one commit of leaves and position (ingest.sequencer_state). Killed anywhere, the next sequencer goes
on from it: tiles beyond it were never published, so they are made again; an event that it covers is no second leaf. A
checkpoint is published only for a tree that state.json covers, and a sequencer that finds a published one beyond its
state (a folder restored from an old copy) refuses to sign: it would sign two histories.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from analytics.project.coverage import Coverage
from decision.journal.log_keys import Random
from decision.journal.log_settings import LogSettings
from decision.journal.merkle import leaf_hash, root_of
from decision.journal.tile_writer import DurableFolder, TileWriter
from decision.journal.tiles import TileFolder, TileNodes
from decision.model.errors import LogDamaged, LogUnavailable, NoteInvalid
from decision.model.events import CheckpointSigned
from decision.model.metrics import Sample, counter, gauge
from decision.model.ports import Clock
from ingest.sequencer_publisher import ALONE, Outside, Publisher
from ingest.sequencer_state import STATE, SequencerState, load_state

log = logging.getLogger(__name__)

NANO = 1_000_000_000
LOOKED_THROUGH = 1 << 22
"""Leaves, from the newest back, among which an event that comes again is looked for; 32 bytes of each are read."""
_LOCK = ".lock"
_CHECKPOINT_TYPE = b"airlock.v1.CheckpointSigned"


class Leaf(NamedTuple):
    """An event that is to be a leaf: its place and its exact bytes."""

    producer_id: str
    epoch: int
    seq: int
    raw: bytes


def _place(leaf: Leaf) -> tuple[int, str, int]:
    return leaf.seq, leaf.producer_id, leaf.epoch


def is_checkpoint(raw: bytes) -> bool:
    """Whether an event's bytes are a CheckpointSigned: its type stands behind its id, which comes first."""
    place = 2 + raw[1] if len(raw) > 1 else 0
    return raw[place + 2 : place + 2 + len(_CHECKPOINT_TYPE)] == _CHECKPOINT_TYPE


class Sequencer:
    """One writer a folder, which it locks. Not thread-safe, but for `samples`.

    After an exception other than LogUnavailable it is `close`d and made anew: what it holds in memory may be ahead of
    what is durable. Raises LogUnavailable (another process has the folder), LogDamaged (what lies there is not what was
    signed), SettingsError (not this log's keys), OSError.
    """

    def __init__(
        self, folder: Path, key_file: Path, source: str, settings: LogSettings, clock: Clock, random: Random,
        outside: Outside = ALONE,
    ) -> None:  # fmt: skip
        self._folder = TileFolder(folder)
        self._settings = settings
        self._clock = clock
        self._outside = outside
        self._lock = _locked(folder)
        try:
            self._files = DurableFolder(folder)
            self._publisher = Publisher(self._files, key_file, settings, clock, random, outside)
            self._state = self._checked_state(source)
            self._writer = TileWriter(self._files, self._state.size)
            self._check_root()
        except BaseException:
            self.close()
            raise
        self._coverage = Coverage(self._state.coverage)
        self._positions = dict(self._state.positions)
        self._new = self._state.size > self._publisher.published  # the last one ended between commit and publication
        self._tried_at = clock.monotonic_ns() - 3600 * NANO
        self.duplicates = self.conflicts = 0

    @property
    def origin(self) -> str:
        return self._publisher.origin

    @property
    def size(self) -> int:
        """Leaves, durable or not."""
        return self._writer.size

    @property
    def published(self) -> int:
        """The size of the newest checkpoint."""
        return self._publisher.published

    @property
    def positions(self) -> Mapping[str, int]:
        """After the events taken, by source."""
        return self._positions

    def producers(self) -> frozenset[str]:
        """Whose events are leaves."""
        return frozenset(interval.producer_id for interval in self._coverage.intervals())

    def leaf(self, index: int) -> bytes:
        """A durable leaf. Raises LogDamaged."""
        return self._folder.entry(index, self._state.size)

    def take(self, leaves: Iterable[Leaf], positions: Mapping[str, int]) -> int:
        """Append those events that are no leaves yet, in this order; `positions` stand after all of them. Returns how
        many were appended.

        An event with the place of another and other bytes becomes a leaf too: somebody has written two histories of
        one producer, and whichever came second must not vanish because of it.
        """
        offered = list(leaves)
        known = self._known(offered)
        if known:
            conflicting = self._conflicting(offered, known)
            known -= conflicting
            self.conflicts += len(conflicting)
            self.duplicates += len(known)
        fresh = [leaf.raw for place, leaf in enumerate(offered) if place not in known]
        self._writer.append(fresh)
        self._positions.update(positions)
        self._new = self._new or not all(map(is_checkpoint, fresh))
        return len(fresh)

    def _known(self, offered: Sequence[Leaf]) -> set[int]:
        """The places of those events whose (producer, epoch, seq) is a leaf already, or comes a second time."""
        seqs: dict[tuple[str, int], list[int]] = {}
        places: dict[tuple[str, int], list[int]] = {}
        for place, (producer_id, epoch, seq, _) in enumerate(offered):
            seqs.setdefault((producer_id, epoch), []).append(seq)
            places.setdefault((producer_id, epoch), []).append(place)
        return {places[key][at] for key, own in seqs.items() for at in self._coverage.take_many(*key, own)}

    def _conflicting(self, offered: Sequence[Leaf], known: set[int]) -> set[int]:
        """The places of known events whose bytes are no leaf."""
        hashes = {place: leaf_hash(offered[place].raw) for place in sorted(known)}
        missing = self._writer.unknown(hashes.values(), LOOKED_THROUGH)
        if missing:
            missing -= {leaf_hash(leaf.raw) for place, leaf in enumerate(offered) if place not in known}
        found = set()
        for place, own in hashes.items():
            if own in missing:
                missing.remove(own)
                found.add(place)
                log.error("event %d of %s, epoch %d, came again with other bytes", *_place(offered[place]))
        return found

    def due(self) -> bool:
        """Whether a checkpoint is to be published: there is something new (a CheckpointSigned event alone is not, or
        each would bring forth the next), and the interval is over."""
        waited = self._clock.monotonic_ns() - self._tried_at
        return self._new and waited >= self._settings.interval_s * NANO

    @property
    def pending(self) -> bool:
        """Whether there is something new that no checkpoint covers."""
        return self._new

    def commit(self) -> None:
        """Make leaves and positions durable."""
        self._writer.flush()
        coverage = tuple(self._coverage.intervals())
        self._state = replace(
            self._state, size=self._writer.size, root=self._writer.root(), positions=dict(self._positions),
            coverage=coverage,
        )  # fmt: skip
        self._files.replace(STATE, self._state.encode())

    def publish(self) -> bytes | None:
        """Commit, then sign and publish the head: the checkpoint, or None where it is not to be published yet."""
        self._tried_at = self._clock.monotonic_ns()
        self._state = replace(self._state, checkpoints=self._state.checkpoints + 1)
        self.commit()
        before, state = self.published, self._state
        nodes = TileNodes(self._folder, state.size)
        checkpoint = self._publisher.publish(state.size, state.root, nodes, state.checkpoints)
        if checkpoint is not None:
            self._new = False
            self._writer.drop_partial(before, state.size)
        return checkpoint

    def recognise(self, claim: CheckpointSigned) -> None:
        """Hold a checkpoint that came back among the events against this tree. Raises LogDamaged where this log's keys
        signed it for another one: the folder was restored from an old copy, or somebody else has the keys, and to sign
        on would be a second history. Checkpoints that they did not sign are anybody's word."""
        if claim.origin != self.origin:
            return
        try:
            signed = self._publisher.custody.open(claim.note.encode(errors="replace")).checkpoint
        except NoteInvalid:
            return
        if signed.size > self.published:
            raise LogDamaged(
                f"a checkpoint of {signed.size} leaves was signed with this log's key, and the folder knows "
                f"{self.published}: it was restored from an old copy",
                hint="restore the newest copy; a log that can't go on is kept as evidence, and begun anew with a new "
                "key in another folder",
                index=self.published,
            )
        if root_of(TileNodes(self._folder, self._state.size), signed.size) != signed.root:
            raise LogDamaged(
                f"a checkpoint of {signed.size} leaves was signed with this log's key for another tree",
                hint="the folder was restored from an old copy and signed on, or two have its key: keep both as "
                "evidence, and begin anew with a new key in another folder",
            )

    def close(self) -> None:
        """Give the folder back. What is not committed is taken again by the next one."""
        self._outside.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def samples(self) -> Iterable[Sample]:
        yield gauge("sequencer_events", "Events in the tree.", self.size)
        yield gauge("sequencer_published_events", "Events that the newest checkpoint covers.", self.published)
        yield counter("sequencer_checkpoints", "Checkpoints that were signed.", self._state.checkpoints)
        yield counter("sequencer_duplicates", "Events taken again that are leaves already.", self.duplicates)
        yield counter("sequencer_conflicts", "Events that came again with other bytes.", self.conflicts)
        yield gauge(
            "sequencer_cosignatures", "Witnesses that cosigned the newest checkpoint.", self._publisher.cosignatures
        )
        yield counter(
            "sequencer_unpublished_checkpoints", "Checkpoints held back because too few witnesses cosigned.",
            self._publisher.refused,
        )  # fmt: skip

    def _checked_state(self, source: str) -> SequencerState:
        found = load_state(self._folder.root)
        newest = self._publisher.newest
        if found is None:
            if newest is not None:
                raise LogDamaged(
                    f"a checkpoint of {newest.size} leaves was published, and {STATE} is missing",
                    hint="restore the log's folder from a copy: begun again, it would sign a second history",
                )
            return SequencerState(self.origin, source)
        if found.origin != self.origin or found.source != source:
            raise LogDamaged(
                f"this is the log {found.origin} of {found.source}, not {self.origin} of {source}",
                hint="name the data folder that it belongs to",
            )
        if newest is not None and newest.size > found.size:
            raise LogDamaged(
                f"a checkpoint of {newest.size} leaves was published, and {STATE} knows {found.size}",
                hint="the folder was restored from an old copy: take the newest one, or begin in a new folder",
                index=found.size,
            )
        return found

    def _check_root(self) -> None:
        """What lies there is what was kept and what was published."""
        if self._writer.root() != self._state.root:
            raise LogDamaged(f"the tiles are not those of the tree of {self._state.size} that {STATE} knows")
        newest = self._publisher.newest
        if newest is not None and root_of(TileNodes(self._folder, self._state.size), newest.size) != newest.root:
            raise LogDamaged(f"the tiles are not those of the checkpoint of {newest.size} that was published")


def _locked(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds the events
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LogUnavailable(
            f"another process writes the log in {folder}", hint="stop it, or give this one a folder of its own"
        ) from None
    return descriptor
