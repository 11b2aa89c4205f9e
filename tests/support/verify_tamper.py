"""Ways of tampering with the events of a store, and with each store as its files allow it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.evidence_bundle import EVENTS
from decision.journal import frames
from decision.journal.chain import GENESIS, chain_hash
from decision.journal.tiles import CHECKPOINT, pack_entries, tile_path, unpack_entries
from tests.support.verify_stores import (
    CODEC,
    TOPIC,
    Stores,
    changed,
    encoded,
    payload,
    rechained,
    skipping,
    write_journal,
    write_kafka,
    write_log,
    write_parquet,
)


@dataclass(frozen=True)
class Item:
    """An event where it stands: `home` is its row, partition, file, bundle."""

    home: int
    raw: bytes


Edit = Callable[[list[Item], int], list[Item]]


def at(items: Sequence[Item], seq: int) -> int:
    """The place of the event of this number."""
    return next(i for i, item in enumerate(items) if CODEC.place_of(item.raw)[2] == seq)


def of(items: Sequence[Item], seq: int) -> bytes:
    return items[at(items, seq)].raw


def in_order(items: Sequence[Item]) -> list[bytes]:
    return sorted({item.raw for item in items}, key=lambda raw: CODEC.place_of(raw)[2])


def _replaced(items: list[Item], seq: int, raw: bytes) -> list[Item]:
    place = at(items, seq)
    return [*items[:place], replace(items[place], raw=raw), *items[place + 1 :]]


def _added(items: list[Item], seq: int, raw: bytes) -> list[Item]:
    place = at(items, seq)
    return [*items[: place + 1], replace(items[place], raw=raw), *items[place + 1 :]]


def edit(items: list[Item], seq: int) -> list[Item]:
    return _replaced(items, seq, changed(of(items, seq)))


def edit_two(items: list[Item], seq: int) -> list[Item]:
    return edit(edit(items, seq), seq + 1)


def renumber(items: list[Item], seq: int) -> list[Item]:
    draft, producer, epoch, _, prev = CODEC.decode(of(items, seq))
    return _replaced(items, seq, CODEC.encode(draft, producer, epoch, seq + 5_000, prev))


def rename(items: list[Item], seq: int) -> list[Item]:
    """The event says to be another producer's."""
    draft, _, epoch, _, prev = CODEC.decode(of(items, seq))
    return _replaced(items, seq, CODEC.encode(draft, "p2", epoch, seq, prev))


def relink(items: list[Item], seq: int) -> list[Item]:
    draft, producer, epoch, _, _ = CODEC.decode(of(items, seq))
    return _replaced(items, seq, CODEC.encode(draft, producer, epoch, seq, b"\x07" * 32))


def garbage(items: list[Item], seq: int) -> list[Item]:
    return _replaced(items, seq, b"\xff\xff\xff no event")


def drop(items: list[Item], seq: int) -> list[Item]:
    place = at(items, seq)
    return items[:place] + items[place + 1 :]


def drop_three(items: list[Item], seq: int) -> list[Item]:
    return drop(drop(drop(items, seq), seq + 1), seq + 2)


def copy(items: list[Item], seq: int) -> list[Item]:
    return _added(items, seq, items[at(items, seq)].raw)


def foreign(items: list[Item], seq: int) -> list[Item]:
    """The first event of a producer that nobody knows."""
    return _added(items, seq, encoded(seq, payload(1), "stranger", 1, 1, GENESIS))


def swap(items: list[Item], seq: int) -> list[Item]:
    """With the next event of the same home."""
    one = at(items, seq)
    other = next(i for i in range(one + 1, len(items)) if items[i].home == items[one].home)
    made = list(items)
    made[one], made[other] = items[other], items[one]
    return made


def fork(items: list[Item], seq: int) -> list[Item]:
    return _added(items, seq, changed(of(items, seq)))


def fork_all(items: list[Item], seq: int) -> list[Item]:
    """A whole second history from there on, beside the first."""
    second = rechained(in_order(items), seq)[seq - 1 :]
    made = items
    for number, raw in enumerate(second, seq):
        home = items[at(items, number)]
        made = [*made, replace(home, raw=raw)]
    return made


def cut(items: list[Item], seq: int) -> list[Item]:
    return [item for item in items if CODEC.place_of(item.raw)[2] < seq]


EDITS: dict[str, Edit] = {
    one.__name__: one
    for one in (
        edit, edit_two, renumber, rename, relink, garbage, drop, drop_three, copy, foreign, swap, fork, fork_all, cut,
    )
}  # fmt: skip
ANEW: dict[str, Callable[[Sequence[bytes], int], list[bytes]]] = {
    "rewrite": rechained,
    "gap": skipping,
    "truncate": lambda raws, seq: list(raws[: seq - 1]),
}
"""What makes all events anew: whoever can do that writes the whole store, with every hash that needs no key."""


# ── the stores ──────────────────────────────────────────────────────────────────────────────────────────────────────


def tamper(stores: Stores, store: str, name: str, seq: int) -> None:
    """Tamper with the event `seq` in one of the stores."""
    if name in ANEW:
        _ANEW[store](stores, ANEW[name](stores.raws, seq))
    else:
        _EDITED[store](stores, EDITS[name], seq)


def _by_home(items: Sequence[Item]) -> dict[int, list[bytes]]:
    homes: dict[int, list[bytes]] = {}
    for item in items:
        homes.setdefault(item.home, []).append(item.raw)
    return homes


def edit_journal(stores: Stores, change: Edit, seq: int) -> None:
    """By SQL, row by row; what the rows say of their events stays."""
    db = apsw.Connection(str(stores.journal / "journal.db"))
    rows = db.execute("SELECT last_seq, frames FROM batch ORDER BY last_seq").fetchall()
    items = [Item(int(str(last)), raw) for last, packed in rows for raw in frames.unpack(bytes(packed))]  # type: ignore[arg-type]
    left = _by_home(change(items, seq))
    for last, _ in rows:
        raws = left.get(int(str(last)))
        if raws is None:
            db.execute("DELETE FROM batch WHERE last_seq = ?", (last,))
        else:
            db.execute("UPDATE batch SET frames = ? WHERE last_seq = ?", (frames.pack(raws), last))
    db.close()


def edit_log(stores: Stores, change: Edit, seq: int) -> None:
    """The bundles of entries alone; tiles and checkpoint stay."""
    items, bundles, count = [], [], len(stores.raws)
    for index in range((count + 255) // 256):
        path = stores.log / tile_path(None, index, min(256, count - 256 * index))
        bundles.append(path)
        items += [Item(index, raw) for raw in unpack_entries(path.read_bytes())]
    left = _by_home(change(items, seq))
    for index, path in enumerate(bundles):
        if index in left:
            path.write_bytes(pack_entries(left[index]))
        else:
            path.unlink()


def edit_kafka(stores: Stores, change: Edit, seq: int) -> None:
    """The whole export anew, with offsets that don't show it."""
    from ingest.kafka_export import Record, read_export

    with stores.export.open("rb") as file:
        found = [Item(record.partition, record.value or b"") for record in read_export(file).records]
    records = []
    for partition, raws in sorted(_by_home(change(found, seq)).items()):
        records += [Record(TOPIC, partition, offset, 0, b"k", raw) for offset, raw in enumerate(raws)]
    write_kafka(stores.export, records)


def edit_parquet(stores: Stores, change: Edit, seq: int) -> None:
    """The segments anew, with columns that fit, and counts in the catalog as they are found."""
    files = sorted((stores.parquet / "segments" / "events").rglob("*.parquet"))
    tables = [pq.read_table(path) for path in files]
    items = [Item(index, raw) for index, table in enumerate(tables) for raw in table["raw"].to_pylist()]
    rows = {row["raw"]: row for table in tables for row in table.to_pylist()}
    left = _by_home(change(items, seq))
    for index, path in enumerate(files):
        made = [rows.get(raw) or _row(next(iter(rows.values())), raw) for raw in left.get(index, [])]
        path.chmod(0o644)
        pq.write_table(pa.Table.from_pylist(made, tables[index].schema), path, compression="zstd")
    (stores.parquet / "catalog.duckdb").unlink()


def _row(like: dict[str, object], raw: bytes) -> dict[str, object]:
    try:
        producer, epoch, seq, prev = CODEC.place_of(raw)
    except Exception:
        return {**like, "raw": raw}
    placed = {"producer_id": producer, "epoch": epoch, "seq": seq, "prev_hash": prev, "raw": raw}
    return {**like, **placed, "hash": chain_hash(prev, seq, raw)}


def edit_bundle(stores: Stores, change: Edit, seq: int) -> None:
    path = stores.root / "bundle.zip"
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    events = parts[EVENTS]
    left = [item.raw for item in change([Item(0, raw) for raw in frames.unpack(events[8:])], seq)]
    parts[EVENTS] = events[:8] + frames.pack(left)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


_EDITED: dict[str, Callable[[Stores, Edit, int], None]] = {
    "journal": edit_journal,
    "log": edit_log,
    "kafka": edit_kafka,
    "parquet": edit_parquet,
    "bundle": edit_bundle,
}


def _journal_anew(stores: Stores, raws: Sequence[bytes]) -> None:
    shutil.rmtree(stores.journal)
    write_journal(stores.journal, raws)


def _log_anew(stores: Stores, raws: Sequence[bytes]) -> None:
    """With tiles that fit; the checkpoint needs the key, so the old one stays."""
    checkpoint = (stores.log / CHECKPOINT).read_bytes()
    shutil.rmtree(stores.log)
    write_log(stores.log, raws)
    if len(raws) != len(stores.raws) - 1:  # a number that was never used is no tampering with the log: it was signed so
        (stores.log / CHECKPOINT).write_bytes(checkpoint)


def _parquet_anew(stores: Stores, raws: Sequence[bytes]) -> None:
    shutil.rmtree(stores.parquet)
    write_parquet(stores.parquet, raws)


def _kafka_anew(stores: Stores, raws: Sequence[bytes]) -> None:
    from tests.support.verify_stores import records

    write_kafka(stores.export, records(raws))


_ANEW: dict[str, Callable[[Stores, Sequence[bytes]], None]] = {
    "journal": _journal_anew,
    "log": _log_anew,
    "kafka": _kafka_anew,
    "parquet": _parquet_anew,
}


def copied(stores: Stores, root: Path) -> Stores:
    """All stores again, to be tampered with."""
    shutil.copytree(stores.root, root)
    return Stores(root, stores.raws)
