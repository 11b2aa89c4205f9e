"""What the server reported of a message, held against our facts of it.

A miss is *closed* when the facts say that something can't be known (unresolved, unknown, opaque code, unknown dynamic
SQL): such a statement is denied unless a rule allows exactly that. All others are holes, but for what the server does
on its own account, which no facts need to name:
  - built-in functions print definitions by querying pg_rewrite;
  - altering a table reads it to check what is there, and copies it to a relation named pg_temp_ and its oid;
  - a serial or identity column comes and goes with a sequence;
  - REFRESH CONCURRENTLY compares the old rows with the new ones;
  - DROP … CASCADE and DROP OWNED take whatever depends on the objects named, DISCARD the temporary relations: counted
    as closed, since the flags `cascade` and `discard` say so;
  - NEW in a rule on INSERT is marked as a read of the relation; it is what the statement puts in;
  - a permission to select without a column, on a view that is written to or a table with a rewrite rule, is how
    PostgreSQL up to 15 marks it;
  - a relation that is made may be named without its schema where the search path is not known for certain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from decision.analysis.result import Analysis
from decision.model.facts import Access, Effect, RelationKind, Statement, Usage, Via
from tests.differential.oracle.server import Definition, Outcome, Touch, schema_name

Name = tuple[str, str]
TRANSIENT = re.compile(r"pg_temp_\d+(_\d+)?")
TABLES = frozenset("rvmfpS")  # relation kinds that facts speak of; neither indexes, types nor TOAST
OPAQUE_FLAGS = frozenset({"dynamic_unknown", "opaque_code"})
OPAQUE_EFFECTS = frozenset({Effect.OPAQUE, Effect.DYNAMIC_SQL})
WRITES = frozenset({"insert", "delete"})
BY_ITSELF = frozenset({"do", "call", "execute", "truncate", "copy_in"})  # what these run is at depth 0, triggers, too


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
    kind_of: dict[Name, RelationKind] = field(default_factory=dict)
    columns: dict[tuple[str, str, str], set[Usage]] = field(default_factory=dict)
    functions: set[Name] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    sweeping: str = ""  # cascade or discard
    closed: str = ""

    def add(self, statement: Statement) -> None:
        for relation in statement.relations:
            name = (schema_name(relation.schema), relation.name)
            self.access.setdefault(name, set()).update(relation.access)
            self.via.setdefault(name, set()).add(relation.via)
            self.kind_of[name] = relation.kind
        for column in statement.columns:
            key = (schema_name(column.schema), column.table, column.column)
            self.columns.setdefault(key, set()).update(column.usage)
        self.functions.update((function.schema, function.name) for function in statement.functions)
        self.kinds.update(kind.value for kind in statement.kinds)
        self.sweeping = next((flag for flag in ("cascade", "discard") if flag in statement.flags), self.sweeping)
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
    """`wanted`: relations that the server touched, by "data" (read or written) and "definition"; `lost`: those among
    them that are in no facts; `holes`: those that are not closed either. `claimed`: relations in the facts; `extra`:
    those that the server did not touch, with the ways by which they got into the facts."""

    wanted: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    holes: Counter[str] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)
    claimed: int = 0
    extra: dict[Name, set[Via]] = field(default_factory=dict)
    checked: Counter[str] = field(default_factory=Counter)

    def _count(self, what: str, found: Mapping[int, list[Miss]]) -> None:
        """`found`: each relation's misses, by oid."""
        self.wanted[what] += len(found)
        self.lost[what] += len([misses for misses in found.values() if misses])
        self.holes[what] += len([misses for misses in found.values() if any(not miss.closed for miss in misses)])

    def fold(self, data: Mapping[int, list[Miss]], definitions: Mapping[int, list[Miss]]) -> None:
        missing = {oid: [m for m in misses if m.what == "relation"] for oid, misses in data.items()}
        self._count("data", missing)
        self._count("definition", definitions)
        every = [miss for found in (data, definitions) for misses in found.values() for miss in misses]
        self.misses += dict.fromkeys(every)


def compare(claim: Claim, outcome: Outcome, names: Mapping[int, Name], earlier: Claim | None = None) -> Comparison:
    """`names` are the snapshot's names by oid, for what was renamed since; `earlier` the claims of the transaction's
    statements before, where this one only makes happen what they deferred."""
    made = Comparison()
    checker = _Checker(claim, names, earlier, made)
    seen: set[Name] = set()
    data: dict[int, list[Miss]] = {}
    definitions: dict[int, list[Miss]] = {}
    for touch in outcome.touches:
        if touch.kind in TABLES and not _own_account(touch):
            seen |= checker.both(touch)
            data.setdefault(touch.oid, []).extend(checker.touch(touch))
    for definition in outcome.definitions:
        seen |= checker.both(definition)
        if definition.kind in TABLES and not _own_account(definition):
            definitions.setdefault(definition.oid, []).extend(checker.definition(definition))
    made.fold(data, definitions)
    for schema, name, depth in outcome.functions:
        made.misses += checker.function(schema, name, depth)
    sequences = {name for name, kind in claim.kind_of.items() if kind is RelationKind.SEQUENCE}
    claimed = claim.access.keys() - sequences  # nextval and the like are not reported
    made.claimed = len(claimed)
    made.extra = {name: claim.via[name] for name in claimed if name not in seen}
    return made


def _own_account(found: Touch | Definition) -> bool:
    """Whether the server does this for itself: a copy while it rewrites, or the text of a definition."""
    printing = found.depth > 0 and (found.schema, found.name) == ("pg_catalog", "pg_rewrite")
    return printing or TRANSIENT.fullmatch(found.name) is not None


def dotted(name: Name) -> str:
    return f"{name[0]}.{name[1]}"


class _Checker:
    def __init__(self, claim: Claim, names: Mapping[int, Name], earlier: Claim | None, made: Comparison) -> None:
        self.claim, self.names, self.earlier, self.made = claim, names, earlier, made
        ways = set().union(*claim.via.values())
        self.ruled, self.keyed = Via.RULE in ways, Via.FOREIGN_KEY in ways

    def both(self, found: Touch | Definition) -> set[Name]:
        """The relation's name now, and the one that the snapshot has for it."""
        known = self.names.get(found.oid)
        now = (found.schema, found.name)
        return {now} if known is None else {now, known}

    def _closed(self, depth: int) -> str:
        if not self.claim.closed and self.earlier is not None:
            return self.earlier.closed  # what a statement deferred that was closed itself
        if self.claim.closed == "opaque" and depth == 0 and not self.claim.kinds & BY_ITSELF:
            return ""  # code that is opaque does not excuse what the statement itself names
        return self.claim.closed

    def _count(self, what: str) -> None:
        self.made.checked[what] += 1

    def touch(self, touch: Touch) -> Iterator[Miss]:
        self._count("relation")
        names = self.both(touch)
        label = dotted((touch.schema, touch.name))
        access: set[Access] = set()
        for name in names:
            access |= self.claim.access.get(name, set())
            if self.earlier is not None:
                access |= self.earlier.access.get(name, set())
        if not access:
            yield Miss("relation", label, ",".join(sorted(touch.permissions)), touch.depth, self._closed(touch.depth))
            return
        via = set().union(*(self.claim.via.get(name, set()) for name in names))
        if via & {Via.FOREIGN_KEY, Via.INHERITANCE} or (self.keyed and touch.depth) or self.earlier is not None:
            return  # the server's own checks read and lock what they change
        if Access.DDL in access and touch.permissions <= {"select"} and "ddl" in self.claim.kinds:
            return
        if "maintenance" in self.claim.kinds and access & {Access.WRITE, Access.DDL}:
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
        marked = touch.kind == "v" or self.ruled
        if Access.READ in access or (not touch.selected and marked and Access.WRITE in access):
            return True
        ruled = self.ruled and touch.depth == 0 and "insert" in self.claim.kinds
        return ruled and Access.WRITE in access  # the columns are looked for by _columns

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
        if self.earlier is not None:  # ON COMMIT DROP
            access |= set().union(*(self.earlier.access.get(name, set()) for name in names))
        wanted = {Access.WRITE, Access.DDL} if definition.word == "truncate" else {Access.DDL}
        if access & wanted:
            return
        if definition.kind == "S" and self._owned(definition):
            return
        if definition.word == "create" and Access.DDL in self.claim.access.get(("", definition.name), set()):
            return
        closed = self._closed(definition.depth)
        if not closed and definition.word in ("drop", "alter"):
            closed = self.claim.sweeping
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
