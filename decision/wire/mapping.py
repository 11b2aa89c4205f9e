"""Turns frozen dataclasses into protobuf messages and back, field by field, by name.

The contract mirrors the model: a field has the same name on both sides, so a table built once from the two
declarations replaces hundreds of hand-written assignments, and nothing can be mistyped or forgotten singly
(`uncovered` names a field that one side lacks; a test demands that there is none). How types correspond:

    str, bytes, bool, int        scalar; a falsy value is not written, which proto3 reads back as the same value
    T | None                     `optional` field
    StrEnum                      enum `TYPE_NAME_MEMBER`; UNSPECIFIED or a number of a newer contract is refused
    dataclass                    message
    tuple[T, ...]                repeated
    tuple[str, str]              NameValue, QualifiedName: a message of two strings
    tuple[str, ...] in a tuple   Names: a message of one repeated string

Decoding sets every field explicitly, so defaults of the dataclasses never stand in for what was sent.
"""

from __future__ import annotations

import dataclasses
import operator
import types
import typing
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from decision.model.decision import HoldTerms, Limits, RuleResult, StatementObligations
from decision.model.events import MaskedColumn
from decision.model.principal import Principal
from decision.model.session import ClientInfo

T = TypeVar("T")
Convert = Callable[[Any], Any]

SHARED = frozenset({Principal, ClientInfo, RuleResult, HoldTerms, Limits, StatementObligations, MaskedColumn})
"""Parts of other values that repeat often enough for `decode_shared` and `fields_shared`."""
_SHARED_ENTRIES = 2048
_SHARED_BYTES = 2048


class WireMismatch(ValueError):
    """A message that this version can't turn into a value: an enum member that is unset or unknown here."""


class Mapping(Generic[T]):
    """The table of one dataclass and one message class.

    Tables of nested types are built when first needed (Principal contains itself) and shared through `_TABLES`.
    """

    def __init__(self, model: type[T], message: type[Message]) -> None:
        self.model = model
        self.message = message
        self._built = False
        self._plain: list[str] = []
        self._converted: list[tuple[str, Convert]] = []
        self._read: Convert = _same
        self._decoders: list[tuple[int, Convert]] = []
        self._optional: list[tuple[int, str]] = []
        self._shared: dict[bytes, T] = {}
        self._alike: dict[bytes, list[Any]] = {}
        self._written: dict[int, tuple[T, dict[str, Any]]] = {}

    def encode(self, value: T) -> Any:
        """The message of `value`. Raises ValueError or TypeError for what protobuf can't hold (lone surrogates)."""
        return self.message(**self.fields(value))

    def fields(self, value: T) -> dict[str, Any]:
        """The message's fields as keyword arguments, nested messages as dicts: protobuf copies a nested message by
        serialising it, and reads a dict directly."""
        if not self._built:
            self._build()
        fields: dict[str, Any] = {}
        for name in self._plain:
            if item := getattr(value, name):
                fields[name] = item
        for name, convert in self._converted:
            if item := getattr(value, name):
                fields[name] = convert(item)
        for _, name in self._optional:
            if (item := getattr(value, name)) is not None and not item:
                fields[name] = item  # present, if falsy
        return fields

    def part(self, **values: Any) -> bytes:
        """Some fields of a value as they stand on the wire: parts in the order of their fields make up a message."""
        if not self._built:
            self._build()
        converts = dict(self._converted)
        fields = {name: converts[name](item) if name in converts else item for name, item in values.items() if item}
        raw: bytes = self.message(**fields).SerializeToString()
        return raw

    def fields_shared(self, value: T) -> dict[str, Any]:
        """As `fields`, but made once for one object, which is kept alive so that its id stays its own. The same
        principal, rules and obligations are written into event after event."""
        found = self._written.get(id(value))
        if found is None or found[0] is not value:
            if len(self._written) >= _SHARED_ENTRIES:
                self._written.clear()
            found = self._written[id(value)] = (value, self.fields(value))
        return found[1]

    def decode(self, message: Any) -> T:
        """The value in `message`. Raises WireMismatch where an enum holds a number unknown here."""
        return self.model(*self._values(message))

    def _values(self, message: Any) -> list[Any]:
        if not self._built:
            self._build()
        values = list(self._read(message))
        for index, name in self._optional:
            if not message.HasField(name):
                values[index] = None
        for index, convert in self._decoders:
            if values[index] is not None:
                values[index] = convert(values[index])
        return values

    def decode_alike(self, message: Any, own: Own) -> T:
        """As `decode`, for messages that differ from one another in the fields `own` only: all else is decoded once
        and shared. The message's own fields are gone afterwards."""
        mine = own.take(message)
        key = message.SerializeToString()
        found = self._alike.get(key)
        if found is None:
            found = self._values(message)
            if len(key) <= _SHARED_BYTES:
                if len(self._alike) >= _SHARED_ENTRIES:
                    self._alike.clear()
                self._alike[key] = found
        values = found.copy()
        for index, value in zip(own.places, mine, strict=True):
            values[index] = value
        return self.model(*values)

    def decode_shared(self, message: Any) -> T:
        """As `decode`, but equal messages may give the same object: values are frozen, and in a journal the same
        principals and rules come again and again. Looking one up costs a tenth of making it."""
        key = message.SerializeToString()
        found = self._shared.get(key)
        if found is None:
            found = self.decode(message)
            if len(key) <= _SHARED_BYTES:
                if len(self._shared) >= _SHARED_ENTRIES:
                    self._shared.clear()
                self._shared[key] = found
        return found

    def uncovered(self) -> set[str]:
        """Fields that stand on one side only: always empty, unless model and contract went apart."""
        mine = {field.name for field in dataclasses.fields(self.model)}  # type: ignore[arg-type]
        return mine ^ {field.name for field in self.message.DESCRIPTOR.fields}

    def _build(self) -> None:
        hints = typing.get_type_hints(self.model)
        names = [field.name for field in dataclasses.fields(self.model)]  # type: ignore[arg-type]
        plain: list[str] = []
        converted: list[tuple[str, Convert]] = []
        decoders: list[tuple[int, Convert]] = []
        optionals: list[tuple[int, str]] = []
        for index, name in enumerate(names):
            descriptor = self.message.DESCRIPTOR.fields_by_name.get(name)
            if descriptor is None:
                raise TypeError(
                    f"{self.model.__name__}.{name} is missing in {self.message.DESCRIPTOR.full_name}: "
                    "add it to proto/airlock/v1 and run python -m decision.wire.generate"
                )
            inner, optional = _optional(hints[name])
            encode, decode = _convert(inner, descriptor)
            if encode is None:
                plain.append(name)
            else:
                converted.append((name, encode))
            if decode is not None:
                decoders.append((index, decode))
            if optional:
                optionals.append((index, name))
        self._read = _reader(names)
        self._decoders = decoders
        self._optional = optionals
        self._plain = plain
        self._converted = converted
        self._built = True  # last: another thread may be looking


class Own:
    """The fields of a message in which each of its kind has values of its own. None of them may be `optional`."""

    def __init__(self, table: Mapping[Any], *names: str) -> None:
        if not table._built:
            table._build()
        fields = [field.name for field in dataclasses.fields(table.model)]
        decoders = dict(table._decoders)
        self.places = tuple(fields.index(name) for name in names)
        if {place for place, _ in table._optional} & set(self.places):
            raise TypeError("an optional field can't be told from an empty one here")
        self._names = names
        self._read = _reader(list(names))
        self._convert = [(at, decoders[place]) for at, place in enumerate(self.places) if place in decoders]

    def take(self, message: Any) -> list[Any]:
        """The values, in the order of `names`; they are removed from `message`."""
        values = list(self._read(message))
        for at, convert in self._convert:
            values[at] = convert(values[at])
        for name in self._names:
            message.ClearField(name)
        return values


_TABLES: dict[tuple[type, str], Mapping[Any]] = {}


def mapping(model: type[T], message: type[Message]) -> Mapping[T]:
    """The shared table of `model` and `message`."""
    key = (model, message.DESCRIPTOR.full_name)
    table = _TABLES.get(key)
    if table is None:
        table = _TABLES[key] = Mapping(model, message)
    return table


def _convert(inner: Any, field: Any) -> tuple[Convert | None, Convert | None]:
    """(encoder, decoder) of one field; None for as it is."""
    if typing.get_origin(inner) is not tuple:
        return _element(inner, field)
    encode, decode = _element(_repeated_element(inner), field)
    if encode is None or decode is None:
        return None, tuple
    return (lambda items: [encode(item) for item in items]), (lambda items: tuple([decode(item) for item in items]))


def _element(inner: Any, field: Any) -> tuple[Convert | None, Convert | None]:
    """How one element is converted; None for as it is."""
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return enum_table(inner, field.enum_type)
    if dataclasses.is_dataclass(inner):
        table: Mapping[Any] = mapping(typing.cast(type, inner), GetMessageClass(field.message_type))
        return (table.fields_shared, table.decode_shared) if inner in SHARED else (table.fields, table.decode)
    if typing.get_origin(inner) is tuple:
        return _tuple(inner, GetMessageClass(field.message_type))
    return None, None


def enum_table(members: type[StrEnum], descriptor: Any) -> tuple[Convert, Convert]:
    """(member to number, number to member); the latter raises WireMismatch for unset and unknown numbers."""
    prefix = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(descriptor.name)).upper()
    numbers = {member: descriptor.values_by_name[f"{prefix}_{member.name}"].number for member in members}
    by_number = {number: member for member, number in numbers.items()}

    def decode(number: int) -> StrEnum:
        member = by_number.get(number)
        if member is None:
            raise WireMismatch(f"{descriptor.full_name} has no member {number} in this version")
        return member

    return numbers.__getitem__, decode


def _tuple(inner: Any, message: type[Message]) -> tuple[Convert, Convert]:
    names = [field.name for field in message.DESCRIPTOR.fields]
    if typing.get_args(inner)[-1] is Ellipsis:
        (only,) = names
        return lambda items: {only: items}, lambda item: tuple(getattr(item, only))
    first, second = names
    return (
        lambda pair: {first: pair[0], second: pair[1]},
        lambda item: (getattr(item, first), getattr(item, second)),
    )


def _optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (inner,) = [part for part in typing.get_args(hint) if part is not types.NoneType]
        return inner, True
    return hint, False


def _repeated_element(hint: Any) -> Any:
    element, ellipsis = typing.get_args(hint)
    if ellipsis is not Ellipsis:
        raise TypeError(f"{hint} stands alone: only tuple[T, ...] has a form on the wire")
    return element


def _reader(names: list[str]) -> Convert:
    """A function that reads all fields at once; attrgetter of a single name gives no tuple."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda message: [getattr(message, name) for name in names]


def _same(item: Any) -> Any:
    return item
