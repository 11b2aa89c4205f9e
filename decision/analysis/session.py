"""What a session's earlier statements change about the meaning of later ones.

A statement that was allowed may still fail, or be rolled back. So state only ever grows: what was made may or may not
exist, a name may mean the old or the new thing, and a tag once copied somewhere is never forgotten. Analysis answers
with the union of what is possible, or says that it can't know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from decision.analysis.effects import (
    ColumnsFilled,
    CursorDeclared,
    FunctionMade,
    IndexMade,
    MadeColumn,
    Prepared,
    ReferenceMade,
    RelationAltered,
    RelationMade,
    RoleSet,
    RuleMade,
    SearchPathSet,
    SessionEffect,
    SettingFilled,
    TransactionEnded,
    TriggerMade,
)
from decision.analysis.result import Analysis

MAX_ALTERNATIVES = 8
MAX_NAMES = 512
SNAPSHOT_PATH = ("$snapshot",)  # stands for the search path that the snapshot was read with

Path = tuple[str, ...] | None  # None: not known


class StateKey:
    """A state's identity for cache keys, hashed once, when first asked for."""

    __slots__ = ("_hash", "parts")

    def __init__(self, parts: tuple[object, ...]) -> None:
        self.parts = parts
        self._hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.parts)
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, StateKey) and self.parts == other.parts)


@dataclass(frozen=True, slots=True)
class Altered:
    """A relation that differs from what snapshot `version` says; `pending`: its transaction may still be open."""

    schema: str
    name: str
    version: str
    pending: bool


@dataclass(frozen=True, slots=True)
class SessionState:
    """`search_paths`: all that may be in force; empty: the snapshot's. `settings`: what the server last reported."""

    search_paths: tuple[Path, ...] = ()
    roles: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    made: tuple[RelationMade, ...] = ()
    altered: tuple[Altered, ...] = ()
    functions: frozenset[str] = frozenset()
    prepared: tuple[Prepared, ...] = ()
    cursors: tuple[CursorDeclared, ...] = ()
    undone: tuple[Path, ...] = ()  # search paths that a rollback within this message brings back
    attached: tuple[ReferenceMade | RuleMade | TriggerMade | IndexMade, ...] = ()
    filled: tuple[SettingFilled, ...] = ()  # settings that hold what came from columns
    overflowed: bool = False  # more was made than is kept: names can't be trusted any more
    key: StateKey = field(init=False, repr=False, compare=False, default=StateKey(()))

    def __post_init__(self) -> None:
        parts = (
            self.search_paths, self.roles, self.settings, self.made, self.altered, self.functions, self.prepared,
            self.cursors, self.undone, self.attached, self.filled, self.overflowed,
        )  # fmt: skip
        object.__setattr__(self, "key", StateKey(parts))

    def with_settings(self, settings: Mapping[str, str]) -> SessionState:
        """With what the server reported last. A reported search_path or role ends all doubt about it."""
        reported = tuple(sorted((name.lower(), value) for name, value in settings.items()))
        if reported == self.settings:
            return self
        before = dict(self.settings)
        after = dict(reported)
        paths, roles = self.search_paths, self.roles
        if "search_path" in after and after["search_path"] != before.get("search_path"):
            paths = (parse_search_path(after["search_path"]),)
        if "role" in after and after["role"] != before.get("role"):
            roles = () if after["role"] in ("", "none") else (after["role"],)
        return replace(self, settings=reported, search_paths=paths, roles=roles)

    def advance(self, analysis: Analysis, transaction_status: str) -> SessionState:
        """The state after the message was let through; `transaction_status` is the server's before it."""
        state = self
        if transaction_status == "I" and any(mark.pending for mark in state.altered):
            state = replace(state, altered=tuple(replace(mark, pending=False) for mark in state.altered))
        pending = transaction_status != "I" or any(
            "transaction_control" in statement.flags for statement in analysis.facts.statements
        )
        for effects in analysis.effects:
            state = state.apply(effects, analysis.facts.catalog_version, pending)
        return state

    def apply(self, effects: Sequence[SessionEffect], version: str, pending: bool = True) -> SessionState:
        """The state after one statement's effects may have happened."""
        state = self
        for effect in effects:
            state = state._after(effect, version, pending)
        return state

    def within(self, effects: Sequence[SessionEffect], version: str) -> SessionState:
        """The state for what follows in the same message, which only runs if this succeeded: a search path that was
        set holds, until a transaction's end may have undone it. `advance` goes on from the message's start."""
        state = self
        for effect in effects:
            if isinstance(effect, SearchPathSet) and effect.runs and effect.path is not None:
                undone = (*state.undone, *(p for p in state.search_paths or (SNAPSHOT_PATH,) if p not in state.undone))
                state = replace(state, search_paths=(effect.path,), undone=undone)
            elif isinstance(effect, TransactionEnded):
                paths = (*state.search_paths, *(path for path in state.undone if path not in state.search_paths))
                state = replace(state, search_paths=paths if state.undone else state.search_paths)
            else:
                state = state._after(effect, version, True)
        return state

    def _after(self, effect: SessionEffect, version: str, pending: bool) -> SessionState:
        if self.overflowed and not isinstance(effect, SearchPathSet | RoleSet):
            return self  # nothing more is followed: names can't be trusted any more
        match effect:
            case RelationMade():
                return self._with_relation(effect)
            case ColumnsFilled():
                return self._with_filled(effect)
            case RelationAltered():
                mark = Altered(effect.schema, effect.name, version, pending)
                others = [m for m in self.altered if (m.schema, m.name) != (effect.schema, effect.name)]
                return self._bounded(altered=(*others, mark))
            case ReferenceMade() | RuleMade() | TriggerMade() | IndexMade():
                return self if effect in self.attached else self._bounded(attached=(*self.attached, effect))
            case SettingFilled():
                return self if effect in self.filled else self._bounded(filled=(*self.filled, effect))
            case FunctionMade():
                return self._bounded(functions=self.functions | {effect.name})
            case Prepared():
                return self._bounded(prepared=_alternatives(self.prepared, effect))
            case CursorDeclared():
                return self._bounded(cursors=_alternatives(self.cursors, effect))
            case SearchPathSet():
                known = self.search_paths or (SNAPSHOT_PATH,)
                if effect.path in known:
                    return self
                paths = (*known, effect.path)
                return replace(self, search_paths=paths if len(paths) <= MAX_ALTERNATIVES else (None,))
            case TransactionEnded():
                return self
            case RoleSet():
                return self if effect.role in self.roles else self._bounded(roles=(*self.roles, effect.role))

    def _bounded(self, **changes: object) -> SessionState:
        """`replace`, unless the session has made more than is kept."""
        for value in changes.values():
            if isinstance(value, tuple | frozenset) and len(value) > MAX_NAMES:
                return replace(self, overflowed=True)
        return replace(self, **changes)  # type: ignore[arg-type]

    def _with_relation(self, made: RelationMade) -> SessionState:
        for index, known in enumerate(self.made):
            if (known.schema, known.name) == (made.schema, made.name):
                merged = _merge_relations(known, made)
                return self._bounded(made=(*self.made[:index], merged, *self.made[index + 1 :]))
        return self._bounded(made=(*self.made, made))

    def _with_filled(self, filled: ColumnsFilled) -> SessionState:
        for index, known in enumerate(self.made):
            if (known.schema, known.name) == (filled.schema, filled.name):
                columns = _merge_columns(known.columns, filled.columns, adding=False)
                merged = replace(known, columns=columns)
                return self._bounded(made=(*self.made[:index], merged, *self.made[index + 1 :]))
        return self


Named = TypeVar("Named", Prepared, CursorDeclared)


def _alternatives(known: tuple[Named, ...], new: Named) -> tuple[Named, ...]:
    """All that the name may stand for. Equal facts are one alternative."""
    return known if new in known else known + (new,)  # noqa: RUF005  (mypy follows this form)


def _merge_columns(
    known: tuple[MadeColumn, ...], new: tuple[MadeColumn, ...], *, adding: bool
) -> tuple[MadeColumn, ...]:
    table = {column.name: column for column in known}
    for column in new:
        old = table.get(column.name)
        if old is not None:
            table[column.name] = old.joined(column)
        elif adding:
            table[column.name] = column
    return tuple(table.values())


def _merge_relations(known: RelationMade, made: RelationMade) -> RelationMade:
    """Two makings of one name: either may be what exists now. With other columns the set of columns is not known."""
    same = [c.name for c in known.columns] == [c.name for c in made.columns]
    columns = _merge_columns(known.columns, made.columns, adding=True)
    parents = tuple(dict.fromkeys((*known.parents, *made.parents)))
    complete = known.complete and made.complete and same
    if known.behind is not None and made.behind is not None and known.behind != made.behind:
        complete = False  # either query may be what runs
    behind = made.behind if made.behind is not None else known.behind
    return replace(made, columns=columns, complete=complete, parents=parents, behind=behind)


def parse_search_path(value: str) -> tuple[str, ...]:
    """`"$user", public` as PostgreSQL reads the setting: folded unless quoted."""
    names: list[str] = []
    rest = value.strip()
    while rest:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and not (rest[end] == '"' and rest[end + 1 : end + 2] != '"'):
                end += 2 if rest[end] == '"' else 1
            names.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 :].lstrip()
        else:
            name, _, _ = rest.partition(",")
            names.append(name.strip().lower())
            rest = rest[len(name) :]
        rest = rest.removeprefix(",").lstrip()
    return tuple(name for name in names if name)
