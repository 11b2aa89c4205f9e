"""A frozen value for the hottest places: immutable to the type checker, without what enforcing it at run time costs.

A frozen dataclass sets each field by `object.__setattr__`: 1.6 microseconds for a Decision, not 0.3, several times
a statement. Values made once a statement are `record`s; all others stay `@dataclass(frozen=True, slots=True)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Class decorator: a slotted dataclass with equality and hash by its fields, which mypy takes for frozen."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
