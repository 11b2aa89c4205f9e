"""What the server reported of a message, held against our facts of it.

A miss is *closed* when the facts say that something can't be known (unresolved, unknown, opaque code, unknown dynamic
SQL): such a statement is denied unless a rule allows exactly that. All others are holes, but for what the server does
on its own account, which no facts need to name:
  - built-in functions print definitions by querying pg_rewrite;
  - altering a table reads it, and what it refers to, to check what is there;
  - a serial or identity column comes and goes with a sequence;
  - DROP … CASCADE and DROP OWNED take whatever depends on the objects named (`cascade` in flags);
  - a permission to select without a column, on a view that is written to, is how PostgreSQL up to 15 marks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from decision.analysis.result import Analysis
from decision.model.facts import Access, Effect, Statement, Usage, Via
from tests.differential.oracle.server import Definition, Outcome, Touch, schema_name

Name = tuple[str, str]
TABLES = frozenset("rvmfpS")  # relation kinds that facts speak of; neither indexes, types nor TOAST
OPAQUE_FLAGS = frozenset({"dynamic_unknown", "opaque_code", "needs_session"})
OPAQUE_EFFECTS = frozenset({Effect.OPAQUE, Effect.DYNAMIC_SQL})
WRITES = frozenset({"insert", "delete"})


@dataclass(frozen=True, slots=True)
class Miss:
    """`what`: relation access definition column function; `closed`: why it harms nobody (empty: a hole)."""

    what: str
    name: str
    wanted: str
    depth: int
    closed: str


@dataclass(slots=True)
class Claim:
    """The facts of a message: what they name, however they name it."""

    access: dict[Name, set[Access]] = field(default_factory=dict)
    via: dict[Name, set[Via]] = field(default_factory=dict)
    columns: dict[tuple[str, str, str], set[Usage]] = field(default_factory=dict)
    functions: set[Name] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    cascade: bool = False
    closed: str = ""

    def add(self, statement: Statement) -> None:
        for relation in statement.relations:
            name = (schema_name(relation.schema), relation.name)
            self.access.setdefault(name, set()).update(relation.access)
            self.via.setdefault(name, set()).add(relation.via)
        for column in statement.columns:
            key = (schema_name(column.schema), column.table, column.column)
            self.columns.setdefault(key, set()).update(column.usage)
        self.functions.update((function.schema, function.name) for function in statement.functions)
        self.kinds.update(kind.value for kind in statement.kinds)
        self.cascade |= "cascade" in statement.flags
        self.closed = self.closed or closed_by(statement)


def closed_by(statement: Statement) -> str:
    """Why the statement is denied unless a rule allows what can't be known; empty if all is known."""
    if "unknown" in {kind.value for kind in statement.kinds}:
        return "unknown"
    if statement.unresolved:
        return "unresolved"
    if OPAQUE_FLAGS & set(statement.flags):
        return "opaque"
    if any(OPAQUE_EFFECTS & set(function.effects) for function in statement.functions):
        return "opaque"
    return ""


def claim_of(analysis: Analysis) -> Claim:
    claim = Claim()
    for statement in analysis.facts.statements:
        claim.add(statement)
    return claim


@dataclass(slots=True)
class Comparison:
    """`wanted`/`found`: relations that the server touched, and those of them in the facts; `claimed`: relations in the
    facts; `extra`: those that the server did not touch, with the ways by which they got into the facts."""

    wanted: int = 0
    found: int = 0
    misses: list[Miss] = field(default_factory=list)
    claimed: int = 0
    extra: dict[Name, set[Via]] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)


def compare(claim: Claim, outcome: Outcome, names: Mapping[int, Name], earlier: Claim | None = None) -> Comparison:
    """`names` are the snapshot's names by oid, for what was renamed since; `earlier` the claims of the transaction's
    statements before, where this one only makes happen what they deferred."""
    made = Comparison()
    checker = _Checker(claim, names, earlier, made)
    seen: set[Name] = set()
    for touch in outcome.touches:
        if touch.kind in TABLES:
            seen |= checker.both(touch)
            made.misses += checker.touch(touch)
    for definition in outcome.definitions:
        seen |= checker.both(definition)
        if definition.kind in TABLES:
            made.misses += checker.definition(definition)
    for schema, name, depth in outcome.functions:
        made.misses += checker.function(schema, name, depth)
    wanted = {name for name in seen if name[1]}
    lost = {miss.name for miss in made.misses if miss.what in ("relation", "definition")}
    made.wanted = len(wanted)
    made.found = len([name for name in wanted if dotted(name) not in lost])
    made.claimed = len(claim.access)
    made.extra = {name: claim.via[name] for name in claim.access if name not in seen}
    made.misses = list(dict.fromkeys(made.misses))
    return made


def dotted(name: Name) -> str:
    return f"{name[0]}.{name[1]}"


class _Checker:
    def __init__(self, claim: Claim, names: Mapping[int, Name], earlier: Claim | None, made: Comparison) -> None:
        self.claim, self.names, self.earlier, self.made = claim, names, earlier, made

    def both(self, found: Touch | Definition) -> set[Name]:
        """The relation's name now, and the one that the snapshot has for it."""
        known = self.names.get(found.oid)
        now = (found.schema, found.name)
        return {now} if known is None else {now, known}

    def _closed(self, depth: int) -> str:
        if self.claim.closed == "opaque" and depth == 0 and not self.claim.kinds & {"do", "call", "execute"}:
            return ""  # code that is opaque does not excuse what the statement itself names
        return self.claim.closed

    def _count(self, what: str) -> None:
        self.made.checked[what] = self.made.checked.get(what, 0) + 1

    def touch(self, touch: Touch) -> Iterator[Miss]:
        self._count("relation")
        names = self.both(touch)
        label = dotted((touch.schema, touch.name))
        if touch.depth and (touch.schema, touch.name) == ("pg_catalog", "pg_rewrite"):
            return
        access: set[Access] = set()
        for name in names:
            access |= self.claim.access.get(name, set())
            if self.earlier is not None:
                access |= self.earlier.access.get(name, set())
        if not access:
            yield Miss("relation", label, ",".join(sorted(touch.permissions)), touch.depth, self._closed(touch.depth))
            return
        via = set().union(*(self.claim.via.get(name, set()) for name in names))
        if via & {Via.FOREIGN_KEY, Via.INHERITANCE} or self.earlier is not None:
            return  # the server's own checks read and lock what they change
        if Access.DDL in access and touch.permissions <= {"select"} and "ddl" in self.claim.kinds:
            return
        for wanted in touch.permissions:
            if not self._allowed(wanted, touch, access):
                yield Miss("access", label, wanted, touch.depth, self._closed(touch.depth))
        yield from self._columns(touch, names)

    def _allowed(self, wanted: str, touch: Touch, access: set[Access]) -> bool:
        self._count("access")
        if wanted in WRITES or (wanted == "update" and touch.updated):
            return Access.WRITE in access
        if wanted == "update":
            return bool(access & {Access.LOCK, Access.WRITE})
        return Access.READ in access or (not touch.selected and touch.kind == "v" and Access.WRITE in access)

    def _columns(self, touch: Touch, names: set[Name]) -> Iterator[Miss]:
        if not touch.permissions:
            return
        for word, columns in (("select", touch.selected), ("write", touch.inserted | touch.updated)):
            for column in sorted(columns - {"*", "?"}):
                self._count("column")
                usage = set().union(*(self.claim.columns.get((*name, column), set()) for name in names))
                if not usage or (word == "write" and Usage.WRITE not in usage):
                    label = f"{touch.schema}.{touch.name}.{column}"
                    yield Miss("column", label, word, touch.depth, self._closed(touch.depth))

    def definition(self, definition: Definition) -> Iterator[Miss]:
        self._count("definition")
        names = self.both(definition)
        access = set().union(*(self.claim.access.get(name, set()) for name in names))
        wanted = {Access.WRITE, Access.DDL} if definition.word == "truncate" else {Access.DDL}
        if access & wanted:
            return
        if definition.kind == "S" and self._owned(definition):
            return
        closed = self._closed(definition.depth)
        if not closed and definition.word == "drop" and self.claim.cascade:
            closed = "cascade"
        yield Miss(
            "definition", dotted((definition.schema, definition.name)), definition.word, definition.depth, closed
        )

    def _owned(self, sequence: Definition) -> bool:
        """Whether it is named after a table whose definition changes, as sequences of columns are."""
        tables = [name for name, access in self.claim.access.items() if Access.DDL in access]
        return any(schema == sequence.schema and sequence.name.startswith(name[:20]) for schema, name in tables)

    def function(self, schema: str, name: str, depth: int) -> Iterator[Miss]:
        if depth:
            return  # what a body calls is folded into its effects
        self._count("function")
        if not {(schema, name), ("", name), (schema_name(schema), name)} & self.claim.functions:
            yield Miss("function", f"{schema}.{name}", "call", depth, self._closed(depth))
