"""Events that are alike but for their own values: recognised by their bytes, their rows made once.

A `Form` is what the plain fold made of one event: the rows of every event that has the same stretches between its own
values (analytics.layouts). A `Group` are the events of one layout in a batch, cut but not yet looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from analytics.layouts import Layout, NoLayout, learn
from analytics.project import ProjectionError
from analytics.project.document import MessageFacts, message_facts
from analytics.project.fold import envelope, payload_rows
from analytics.project.rows import TABLE_OF
from analytics.project.statements import writes
from decision.model.events import AuditEvent, PinnedValue, StatementDecided, UnknownPayload
from decision.wire.raw import unsigned

_MOST_FORMS = 8_192
_MOST_BYTES = 48 * 1024 * 1024
_TELLING = 60
"""Where a payload's name begins to differ from others': `airlock.v1.Statement` stands before it."""
CHANGES = "column_changes"

Cut = tuple[bytes, ...]


class Unfit(Exception):
    """An own value is not what its field holds: the event has to be decoded as a whole."""


@dataclass(slots=True, eq=False)
class Form:
    """`rows` by table, as the plain fold makes them. `pinned` and `facts` are there where rows of column_changes follow
    from the event's own values; `macs` are the places of those. `slot` is its number in the batch at hand."""

    producer: tuple[str, int]
    rows: dict[str, list[tuple[object, ...]]]
    pinned: tuple[PinnedValue, ...] = ()
    macs: tuple[tuple[int, int], ...] = ()
    facts: MessageFacts | None = None
    changes: bool = False
    slot: int = -1


@dataclass(slots=True, eq=False)
class Known:
    """A layout, the forms that have it by their stretches, and the events of the batch at hand that have it."""

    layout: Layout
    shape: tuple[tuple[str, int, int], ...]
    forms: dict[Cut, Form] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    found: list[Form] = field(default_factory=list)

    def take(self) -> Group:
        """The batch's events; they are forgotten here. Raises Unfit: then they are still here."""
        group = Group(self.layout, self.numbers, self.cuts, self.found)
        self.drop()
        return group

    def drop(self) -> list[int]:
        """The numbers of the batch's events, which are forgotten."""
        numbers = self.numbers
        self.numbers, self.cuts, self.found = [], [], []
        return numbers


class Group:
    """Events of one layout: their numbers in the batch, their parts, their forms. Raises Unfit."""

    def __init__(self, layout: Layout, numbers: list[int], cuts: list[Cut], forms: list[Form]) -> None:
        self.layout = layout
        self.numbers = numbers
        self.cuts = cuts
        self.forms = forms
        columns = list(zip(*cuts, strict=True))
        self.values: dict[str, Sequence[bytes]] = {}
        self.integers: dict[str, list[int]] = {}
        for own in layout.own:
            column = columns[own.place]
            if own.varint:
                self.integers[own.path] = varints(column, own.size)
            else:
                if own.text:
                    demand_text(column)
                self.values[own.path] = column

    def without(self, dropped: set[int]) -> Group | None:
        """The group without some events; None if nothing is left."""
        kept = [place for place, number in enumerate(self.numbers) if number not in dropped]
        if len(kept) == len(self.numbers):
            return self
        if not kept:
            return None
        return Group(
            self.layout,
            [self.numbers[place] for place in kept],
            [self.cuts[place] for place in kept],
            [self.forms[place] for place in kept],
        )


class FormBook:
    """The forms that are known. Bounded: when it is full it begins anew."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], list[Known]] = {}
        self._forms = 0
        self._bytes = 0

    def sort(self, number: int, raw: bytes) -> bool:
        """Whether the event has a known form: it is kept for `groups` then."""
        if len(raw) <= _TELLING:
            return False
        for known in self._by_size.get((len(raw), raw[_TELLING]), ()):
            cut = known.layout.unpack(raw)
            form = known.forms.get(cut[::2])
            if form is not None:
                known.numbers.append(number)
                known.cuts.append(cut)
                known.found.append(form)
                return True
        return False

    def groups(self) -> list[Known]:
        """The layouts that events were sorted to since they were last taken. Of equally long ones the most frequent are
        tried first from now on."""
        for several in self._by_size.values():
            if len(several) > 1:
                several.sort(key=lambda known: -len(known.numbers))
        return [known for several in self._by_size.values() for known in several if known.numbers]

    def learn(self, event: AuditEvent) -> None:
        """Remember the form of an event that none had, if it is of a kind that has any."""
        raw = event.raw
        if len(raw) <= _TELLING or isinstance(event.payload, UnknownPayload):
            return
        try:
            layout = learn(raw)
            form = _form(event, layout)
        except (NoLayout, ProjectionError):
            return
        if self._forms >= _MOST_FORMS or self._bytes >= _MOST_BYTES:
            self._forget()
        shape = tuple((own.path, own.place, own.size) for own in layout.own)
        several = self._by_size.setdefault((len(raw), raw[_TELLING]), [])
        for known in several:
            if known.shape == shape:
                break
        else:
            known = Known(layout, shape)
            several.append(known)
        key = known.layout.unpack(raw)[::2]
        known.forms[key] = form
        self._forms += 1
        self._bytes += 2 * sum(map(len, key))

    def _forget(self) -> None:
        """Leave out all forms; layouts stay for as long as they hold events of the batch at hand."""
        self._by_size = {
            size: kept for size, several in self._by_size.items() if (kept := [one for one in several if one.numbers])
        }
        for several in self._by_size.values():
            for known in several:
                known.forms.clear()
        self._forms = self._bytes = 0


def _form(event: AuditEvent, layout: Layout) -> Form:
    """Raises ProjectionError, NoLayout."""
    rows: dict[str, list[tuple[object, ...]]] = {"events": [envelope(event)]}
    for row in payload_rows(event):
        rows.setdefault(TABLE_OF[type(row)], []).append(row)
    form = Form((event.producer_id, event.epoch), rows)
    payload = event.payload
    if isinstance(payload, StatementDecided):
        facts = message_facts(payload.input_json)
        if writes(payload.pinned, facts):
            places = {own.path: own.place for own in layout.own}
            rows.pop(CHANGES, None)
            form.changes, form.facts, form.pinned = True, facts, payload.pinned
            form.macs = tuple(
                (index, places[f"pinned#{index}.mac"])
                for index, value in enumerate(payload.pinned)
                if f"pinned#{index}.mac" in places
            )
    return form


# ── own values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def demand_text(column: Sequence[bytes]) -> None:
    """Raises Unfit where a value is no UTF-8."""
    if b"".join(column).isascii():
        return
    try:
        for value in column:
            value.decode()
    except UnicodeDecodeError as error:
        raise Unfit from error


def varints(column: Sequence[bytes], size: int) -> list[int]:
    """The integers of varints of `size` bytes each. Raises Unfit where one is longer or shorter than that."""
    whole = b"".join(column)
    for place in range(size):
        ends = whole[place::size]
        if place < size - 1 and min(ends) < 0x80:
            raise Unfit
        if place == size - 1 and max(ends) >= 0x80:
            raise Unfit
    message = _Varints.FromString(b"\x0a" + unsigned(len(whole)) + whole)
    return list(message.values)


def _varints_message() -> Any:
    """A message of one packed list, so that protobuf's own code reads many varints in one call."""
    file = descriptor_pb2.FileDescriptorProto(name="airlock/varints.proto", package="airlock.own", syntax="proto3")
    message = file.message_type.add(name="Varints")
    kind = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="values", number=1, type=kind.TYPE_INT64, label=kind.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("airlock.own.Varints"))


_Varints = _varints_message()
