"""The links of any number of events, in any order, checked in bounded memory.

A store gives its events as it has them: partitions one after the other, files in any order, several producers at once.
Of each event only its link is kept (producer, epoch, seq, two hashes, its place: about 100 bytes) in a scratch DuckDB
file; DuckDB sorts links by producer and number, on disk where its memory limit doesn't suffice, and gives back only
those that don't continue the one before. decision.journal.verify_core says what is wrong with these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from decision.journal.chain import GENESIS, Head
from decision.journal.verify_core import Finding, Link, Place, Tampering, judge

_KEPT = 32
_MOST = 10_000
_SCHEMA = pa.schema(
    [("producer", pa.int32()), ("epoch", pa.int64()), ("seq", pa.int64()), ("prev_hash", pa.binary()),
     ("hash", pa.binary()), ("part", pa.int64()), ("spot", pa.int64())]
)  # fmt: skip
_COLUMNS = "producer, epoch, seq, prev_hash, hash, part, spot"


@dataclass(frozen=True, slots=True)
class Checked:
    """`events` are the different ones; `copies` those that were there already, byte by byte, the first of them at
    `copied`. `findings`: producer by producer, made as they are taken and before the ledger is asked anything else."""

    events: int
    copies: int
    producers: int
    copied: Place | None
    findings: Iterator[Finding]


class Ledger:
    """A scratch file in `folder`, which the caller removes. Not thread-safe."""

    def __init__(self, folder: Path, memory_limit: str = "512MB") -> None:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": memory_limit,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
        }
        self._db = duckdb.connect(str(folder / "links.duckdb"), config=settings)
        self.producers: dict[str, int] = {}
        self._names: list[str] = []

    def close(self) -> None:
        self._db.close()

    def name(self, number: int) -> str:
        return self._names[number]

    def number(self, producer_id: str) -> int:
        found = self.producers.get(producer_id)
        if found is None:
            found = self.producers[producer_id] = len(self._names)
            self._names.append(producer_id)
        return found

    def insert(self, store: str, columns: Sequence[Sequence[object]]) -> None:
        rows = pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
        )
        self._db.register("incoming", rows)
        self._db.execute(f"INSERT INTO {store} FROM incoming")
        self._db.unregister("incoming")

    def open(self, store: str) -> None:
        types = "producer INTEGER, epoch BIGINT, seq BIGINT, prev_hash BLOB, hash BLOB, part BIGINT, spot BIGINT"
        self._db.execute(f"CREATE OR REPLACE TABLE {store} ({types})")

    def holds(self, store: str) -> bool:
        """Whether anything was taken of it."""
        there = self.ask("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [store])
        return bool(there) and bool(self.ask(f"SELECT 1 FROM {store} LIMIT 1"))

    # ── one store ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, store: str, bases: Mapping[str, Head] | None = None, *, anchored: bool = True) -> Checked:
        """Check each producer's chain in `store`. `bases`: where chains begin that don't begin at their genesis.
        `anchored` false: a part of the events, whose chains may begin and have holes anywhere."""
        self.set_bases(bases or {})
        links = self._lagging(store)
        broken = "seq <> seq_before + 1 OR prev_hash <> hash_before OR epoch < epoch_before"
        if not anchored:  # what is here must fit together
            broken = "first IS NULL AND (seq = seq_before OR seq = seq_before + 1 AND "
            broken += "(prev_hash <> hash_before OR epoch < epoch_before))"
        copy = "seq = seq_before AND hash = hash_before"
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE bad AS SELECT producer, seq, hash, part, spot, {copy} AS copy "
            f"FROM ({links}) WHERE {copy} OR {broken}"
        )
        total, producers = self._row(f"SELECT count(*), count(DISTINCT producer) FROM {store}")
        (copies,) = self._row("SELECT count(*) FROM bad WHERE copy")
        again = self._db.execute("SELECT part, spot FROM bad WHERE copy ORDER BY part, spot LIMIT 1").fetchone()
        return Checked(
            total - copies,
            copies,
            producers,
            None if again is None else Place(*again),
            self._judged(store, bases or {}),
        )

    def set_bases(self, bases: Mapping[str, Head]) -> None:
        """Where chains begin, as the table `base`."""
        self._db.execute("CREATE OR REPLACE TEMP TABLE base (producer INTEGER, seq BIGINT, hash BLOB, epoch BIGINT)")
        for producer_id, head in bases.items():
            self._db.execute(
                "INSERT INTO base VALUES (?, ?, ?, ?)", [self.number(producer_id), head.seq, head.hash, head.epoch]
            )

    @staticmethod
    def _lagging(store: str) -> str:
        """Each link beside the one before it; `first` is null behind the first of a producer."""
        return (
            f"SELECT l.*, coalesce(lag(l.seq) OVER w, b.seq, 0) AS seq_before, "
            f"coalesce(lag(l.hash) OVER w, b.hash, '{_sql(GENESIS)}'::BLOB) AS hash_before, "
            f"coalesce(lag(l.epoch) OVER w, b.epoch, 0) AS epoch_before, "
            f"CASE WHEN lag(l.seq) OVER w IS NULL THEN true END AS first "
            f"FROM {store} l LEFT JOIN base b ON b.producer = l.producer "
            f"WINDOW w AS (PARTITION BY l.producer ORDER BY l.seq, l.hash, l.part, l.spot)"
        )

    def _judged(self, store: str, bases: Mapping[str, Head]) -> Iterator[Finding]:
        """Judge the links that don't fit, with their neighbours, one after the other as they are asked for."""
        rows = self._db.execute(
            f"SELECT producer, seq, hash FROM bad WHERE NOT copy ORDER BY producer, seq LIMIT {_MOST}"
        ).fetchall()
        for producer, seq, digest in rows:
            alike = self._at(store, producer, f"seq = {seq}")
            here = next(link for link in alike if link.hash == digest)
            if len(alike) > 1:
                yield self._fork(store, producer, alike)
                continue
            before = self._at(store, producer, f"seq < {seq}", "seq DESC, hash DESC")
            after = self._at(store, producer, f"seq = {seq + 1}")
            voucher = None
            if after:
                voucher = next((link.prev_hash for link in after if link.prev_hash == here.hash), after[0].prev_hash)
            base = bases.get(here.producer_id)
            finding = judge(before[0] if before else None, here, voucher, base)
            if finding is not None:
                yield self._moved(store, finding, before[0].hash if before else base.hash if base else GENESIS)

    def _moved(self, store: str, finding: Finding, hash_before: bytes) -> Finding:
        """Where an event is missing and one elsewhere goes on from the same place, that one's number was edited."""
        if finding.what is not Tampering.DROPPED:
            return finding
        row = self._db.execute(
            f"SELECT producer, epoch, seq, part, spot FROM {store} WHERE prev_hash = ? LIMIT 1", [hash_before]
        ).fetchone()
        if row is None:
            return finding
        producer, _, seq, part, spot = row
        message = f"it says to be event {seq} of {self._names[producer]!r}, and continues event {finding.seq - 1}"
        return replace(finding, what=Tampering.EDITED, message=message, place=Place(part, spot))

    def _fork(self, store: str, producer: int, alike: Sequence[Link]) -> Finding:
        """Of different events under one number, name the one that nothing vouches for, else the later one."""
        vouched = {link.prev_hash for link in self._at(store, producer, f"seq = {alike[0].seq + 1}")}
        doubtful = [link for link in alike if link.hash not in vouched] or list(alike)
        bad = max(doubtful, key=lambda link: link.place)
        return Finding(
            Tampering.FORKED, f"{len(alike)} different events have this number",
            bad.producer_id, bad.epoch, bad.seq, bad.place,
        )  # fmt: skip

    def _at(self, store: str, producer: int, where: str, order: str = "seq, hash") -> list[Link]:
        """A few links, the different ones."""
        rows = self._db.execute(
            f"SELECT epoch, seq, prev_hash, hash, min({{'part': part, 'spot': spot}}) AS place FROM {store} "
            f"WHERE producer = {producer} AND {where} GROUP BY ALL ORDER BY {order} LIMIT {_KEPT}"
        ).fetchall()
        name = self._names[producer]
        return [Link(name, epoch, seq, bytes(prev), bytes(digest), Place(**place))
                for epoch, seq, prev, digest, place in rows]  # fmt: skip

    def disorder(self, store: str) -> Finding | None:
        """The first event of a producer that stands behind a later one in its part; copies that were delivered again
        don't count."""
        row = self._db.execute(
            f"WITH once AS (SELECT producer, epoch, seq, part, min(spot) AS spot FROM {store} GROUP BY ALL), "
            f"beside AS (SELECT *, max(seq) OVER (PARTITION BY producer, part ORDER BY spot "
            f"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached FROM once) "
            f"SELECT producer, epoch, seq, part, spot, reached FROM beside WHERE seq < reached "
            f"ORDER BY producer, seq LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        producer, epoch, seq, part, at, reached = row
        return Finding(
            Tampering.REORDERED, f"it stands behind event {reached}", self._names[producer], epoch, seq, Place(part, at)
        )

    # ── for others ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(query, list(values)).fetchall()

    def links(self, store: str, producer_id: str, seq: int) -> list[Link]:
        """What `store` has under that number."""
        return self._at(store, self.number(producer_id), f"seq = {seq}")

    def _row(self, query: str) -> tuple[int, ...]:
        row = self._db.execute(query).fetchone()
        assert row is not None
        return tuple(row)


def _sql(blob: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in blob)
