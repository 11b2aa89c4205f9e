"""Pinned and written values as events keep them: keyed digests of their canonical text."""

from __future__ import annotations

from collections.abc import Sequence

from decision.analysis import BoundValue
from decision.digest import MAC_BYTES, Digester
from decision.model.events import PinnedValue
from decision.model.session import ParameterValue
from decision.values import canonical
from decision.wire import hot


def value_of(bound: BoundValue, parameters: Sequence[ParameterValue]) -> bytes | None:
    """Its canonical text in this message; None where it isn't known."""
    if bound.parameter and bound.parameter <= len(parameters):
        return canonical(parameters[bound.parameter - 1])
    return bound.literal


class PinnedForm:
    """A PinnedValue of a statement as it stands in the event, but for the values of one message."""

    __slots__ = ("_bare", "_bound", "_mac", "_open", "_whole")

    def __init__(self, bound: BoundValue, digester: Digester) -> None:
        bare = PinnedValue(bound.statement_index, bound.schema, bound.table, bound.column, bound.role)
        self._bound = bound
        self._mac = digester.column(bound.schema, bound.table, bound.column)
        self._bare = hot.pinned_part(bare)
        self._open = hot.open_pinned_part(bare, MAC_BYTES)
        self._whole = b"" if bound.parameter else self._with(bound.literal)

    def part(self, parameters: Sequence[ParameterValue]) -> bytes:
        return self._whole or self._with(value_of(self._bound, parameters))

    def _with(self, value: bytes | None) -> bytes:
        return self._bare if value is None else self._open + self._mac.digest(value)
