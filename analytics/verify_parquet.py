"""The events in the analytics store, as its readers see them: Parquet segments and the newest rows in the catalog file.

Of each row the exact bytes are checked as everywhere, and that the columns beside them which place the event (producer,
epoch, seq and the two hashes) say the same. Rows claim no order. Where there is no catalog file, all Parquet files
below the folder are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.catalog import CATALOG
from analytics.verify_entries import Entries, Fetch, Look, Progress, Recent, Report, choose, named
from analytics.verify_ledger import Ledger
from analytics.verify_retention import unlike_the_ledger
from decision.journal.chain import Head
from decision.journal.codec import EventCodec
from decision.journal.verify_core import Finding, Place, Tampering
from decision.model.errors import AirlockError

_BATCH = 8_192
_COLUMNS = ("producer_id", "epoch", "seq", "prev_hash", "hash", "raw")
_DAY_NS, _GRACE_NS = 86_400_000_000_000, 60_000_000_000
_DAMAGE = (pa.ArrowException, OSError, ValueError, MemoryError)
_LETTERS = "reason IN ('conflict', 'undecodable') AND raw IS NOT NULL AND origin NOT LIKE '%.alerts.%'"


class StoreMissing(AirlockError):
    """There are no segments and no catalog file in the folder."""

    code = "analytics_store_missing"


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of rows; `rows` is what the catalog says of it, None if there is no catalog. `letters`: it holds dead
    letters, events that were set aside. `hot`: the catalog's own newest rows, read together with its list of files, as
    a running writer replaces it."""

    path: Path
    rows: int | None
    letters: bool = False
    hot: pa.Table | None = None


def check_parquet(
    ledger: Ledger,
    store: str,
    folder: Path,
    codec: EventCodec,
    progress: Progress | None = None,
    look: Look | None = None,
) -> tuple[Report, dict[str, Head]]:
    """Check the analytics store in `folder` (or a folder of its segments). Raises StoreMissing.

    With the report: from where on each producer's events are all here, where retention took earlier ones away.
    """
    entries = Entries(ledger, store, codec)
    found: list[Finding] = []
    try:
        parts, since = _parts(folder)
    except duckdb.Error as error:
        why = Finding(Tampering.EDITED, f"the catalog can't be read: {_first_line(error)}").at(str(folder / CATALOG))
        return Report(store, str(folder), finding=why), {}
    total = sum(part.rows or 0 for part in parts)
    for number, part in enumerate(parts):
        try:
            _take(entries, part, number, found, look)
        except FileNotFoundError:
            found.append(
                Finding(Tampering.DROPPED, f"the segment {part.path.name} is missing", place=Place(number, -1))
            )
        except (*_DAMAGE, duckdb.Error) as error:
            message = f"the file can't be read: {_first_line(error)}"
            found.append(Finding(Tampering.EDITED, message, place=Place(number, -1)))
        if progress is not None:
            progress(entries.taken, total)
    entries.flush()
    checked = ledger.check(store)
    found += unlike_the_ledger(folder)
    broken = entries.unreadable or next((one for one in found if one.what is Tampering.EDITED), None)
    fetch = partial(_fetch, parts)
    on_its_way, expired = Recent(codec, entries.newest_ns, fetch), Expired(codec, ledger, store, fetch, since)
    finding, waiting = choose(checked, broken, found, lambda hole: expired(hole) or on_its_way(hole))
    if finding is not None:
        finding = named(finding, codec, fetch, partial(_where, parts))
    waiting -= expired.holes
    notes = [f"{waiting} holes of the last minute: their events are on their way"] if waiting else []
    if since is not None:
        notes.append(f"complete since {since}: what is older has expired")
    report = Report(
        store, str(folder), checked.events, checked.copies, checked.producers, finding=finding, notes=tuple(notes),
        words=partial(_where, parts),
        fetch=fetch,
    )  # fmt: skip
    return report, expired.bases


@dataclass(slots=True)
class Expired:
    """Whether a hole is what retention left: it begins before the day since when all events are here (a minute of
    grace, as events of midnight don't stand in the order of their times), and not within a day, as days expire whole.
    `bases`: where each producer goes on."""

    codec: EventCodec
    ledger: Ledger
    store: str
    fetch: Fetch
    since: date | None
    holes: int = 0
    bases: dict[str, Head] = field(default_factory=dict)

    def __call__(self, hole: Finding) -> bool:
        if self.since is None:
            return False
        limit = datetime.combine(self.since, time.min, UTC) + timedelta(minutes=1)
        before = self.ledger.links(self.store, hole.producer_id, hole.seq - 1)
        raw = self.fetch(before[0].place) if before else None
        begins = None if raw is None else self.codec.decode(raw)[0].time_unix_nano
        if begins is not None and begins >= limit.timestamp() * 1e9:
            return False
        number = self.ledger.number(hole.producer_id)
        ((seq, prev_hash, epoch, part, spot),) = self.ledger.ask(
            f"SELECT seq, prev_hash, epoch, part, spot FROM {self.store} WHERE producer = ? AND seq > ? "
            "ORDER BY seq LIMIT 1",
            [number, hole.seq],
        )
        behind = self.fetch(Place(part, spot))
        if begins is not None and behind is not None:
            ends = self.codec.decode(behind)[0].time_unix_nano
            if (begins - _GRACE_NS) // _DAY_NS == (ends + _GRACE_NS) // _DAY_NS:
                return False
        self.bases[hole.producer_id] = Head(seq - 1, bytes(prev_hash), epoch)
        self.holes += 1
        return True


def _fetch(parts: Sequence[_Part], place: Place) -> bytes | None:
    row = 0
    with contextlib.suppress(*_DAMAGE, duckdb.Error):
        for batch in _batches(parts[place.part]) if place.spot >= 0 else ():
            if place.spot - row < len(batch):
                raw: bytes | None = batch.column("raw")[place.spot - row].as_py()
                return raw
            row += len(batch)
    return None


def _where(parts: Sequence[_Part], place: Place) -> str:
    name = parts[place.part].path.name
    return name if place.spot < 0 else f"{name}, row {place.spot}"


def _parts(folder: Path) -> tuple[list[_Part], date | None]:
    """What holds events: as the catalog lists it, else what there is; and the day since when that is all of them."""
    catalog = folder / CATALOG
    if catalog.exists():
        with duckdb.connect(str(catalog), read_only=True) as connection:
            listed = connection.execute(
                "SELECT table_name, path, rows FROM meta.segments WHERE table_name IN ('events', 'dead_letters') "
                "ORDER BY table_name DESC, day, path"
            ).fetchall()
            hot = connection.sql(f"SELECT {', '.join(_COLUMNS)} FROM hot.events").to_arrow_table()
            since = connection.execute(
                "SELECT max(complete_since) FROM meta.retention WHERE table_name = 'events'"
            ).fetchone()
        parts = [
            _Part(_here(folder, path, table), rows if table == "events" else None, table != "events")
            for table, path, rows in listed
        ]
        return [*parts, _Part(catalog, None, hot=hot)], since[0] if since else None
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise StoreMissing(
            f"there are no events in {folder}", hint="name the analytics folder, or one of Parquet files"
        )
    named = {path: path.relative_to(folder).as_posix() for path in files}
    if any("day=" in name for name in named.values()):
        whole = {path: f"/{name}" for path, name in named.items()}
        events = [path for path in files if "/events/" in whole[path]]
        letters = [path for path in files if "/dead_letters/" in whole[path]]
        if not events and not letters:  # the folder of one table
            events = files
    else:
        events, letters = files, []
    return [_Part(path, None) for path in events] + [_Part(path, None, True) for path in letters], None


def _here(folder: Path, path: str, table: str) -> Path:
    """The segment in this folder, wherever the store was when the catalog was written."""
    _, found, relative = path.rpartition(f"/{table}/")
    return folder / "segments" / table / relative if found else Path(path)


def _take(entries: Entries, part: _Part, number: int, found: list[Finding], look: Look | None) -> None:
    row = 0
    for batch in _batches(part):
        raws = batch.column("raw").to_pylist()
        if None in raws:
            missing = row + raws.index(None)
            found.append(Finding(Tampering.EDITED, "the row has no event", place=Place(number, missing)))
            raws = [raw or b"" for raw in raws]
        taken = entries.take(raws, number, range(row, row + len(raws)), look)
        if taken == len(raws) and not part.letters and not found:
            _compare(entries, batch, taken, Place(number, row), found)
        row += len(raws)
    if part.rows is not None and row < part.rows:
        found.append(Finding(Tampering.DROPPED, f"{part.rows - row} rows are missing", place=Place(number, row)))


def _batches(part: _Part) -> Iterator[pa.RecordBatch]:
    if part.hot is not None:
        yield from part.hot.to_batches(_BATCH)
        return
    if part.letters:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET VARIABLE letters = ?", [str(part.path)])
            query = f"SELECT raw FROM read_parquet(getvariable('letters')) WHERE {_LETTERS}"
            yield from connection.sql(query).to_arrow_reader(_BATCH)
        return
    with pq.ParquetFile(part.path) as file:
        yield from file.iter_batches(_BATCH, columns=list(_COLUMNS), use_threads=False)


def _compare(entries: Entries, batch: pa.RecordBatch, taken: int, start: Place, found: list[Finding]) -> None:
    """Hold the columns beside the last `taken` events against what their bytes say."""
    numbers, epochs, seqs, befores, hashes = (
        entries.links[0][-taken:], entries.links[1][-taken:], entries.links[2][-taken:], entries.links[3][-taken:],
        entries.links[4][-taken:],
    )  # fmt: skip
    number = entries.ledger.producers.get
    wanted: dict[str, Sequence[object]] = {
        "producer_id": numbers, "epoch": epochs, "seq": seqs, "prev_hash": befores, "hash": hashes,
    }  # fmt: skip
    for column, values in wanted.items():
        said: list[object] = batch.column(column).to_pylist()
        if column == "producer_id":
            said = [number(str(name), -1) for name in said]
        if said != values:
            index = next(i for i, (one, other) in enumerate(zip(said, values, strict=True)) if one != other)
            found.append(
                Finding(
                    Tampering.EDITED, f"the column {column} is not what the event's bytes say",
                    entries.ledger.name(numbers[index]), epochs[index], seqs[index],
                    Place(start.part, start.spot + index),
                )
            )  # fmt: skip
            return


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
