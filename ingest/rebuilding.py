"""The sources of `analytics.rebuild`: everything that a journal, its log or Kafka's topics still hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from analytics.live import StoreError
from analytics.project import DeadLetterRow
from analytics.store import AnalyticsStore, Run
from decision.journal.reader import SqliteJournalReader
from decision.journal.tiles import FOLDER as LOG_FOLDER
from decision.journal.tiles import TileFolder
from decision.model.events import AuditEvent
from ingest.alerts import Detecting
from ingest.reading import JOURNAL, read_run
from ingest.sequencer_state import load_state

_BATCH = 8_192


class JournalFeed:
    """A journal from its first event. What was pruned from it is read from the entries of its log, which begin with the
    first event; alerts are detected again. Raises StoreError where neither holds an event; JournalUnavailable."""

    def __init__(
        self,
        data_dir: Path,
        reader: SqliteJournalReader,
        detecting: Detecting | None = None,
        said: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        """`said` is told (events taken, events there are) after each batch."""
        self._data_dir = data_dir
        self._reader = reader
        self._detecting = detecting
        self._said = said
        self._pruned = self._entries()
        self._last = max(reader.head()[0], reader.base().seq)

    def __call__(self, store: AnalyticsStore) -> bool:
        after = store.position(JOURNAL)
        letters: list[DeadLetterRow] = []
        raws = next(self._pruned, None)
        if raws is not None:
            run, position = Run(JOURNAL, range(after + 1, after + 1 + len(raws)), raws), after + len(raws)
        else:
            run, position, letters = read_run(self._reader, after, _BATCH)
        if position == after:
            return False
        alerts: list[AuditEvent] = []
        if self._detecting is not None:
            alerts = self._detecting.alerts_of(run.raws)
        store.take((run,), {JOURNAL: position}, letters, alerts)
        self._said(position, self._last)
        return True

    def _entries(self) -> Iterator[list[bytes]]:
        """The events that the journal no longer holds, in order."""
        pruned = self._reader.base().seq
        if not pruned:
            return iter(())
        state = load_state(self._data_dir / LOG_FOLDER)
        size = 0 if state is None else state.size
        if size < pruned:
            raise StoreError(
                f"events 1 to {pruned} were pruned from the journal, and the log in {self._data_dir / LOG_FOLDER} "
                f"holds {size} of them: they can't be projected again",
                hint="put the log's folder back from a copy, or keep the audit store as it is",
            )
        return _batches(TileFolder(self._data_dir / LOG_FOLDER).read_entries(pruned))


def _batches(bundles: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    """Bundles of 256 as fewer, larger ones."""
    held: list[bytes] = []
    for bundle in bundles:
        held += bundle
        if len(held) >= _BATCH:
            yield held
            held = []
    if held:
        yield held
