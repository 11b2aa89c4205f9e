"""The log of one journal (the embedded form): event number n is leaf n - 1.

    LogThread(data_dir, settings).start() … .stop()      beside the projection, in its process

What goes wrong ends the keeper, is logged, and is tried again from what is durable; the projection goes on.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from decision.clock import SystemClock
from decision.journal.codec import EventCodec
from decision.journal.log_keys import KEY_FILE, Random
from decision.journal.log_settings import LogSettings
from decision.journal.reader import SqliteJournalReader
from decision.journal.tiles import FOLDER
from decision.model.errors import AirlockError, LogDamaged
from decision.model.metrics import Sample
from decision.model.ports import Clock
from decision.wire.events import ProtobufEventCodec
from ingest.sequencer import Leaf, Sequencer
from ingest.sequencer_outside import outside_of

log = logging.getLogger(__name__)

SOURCE = "journal"
BATCH = 4_096
POLL_S = 0.2
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


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
        self._reader = reader
        self._codec = codec
        self._batch = batch
        self._producer = next(iter(sequencer.producers()), "")
        self._check_end()

    def step(self) -> bool:
        """Take what is new, publish if it is due. Returns whether there is surely more to take."""
        more = self._take()
        if self.sequencer.due():
            self.sequencer.publish()
        return more

    def finish(self) -> None:
        """Take the rest and publish it."""
        while self._take():
            pass
        if self.sequencer.pending:
            self.sequencer.publish()

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
        return len(found) >= self._batch

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
    key_file, outside = data_dir / KEY_FILE, outside_of(settings, clock)
    sequencer = Sequencer(data_dir / FOLDER, key_file, SOURCE, settings, clock, random, outside)
    try:
        return LogKeeper(sequencer, reader, codec)
    except BaseException:
        sequencer.close()
        raise


class LogThread:
    """A keeper on a thread of its own, which begins again after a failure. `running` tells whether it holds the log."""

    def __init__(
        self, data_dir: Path, settings: LogSettings, clock: Clock | None = None, random: Random = os.urandom
    ) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._clock = clock or SystemClock()
        self._random = random
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._keeper: LogKeeper | None = None
        self.failures = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Publish what is new, then end; what takes longer is left to the next start."""
        self._stopping.set()
        self._thread.join(timeout_s)

    @property
    def running(self) -> bool:
        return self._keeper is not None

    def samples(self) -> Iterable[Sample]:
        keeper = self._keeper
        return () if keeper is None else keeper.sequencer.samples()

    def _run(self) -> None:
        pause_s, said = FIRST_PAUSE_S, ""
        while not self._stopping.is_set():
            try:
                self._keep()
                return
            except (AirlockError, OSError, ValueError) as error:
                self.failures += 1
                message = error.message if isinstance(error, AirlockError) else f"{type(error).__name__}: {error}"
                if message != said:
                    log.error("the log stands still: %s (%s)", message, getattr(error, "hint", ""))
                said = message
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _keep(self) -> None:
        keeper = self._keeper = open_keeper(self._data_dir, self._settings, self._clock, self._random)
        try:
            more = True
            while not self._stopping.wait(0.0 if more else POLL_S):
                more = keeper.step()
            keeper.finish()
        finally:
            self._keeper = None
            keeper.sequencer.close()
