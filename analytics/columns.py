"""Rows as Arrow tables, column by column."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from analytics import ddl
from analytics.project import Row, Rows

_FEW = 8


def to_arrow(rows: Rows) -> dict[str, pa.Table]:
    """The rows of each table."""
    return {
        table: pa.Table.from_arrays(arrays_of(members, ddl.arrow_schemas()[table]), schema=ddl.arrow_schemas()[table])
        for table, members in rows.items()
        if members
    }


def arrays_of(rows: Sequence[Row] | Sequence[tuple[object, ...]], schema: pa.Schema) -> list[pa.Array]:
    columns = zip(*rows, strict=True)
    return [_array(column, field.type) for column, field in zip(columns, schema, strict=True)]


def _array(column: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Lists are converted once for equal ones, and a column of one value once for all: most of what is known of a
    statement is known of the ones before it, and a nested value costs ten times a lookup."""
    if pa.types.is_nested(kind):
        places: dict[object, int] = {}
        taken = [places.setdefault(value, len(places)) for value in column]
        distinct = pa.array(list(places), kind)
        return distinct.take(pa.array(taken, pa.int32())) if len(places) > 1 else repeated(distinct, len(column))
    first = column[0]
    if first == column[-1] and len(column) > _FEW and column.count(first) == len(column):
        return repeated(pa.array([first], kind), len(column))
    return pa.array(column, kind)


def repeated(one: pa.Array, times: int) -> pa.Array:
    """The only value of `one`, so often."""
    return one if times == 1 else one.take(pa.repeat(0, times))


def joined(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The rows of both."""
    both = {**one, **other}
    for table in one.keys() & other.keys():
        both[table] = pa.concat_tables([one[table], other[table]])
    return both
