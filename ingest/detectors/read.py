"""What is read of an event: the least that the model's classes and the contract's messages have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """When an event happened, and which one it is; in the order of a Signal's fields."""

    time_unix_nano: int
    producer_id: str
    epoch: int
    seq: int


class Pinned(Protocol):
    """What is read of a pinned value."""

    @property
    def role(self) -> str: ...
    @property
    def schema(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def mac(self) -> bytes: ...


class Decided(Protocol):
    """What is read of a StatementDecided: the model's, or the contract's own message, which saves making the rest."""

    @property
    def session_id(self) -> str: ...
    @property
    def decision_id(self) -> str: ...
    @property
    def database(self) -> str: ...
    @property
    def message_kind(self) -> str: ...
    @property
    def input_json(self) -> bytes: ...
    @property
    def statement_digest(self) -> bytes: ...
    @property
    def error_code(self) -> str: ...
    @property
    def pinned(self) -> Iterable[Pinned]: ...
