"""The tables of events that have a form: what they share taken from the forms, what is their own from their bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics import ddl
from analytics.columns import arrays_of, repeated, to_arrow
from analytics.forms import CHANGES, Form, Group
from analytics.project import Row
from analytics.project.fold import micros
from analytics.project.statements import changes
from decision.journal.chain import chain_hash
from decision.model.events import PinnedValue

Tables = dict[str, pa.Table]

_ALONE = frozenset({"events", "decisions", "executions", "session_starts", "session_ends"})
"""Tables with exactly one row an event."""


def _text(values: Sequence[Any]) -> pa.Array:
    """Checked before: no value is anything but UTF-8 (analytics.forms.demand_text)."""
    return pa.array(values, pa.binary()).view(pa.string())


def _hex(values: Sequence[Any]) -> pa.Array:
    return pa.array([value.hex() for value in values], pa.string())


def _integer(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.int64())


def _blob(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.binary())


def _milliseconds(values: Sequence[Any]) -> pa.Array:
    return pa.array([value / 1e6 for value in values], pa.float64())


def _microseconds(values: Sequence[Any]) -> pa.Array:
    return pa.array([value / 1000 for value in values], pa.float64())


Convert = Callable[[Sequence[Any]], pa.Array]
_COLUMNS: dict[str, dict[str, tuple[str, Convert]]] = {
    "statement_decided": {
        "decision_id": ("decision_id", _text),
        "session_id": ("session_id", _text),
        "statement_digest": ("statement_digest", _hex),
        "parameters_digest": ("parameters_digest", _hex),
        "latency_us": ("latency_ns", _microseconds),
        "parse_decision_id": ("parse_decision_id", _text),
        "client_address": ("client.address", _text),
    },
    "statement_executed": {
        "decision_id": ("decision_id", _text),
        "session_id": ("session_id", _text),
        "command_tag": ("command_tag", _text),
        "rows": ("rows", _integer),
        "bytes": ("bytes", _integer),
        "duration_ms": ("duration_ns", _milliseconds),
        "masked_cells": ("masked_cells", _integer),
    },
    "session_opened": {"session_id": ("session_id", _text), "client_address": ("client.address", _text)},
    "session_closed": {
        "session_id": ("session_id", _text),
        "duration_ms": ("duration_ns", _milliseconds),
        "statements": ("statements", _integer),
        "bytes_in": ("bytes_in", _integer),
        "bytes_out": ("bytes_out", _integer),
    },
}
"""Payload to the columns, in whichever of its tables, that are an event's own: the own value and how it is shown."""


class _Events:
    """Events of some layouts, brought into the order of their times."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.times = list(chain.from_iterable(self._of(group, "time_unix_nano", 0) for group in groups))
        order = sorted(range(len(self.times)), key=self.times.__getitem__)
        self._pick: Callable[[Sequence[Any]], Sequence[Any]] = (
            itemgetter(*order) if len(order) > 1 else lambda values: values
        )
        self.times = list(self._pick(self.times))
        self.forms: Sequence[Form] = self._pick(list(chain.from_iterable(group.forms for group in groups)))

    def __len__(self) -> int:
        return len(self.times)

    @staticmethod
    def _of(group: Group, path: str, absent: Any) -> Sequence[Any]:
        if path in group.integers:
            return group.integers[path]
        return group.values.get(path) or [absent] * len(group.numbers)

    def values(self, path: str, absent: Any) -> Sequence[Any]:
        """An own value of each event; `absent` where its field is not there, which protobuf reads as that."""
        return self._pick(list(chain.from_iterable(self._of(group, path, absent) for group in self.groups)))

    def numbers(self) -> Sequence[int]:
        return self._pick(list(chain.from_iterable(group.numbers for group in self.groups)))

    def cuts(self) -> Sequence[tuple[bytes, ...]]:
        return self._pick(list(chain.from_iterable(group.cuts for group in self.groups)))


def tables_of(groups: Sequence[Group], raws: Sequence[bytes]) -> Tables:
    """The rows of all events of `groups`. `raws` are the bytes of the whole batch, by the events' numbers."""
    if not groups:
        return {}
    made: Tables = {"events": _events(_Events(groups), raws)}
    by_kind: dict[str, list[Group]] = {}
    for group in groups:
        by_kind.setdefault(group.layout.kind, []).append(group)
    for kind, several in by_kind.items():
        found = _Events(several)
        forms = _numbered(found.forms)
        tables = dict.fromkeys(table for form in forms for table in form.rows if table != "events")
        times = _times(found.times)
        for table in tables:
            made[table] = _table(table, kind, found, forms, times)
        if any(form.changes for form in forms):
            made |= to_arrow({CHANGES: _changes(found)})
    return made


def _numbered(forms: Sequence[Form]) -> list[Form]:
    """Each form once; its `slot` is its place here."""
    distinct = list({id(form): form for form in forms}.values())
    for slot, form in enumerate(distinct):
        form.slot = slot
    return distinct


def _times(unix_nano: Sequence[int]) -> pa.Array:
    if min(unix_nano) >= 0 and micros(max(unix_nano)) == max(unix_nano) // 1000:
        found = pc.divide(pa.array(unix_nano, pa.int64()), 1000)
    else:
        found = pa.array([micros(time) for time in unix_nano], pa.int64())
    return found.view(pa.timestamp("us", "UTC"))


def _events(found: _Events, raws: Sequence[bytes]) -> pa.Table:
    bytes_of = [raws[number] for number in found.numbers()]
    seqs, previous = found.values("seq", 0), found.values("prev_hash", b"")
    own = {
        "time": _times(found.times),
        "event_id": _text(found.values("id", b"")),
        "seq": _integer(seqs),
        "correlation_id": _text(found.values("correlation_id", b"")),
        "causation_id": _text(found.values("causation_id", b"")),
        "time_unix_nano": _integer(found.times),
        "trace_id": _hex(found.values("trace_id", b"")),
        "span_id": _hex(found.values("span_id", b"")),
        "prev_hash": _blob(previous),
        "hash": _blob([chain_hash(*one) for one in zip(previous, seqs, bytes_of, strict=True)]),
        "raw": _blob(bytes_of),
    }
    forms = _numbered(found.forms)
    return _filled("events", [form.rows["events"][0] for form in forms], own, [form.slot for form in found.forms])


def _table(table: str, kind: str, found: _Events, forms: Sequence[Form], times: pa.Array) -> pa.Table:
    """One fact table of events of one kind."""
    rows = [row for form in forms for row in form.rows.get(table, ())]
    schema = ddl.arrow_schemas()[table]
    own: dict[str, pa.Array] = {"time": times}
    for column, (path, convert) in _COLUMNS[kind].items():
        if column in schema.names:
            absent: Any = 0 if convert in (_integer, _milliseconds, _microseconds) else b""
            own[column] = convert(found.values(path, absent))
    if table in _ALONE:
        return _filled(table, rows, own, [form.slot for form in found.forms])
    spans, at = [], 0
    for form in forms:
        count = len(form.rows.get(table, ()))
        spans.append(range(at, at + count))
        at += count
    of_event = [spans[form.slot] for form in found.forms]
    which = pa.array(list(chain.from_iterable(map(repeat, range(len(found)), map(len, of_event)))), pa.int32())
    own = {column: array.take(which) for column, array in own.items()}
    return _filled(table, rows, own, list(chain.from_iterable(of_event)))


def _filled(
    table: str, rows: Sequence[tuple[object, ...]], own: Mapping[str, pa.Array], taken: Sequence[int]
) -> pa.Table:
    """Rows `taken` of `rows`, with the columns of `own` in the place of theirs."""
    schema = ddl.arrow_schemas()[table]
    shared = arrays_of(rows, schema)
    which = pa.array(taken, pa.int32())
    arrays = []
    for field, array in zip(schema, shared, strict=True):
        if field.name in own:
            arrays.append(own[field.name].cast(field.type) if own[field.name].type != field.type else own[field.name])
        elif len(rows) == 1:
            arrays.append(repeated(array, len(taken)))
        else:
            arrays.append(array.take(which))
    return pa.Table.from_arrays(arrays, schema=schema)


def _changes(found: _Events) -> list[Row]:
    rows: list[Row] = []
    for time, form, cut, decision_id in zip(
        found.times, found.forms, found.cuts(), found.values("decision_id", b""), strict=True
    ):
        if form.changes:
            pinned = list(form.pinned)
            for index, place in form.macs:
                known = pinned[index]
                pinned[index] = PinnedValue(
                    known.statement_index, known.schema, known.table, known.column, known.role, cut[place]
                )
            rows += changes(micros(time), decision_id.decode(), pinned, form.facts)
    return rows
