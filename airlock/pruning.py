"""The journal loses what everybody has: a task of the process that writes it.

With Kafka everybody is the relay: what it sent is on several brokers. Alone, everybody is the audit store and, unless
it is turned off, the tamper-evident log: both keep every event's bytes. Nothing that one of them lacks ever goes, so
where one is away the journal grows to its quota, and then statements are denied until it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from airlock.host import Host
from airlock.settings import Settings
from analytics.settings import FOLDER as ANALYTICS
from decision.clock import SystemClock
from decision.journal.pruning import PruneRules, PruneWish
from decision.journal.reader import SqliteJournalReader
from decision.journal.sqlite import SqliteJournal
from decision.journal.tiles import FOLDER as LOG
from decision.journal.tiles import TileFolder
from decision.model.errors import AirlockError, JournalUnavailable
from decision.model.ports import Clock
from decision.wire.envelope import APPROVALS, about
from decision.wire.events import ProtobufEventCodec
from ingest.relay_cursor import CursorFile, sync_folder
from ingest.sequencer_state import load_state
from ingest.status import read_status

log = logging.getLogger(__name__)

FULL_S = 1.0
"""How often a full journal is looked at: statements wait for it."""
_MARGIN_S = 3_600.0
"""So much longer than an approval lives are its events kept: clocks are set."""
_JOURNAL = "journal"


def taken_by_all(settings: Settings, *, relayed: bool) -> int:
    """The last event of the journal that all who read it have durably; 0 where one of them has not begun, or has taken
    another journal's: one restored from a backup, or begun anew beside what the former one left."""
    data_dir = settings.data_dir
    if not (data_dir / _JOURNAL).exists():
        return 0
    reader = SqliteJournalReader(data_dir / _JOURNAL, ProtobufEventCodec())
    try:
        if relayed:
            return _relayed(data_dir / _JOURNAL, reader)
        projected = _projected(data_dir / ANALYTICS)
        taken = min(projected, _logged(data_dir / LOG, reader)) if settings.log.enabled else projected
        return taken if projected <= reader.head()[0] else 0
    except AirlockError:
        return 0  # whose journal, cursor or log can't be read says so itself
    finally:
        reader.close()


def _relayed(folder: Path, reader: SqliteJournalReader) -> int:
    cursor = CursorFile(folder).load()
    if cursor is None or reader.hash_at(cursor.seq) != cursor.hash:
        return 0
    sync_folder(folder)  # the cursor that was read here is the one that a power cut leaves
    return cursor.seq


def _projected(folder: Path) -> int:
    status = read_status(folder)
    return 0 if status is None or status.error else status.position


def _logged(folder: Path, reader: SqliteJournalReader) -> int:
    state = load_state(folder)
    seq = 0 if state is None else state.positions.get(_JOURNAL, 0)
    if state is None or not seq:
        return 0
    leaf = TileFolder(folder).entry(state.size - 1, state.size)
    newest = reader.read_raw(seq - 1, 1)
    # Pruned already, it was compared then; what comes after it is this journal's only if the log goes on with it.
    same = newest[0] == (seq, leaf) if newest and newest[0][0] == seq else seq == reader.base().seq
    return seq if same else 0


def rules_of(settings: Settings, *, relayed: bool) -> PruneRules:
    """Approvals are replayed from the journal where it is their order; with Kafka they come from their topic."""
    journal = settings.journal
    if relayed:
        return PruneRules(journal.keep_s, journal.kept_bytes)
    return PruneRules(journal.keep_s, journal.kept_bytes, APPROVALS, settings.decision.approval_expires_s + _MARGIN_S)


class Pruner:
    """`taken` says what all have; it is asked in a thread, because it reads files."""

    def __init__(self, journal: SqliteJournal, rules: PruneRules, taken: Callable[[], int], clock: Clock) -> None:
        self._journal = journal
        self._rules = rules
        self._taken = taken
        self._clock = clock
        self._codec = ProtobufEventCodec()

    async def step(self) -> int:
        """Delete all that may go, a little at a time: commits go on in between. Returns the number of events."""
        through, gone = await asyncio.to_thread(self._taken), 0
        wish = PruneWish(self._rules, through, self._clock.time_unix_nano(), self._codec, about)
        while through and (some := await self._journal.prune_oldest(wish)):
            gone += some
        return gone

    async def run(self, every_s: float) -> None:
        """Until cancelled, or the journal fails or is closed."""
        waited = every_s
        while True:
            if waited >= every_s or self._journal.stats().full:
                waited = 0.0
                try:
                    if gone := await self.step():
                        log.info("%d events left the journal: everybody has them", gone)
                except JournalUnavailable:
                    return  # which says so itself
                except OSError as error:
                    log.warning("the journal can't be pruned now: %s", error)
            await asyncio.sleep(FULL_S)
            waited += FULL_S


def begin_pruning(host: Host, settings: Settings, journal: SqliteJournal, *, relayed: bool) -> Pruner:
    """Prune `journal` for as long as the host runs; `relayed`: its events go to Kafka. Call it after the journal's own
    closing was pushed on the host, so that this ends first."""
    rules = rules_of(settings, relayed=relayed)
    pruner = Pruner(journal, rules, lambda: taken_by_all(settings, relayed=relayed), SystemClock())
    task = asyncio.get_running_loop().create_task(pruner.run(settings.journal.prune_s))

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    host.stack.push_async_callback(end)
    return pruner
