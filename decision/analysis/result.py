"""What analysis of one message gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from decision.analysis.effects import SessionEffect
from decision.model.facts import Facts


@dataclass(frozen=True, slots=True)
class BoundValue:
    """A value that a statement compares a key column with or writes: a literal's canonical text, or a parameter.

    `role` is pinned or written; `parameter` is 1-based, 0 where the value is `literal`. Both empty: the value is
    computed. Never part of Facts, never printed.
    """

    statement_index: int
    schema: str
    table: str
    column: str
    role: str
    literal: bytes | None = field(default=None, repr=False)
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """`document` is the canonical JSON of `facts`, the `statement` part of the policy input. `effects` are for
    SessionState.advance, one tuple a statement."""

    facts: Facts
    document: bytes
    normalized_text: str
    values: tuple[BoundValue, ...] = field(default=(), repr=False)
    effects: tuple[tuple[SessionEffect, ...], ...] = ()
