"""The log of one journal (the embedded form): event number n is leaf n - 1.

LogThread(data_dir, settings).start() … .stop()      beside the projection, in its process
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from decision.clock import SystemClock
from decision.journal.codec import EventCodec
from decision.journal.log_keys import KEY_FILE, Random
from decision.journal.log_settings import LogSettings
from decision.journal.reader import SqliteJournalReader
from decision.journal.tiles import FOLDER
from decision.model.errors import LogDamaged
from decision.model.ports import Clock
from decision.wire.events import ProtobufEventCodec
from ingest.sequencer import Leaf, Sequencer
from ingest.sequencer_outside import outside_of
from ingest.sequencer_thread import KeeperThread

SOURCE = "journal"
BATCH = 4_096
POLL_S = 0.2


class RawReader(Protocol):
    """What is needed of a journal."""

    def read_raw(self, after_seq: int, limit: int) -> Sequence[tuple[int, bytes]]: ...

    def head(self) -> tuple[int, bytes]: ...


class LogKeeper:
    """Feeds a sequencer from one journal. `step()` does what is due. Not thread-safe.

    Raises what the sequencer raises, and LogDamaged where the journal is not the one that the log has, ends before it,
    or was pruned beyond it.
    """

    def __init__(self, sequencer: Sequencer, reader: RawReader, codec: EventCodec, batch: int = BATCH) -> None:
        self.sequencer = sequencer
        self.poll_s = POLL_S
        self.behind = 0
        self._reader = reader
        self._codec = codec
        self._batch = batch
        self._producer = next(iter(sequencer.producers()), "")
        self._check_end()

    def step(self) -> bool:
        """Take what is new, publish if it is due. Returns whether there is surely more to take."""
        more = self._take()
        self.behind = self._reader.head()[0] - self.sequencer.size if more else 0
        if self.sequencer.due():
            self.sequencer.publish()
        return more

    def finish(self) -> None:
        """Take the rest and publish it."""
        while self._take():
            pass
        if self.sequencer.pending:
            self.sequencer.publish()

    def close(self) -> None:
        self.sequencer.close()

    def _take(self) -> bool:
        size = self.sequencer.size
        found = self._reader.read_raw(size, self._batch)
        if not found:
            return False
        if found[0][0] != size + 1:
            raise LogDamaged(
                f"events {size + 1} to {found[0][0] - 1} were pruned from the journal before the log had them",
                hint="restore the journal from a copy; prune only what `airlock log show` counts as published",
                index=size,
            )
        self.sequencer.take([self._leaf(seq, raw) for seq, raw in found], {SOURCE: found[-1][0]})
        return True  # fewer than asked for may be for their bytes, too

    def _leaf(self, seq: int, raw: bytes) -> Leaf:
        producer_id, epoch, own, _ = self._codec.place_of(raw)
        self._producer = self._producer or producer_id
        if (producer_id, own) != (self._producer, seq):
            raise LogDamaged(
                f"event {seq} of the journal says that it is {own} of {producer_id}; the log is of {self._producer}",
                hint="verify the journal with `airlock verify`",
                index=seq - 1,
            )
        return Leaf(producer_id, epoch, seq, raw)

    def _check_end(self) -> None:
        """The journal goes on where the log ends."""
        size = self.sequencer.size
        if not size:
            return
        head = self._reader.head()[0]
        if head < size:
            raise LogDamaged(
                f"the journal ends at event {head}, the log has {size}: its end was cut off",
                hint="restore the journal from a newer copy; keep this one as evidence",
                index=head,
            )
        newest = self._reader.read_raw(size - 1, 1)
        if newest and newest[0][0] == size and newest[0][1] != self.sequencer.leaf(size - 1):
            raise LogDamaged(
                f"event {size} of the journal is not the leaf that the log has",
                hint="this is another journal, or it was rewritten: `airlock verify` names the first bad event",
                index=size - 1,
            )


def open_keeper(data_dir: Path, settings: LogSettings, clock: Clock, random: Random) -> LogKeeper:
    """The keeper of the log of `data_dir`'s own journal."""
    codec = ProtobufEventCodec()
    reader = SqliteJournalReader(data_dir / "journal", codec)
    key_file, outside = data_dir / KEY_FILE, outside_of(settings)
    sequencer = Sequencer(data_dir / FOLDER, key_file, SOURCE, settings, clock, random, outside)
    try:
        return LogKeeper(sequencer, reader, codec)
    except BaseException:
        sequencer.close()
        raise


class LogThread(KeeperThread):
    """The log of `data_dir`'s own journal on a thread beside the projection."""

    def __init__(
        self, data_dir: Path, settings: LogSettings, clock: Clock | None = None, random: Random = os.urandom
    ) -> None:
        super().__init__(data_dir / FOLDER, lambda: open_keeper(data_dir, settings, clock or SystemClock(), random))
