"""One fact as an Iceberg table: made, extended by new columns, appended to together with its position.

Rows and position are one commit of the table: the position stands in the summary of the snapshot that brought the rows
(`airlock.position`), so whoever reads the newest snapshot knows which events it holds, however the last writer ended.
Where nothing was to be appended it stands in the table's properties, with the snapshot it was said of. A rollback of
the table to an earlier snapshot thus brings the position back with it, and what was rolled back is appended again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analytics import ddl
from analytics.iceberg_position import Position
from analytics.segments import split_by_day

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

KEY = "airlock.position"
_ROW_GROUP = 65_536
PROPERTIES = {
    "format-version": "2",
    # Another commit in between means another writer: rows must not be appended again on top of it unseen.
    "commit.retry.num-retries": "0",
    "write.parquet.compression-codec": "zstd",
}


class IcebergFact:
    """The table of the fact `name` in `namespace`. Raises pyiceberg's errors and OSError."""

    def __init__(self, catalog: Catalog, namespace: str, name: str) -> None:
        self.name = name
        self.schema = _documented(name)
        self._table = self._opened(catalog, (namespace, name))
        if new := set(self.schema.names) - set(self._table.schema().column_names):
            with self._table.update_schema() as update:
                update.union_by_name(pa.schema([field for field in self.schema if field.name in new]))
        self.position = self._read_position()

    def _opened(self, catalog: Catalog, identifier: tuple[str, str]) -> Table:
        """The table, made by day in one commit where there is none."""
        from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
        from pyiceberg.transforms import DayTransform

        with suppress(NoSuchTableError):
            return catalog.load_table(identifier)
        properties = {**PROPERTIES, "comment": ddl.facts()[self.name].comment}
        with (
            suppress(TableAlreadyExistsError),
            catalog.create_table_transaction(identifier, self.schema, properties=properties) as making,
            making.update_spec() as spec,
        ):
            spec.add_field("time", DayTransform(), "day")
        return catalog.load_table(identifier)

    # ── the position ────────────────────────────────────────────────────────────────────────────────────────────────

    def _lineage(self) -> Iterator[Snapshot]:
        """The current snapshot and those before it, as far as they were kept."""
        snapshot = self._table.current_snapshot()
        while snapshot is not None:
            yield snapshot
            parent = snapshot.parent_snapshot_id
            snapshot = None if parent is None else self._table.snapshot_by_id(parent)

    def _read_position(self) -> Position:
        lineage = list(self._lineage())
        found = Position()
        said = next((s.summary[KEY] for s in lineage if s.summary is not None and s.summary[KEY]), None)
        if said is not None:
            found = Position.from_text(str(said))
        if (text := self._table.properties.get(KEY)) is not None:
            record = json.loads(text)
            if self._still_holds(record["snapshot"], lineage, said is not None):
                found = found.with_(Position.from_text(json.dumps(record["spans"])))
        return found

    def _still_holds(self, of: int | None, lineage: list[Snapshot], told: bool) -> bool:
        """Whether what the properties said of snapshot `of` is true of the current one: that one descends from it, or
        all of its time were expired (then no summary tells anything either)."""
        if of is None:
            return not lineage
        if any(snapshot.snapshot_id == of for snapshot in lineage):
            return True
        return not told and self._table.snapshot_by_id(of) is None

    # ── appending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, rows: pa.Table, piece: Position) -> None:
        """Append `rows`, all that `piece` makes in this table, in one commit with the position."""
        after = self.position.with_(piece)
        paths = [self._write(part, day.isoformat(), piece) for day, part in split_by_day(rows)]
        with self._table.transaction() as change:
            change.add_files(paths, snapshot_properties={KEY: after.to_text()}, check_duplicate_files=False)
        self.position = after

    def passed(self, piece: Position) -> None:
        """`piece` makes no row here; said by `note` at the end."""
        self.position = self.position.with_(piece)

    def note(self) -> None:
        """Keep the position in the properties too: for events without rows, and for when snapshots are expired."""
        current = self._table.current_snapshot()
        spans = json.loads(self.position.to_text())
        text = json.dumps({"snapshot": None if current is None else current.snapshot_id, "spans": spans})
        if self._table.properties.get(KEY) != text:
            with self._table.transaction() as change:
                change.set_properties({KEY: text})

    def _write(self, rows: pa.Table, day: str, piece: Position) -> str:
        """One file of one day. Its name follows from what it holds: written again after a kill it is the same file."""
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        digest = hashlib.sha256(f"{self.position.to_text()} {piece.to_text()}".encode()).hexdigest()[:32]
        path = f"{self._table.location().rstrip('/')}/data/day={day}/{digest}.parquet"
        wanted = schema_to_pyarrow(self._table.schema(), include_field_ids=True)
        columns = [_column(rows, field) for field in wanted]
        table = pa.Table.from_arrays(columns, schema=wanted)
        with (
            self._table.io.new_output(path).create(overwrite=True) as stream,
            pq.ParquetWriter(stream, wanted, compression="zstd", compression_level=3) as writer,
        ):
            writer.write_table(table, row_group_size=_ROW_GROUP)
        return path

    def files(self) -> list[str]:
        """The data files of the current snapshot."""
        return sorted(task.file.file_path for task in self._table.scan().plan_files())

    @property
    def rows(self) -> int:
        snapshot = self._table.current_snapshot()
        total = None if snapshot is None or snapshot.summary is None else snapshot.summary["total-records"]
        return int(total or 0)

    @property
    def location(self) -> str:
        return str(self._table.metadata_location)


def _documented(name: str) -> pa.Schema:
    """The fact's Arrow schema, each column with its documentation."""
    texts = {column.name: column.comment for column in ddl.facts()[name].columns}
    return pa.schema([field.with_metadata({"doc": texts[field.name]}) for field in ddl.arrow_schemas()[name]])


def _column(rows: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    if field.name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    return rows[field.name].cast(field.type)
