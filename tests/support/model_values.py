"""Hypothesis strategies for any value of the model, made from its type hints."""

from __future__ import annotations

import dataclasses
import typing
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
# Where the contract says int32, int64 or uint32: what all of them hold.
INTEGER = st.integers(0, 2**31 - 1)


def values(hint: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Any value of a type of the model; recursive types end after `depth` levels."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return st.just(()) if not depth else st.lists(values(arguments[0], depth), max_size=3).map(tuple)
        return st.tuples(*(values(argument, depth) for argument in arguments))
    if arguments:
        return st.one_of(*(values(argument, depth) for argument in arguments))
    if hint is type(None):
        return st.none()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{name: values(inner, depth - 1) for name, inner in hints.items()})
    return {str: TEXT, bytes: st.binary(max_size=40), bool: st.booleans(), int: INTEGER}[hint]
