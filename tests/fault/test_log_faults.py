"""Every write of the log fails once, before and after it reached the disk: no leaf is lost or doubled, and every
checkpoint that was ever published is a beginning of the next."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from decision.journal import tile_writer
from decision.journal.custody import KEYS, Custody
from decision.journal.merkle import HeldNodes, consistency_proof, leaf_hash, root_of, verify_consistency
from decision.journal.tiles import TileFolder, TileNodes
from decision.model.errors import LogDamaged
from ingest.sequencer import Sequencer
from ingest.sequencer_state import STATE
from tests.support.analytics_story import story
from tests.support.tlog import leaves, sequencer

EVENTS = story(75)
STEPS = (50, 256, 300, 525)


class Broken(OSError):
    """The disk."""


class Faults:
    """Lets the `number`-th operation on the disk fail, before it is done or after."""

    def __init__(self, number: int, after: bool) -> None:
        self.left = number
        self.after = after
        self.hit = ""

    def around(self, name: str, operation: Callable[[], None]) -> None:
        self.left -= 1
        if self.left != 0:
            operation()
            return
        self.hit = name
        if self.after:
            operation()
        raise Broken(5, name)


def failing(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    for name in ("write", "sync", "remove", "remove_folder"):
        real = getattr(tile_writer.DurableFolder, name)

        def broken(self: object, *given: object, real: Callable[..., None] = real, name: str = name) -> None:
            faults.around(f"{name} {given[0] if given else ''}", lambda: real(self, *given))

        monkeypatch.setattr(tile_writer.DurableFolder, name, broken)


def grow(data_dir: Path, checkpoints: list[bytes]) -> None:
    """Go on from whatever is there to the end, with a checkpoint at each step."""
    log = sequencer(data_dir)
    try:
        for step in STEPS:
            start = log.positions.get("journal", 0)
            if step > start:
                log.take(leaves(EVENTS[start:step]), {"journal": step})
                checkpoint = log.publish()
                assert checkpoint is not None
        if log.pending:
            log.publish()
    finally:
        log.close()
        newest = TileFolder(data_dir / "log").checkpoint()
        if newest and newest not in checkpoints:
            checkpoints.append(newest)


def watched(monkeypatch: pytest.MonkeyPatch, checkpoints: list[bytes], data_dir: Path) -> None:
    """Keep every checkpoint as soon as a reader could see it."""
    real = tile_writer.DurableFolder.sync

    def seen(self: tile_writer.DurableFolder) -> None:
        newest = TileFolder(data_dir / "log").checkpoint()
        if newest and newest not in checkpoints:
            checkpoints.append(newest)
        real(self)

    monkeypatch.setattr(tile_writer.DurableFolder, "sync", seen)


def test_after_any_failed_write_the_log_goes_on_with_one_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation on the disk in turn, failed and failed-but-done."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power is cut here, and the test's disk may be slow
    held = HeldNodes([leaf_hash(event.raw) for event in EVENTS])
    kinds: set[str] = set()
    for after in (False, True):
        number = 0
        while True:
            number += 1
            data_dir = tmp_path / f"{number}-{after}"
            checkpoints: list[bytes] = []
            faults = Faults(number, after)
            with pytest.MonkeyPatch.context() as patched:
                watched(patched, checkpoints, data_dir)
                failing(patched, faults)
                with contextlib.suppress(Broken):
                    grow(data_dir, checkpoints)
            if not faults.hit:
                break
            kinds.add(faults.hit.partition("/")[0])
            grow(data_dir, checkpoints)
            check(data_dir, checkpoints, held)
    assert {"write tile", "write state.json", "write checkpoint", "write keys.json", "sync ", "remove "} <= {
        "remove " if kind.startswith("remove") else kind for kind in kinds
    }


@pytest.mark.parametrize("early", ["state before tiles", "checkpoint before state"])
def test_a_wrong_order_of_writes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: str) -> None:
    """The test has teeth: with either order exchanged some failed write leaves a log that does not go on."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    real = Sequencer.commit

    def state_first(self: Sequencer) -> None:
        ahead = replace(self._state, size=self.size, root=self._writer.root(), positions=dict(self.positions))
        self._files.replace(STATE, ahead.encode())
        real(self)

    def checkpoint_first(self: Sequencer) -> None:
        nodes = TileNodes(self._folder, self.size)
        self._publisher.publish(self.size, self._writer.root(), nodes, 1)
        real(self)

    monkeypatch.setattr(Sequencer, "commit", state_first if early.startswith("state") else checkpoint_first)
    for number in range(1, 60):
        data_dir = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patched:
            failing(patched, Faults(number, after=True))
            with contextlib.suppress(Broken):
                grow(data_dir, [])
        try:
            grow(data_dir, [])
        except LogDamaged:
            return
    pytest.fail("nobody noticed")


def check(data_dir: Path, checkpoints: list[bytes], held: HeldNodes) -> None:
    folder = TileFolder(data_dir / "log")
    custody = Custody.parse((data_dir / "log" / KEYS).read_bytes())
    heads = [custody.open(data).checkpoint for data in checkpoints]
    assert (heads[-1].size, heads[-1].root) == (len(EVENTS), root_of(held, len(EVENTS)))
    assert [raw for bundle in folder.read_entries(len(EVENTS)) for raw in bundle] == [event.raw for event in EVENTS]
    for old, new in itertools.pairwise(heads):
        verify_consistency(old.size, old.root, new.size, new.root, consistency_proof(held, old.size, new.size))
