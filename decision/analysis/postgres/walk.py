"""One statement's walk: what was found so far, and the state that names are resolved in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from decision.analysis.catalog import CatalogIndex
from decision.analysis.effects import SessionEffect, SettingFilled
from decision.analysis.flow import Flow, Key, Scope, Shape
from decision.analysis.limits import Budget
from decision.analysis.postgres.parse import Node
from decision.analysis.result import BoundValue
from decision.analysis.session import SessionState
from decision.model.facts import (
    Access,
    Effect,
    Kind,
    ObjectName,
    Operation,
    Predicate,
    RelationKind,
    Transform,
    Unresolved,
    Usage,
    Via,
)


class RelationRecord:
    __slots__ = ("access", "kind", "oid", "tags")

    def __init__(self, kind: RelationKind, oid: int, tags: tuple[str, ...]) -> None:
        self.kind = kind
        self.oid = oid
        self.tags = tags
        self.access: set[Access] = set()


_SORTING = frozenset({Usage.ORDER, Usage.GROUP, Usage.WINDOW})
_PLAIN = frozenset({Transform.IDENTITY, Transform.WHOLE_ROW})


class Walk:
    """Accumulates the facts of one statement; `via` says how whatever is met now came to be touched."""

    __slots__ = (
        "answers", "assigned", "budget", "catalog", "columns", "computed", "dml", "effects", "estimate", "expanding",
        "files", "flags", "functions", "kinds", "limit", "nested", "operations", "output", "parameters", "paths",
        "predicates", "programs", "relations", "returns_rows", "root", "settings", "state", "unresolved_",
        "values", "via",
    )  # fmt: skip

    def __init__(self, catalog: CatalogIndex | None, state: SessionState, budget: Budget) -> None:
        self.catalog = catalog
        self.state = state
        self.budget = budget
        self.via = Via.DIRECT
        self.kinds: dict[Kind, None] = {}
        self.relations: dict[tuple[str, str, Via], RelationRecord] = {}
        self.columns: dict[Key, set[Usage]] = {}
        self.functions: dict[tuple[str, str], tuple[Effect, ...]] = {}
        self.operations: list[Operation] = []
        self.settings: dict[str, None] = {}
        self.files: dict[str, None] = {}
        self.programs: dict[str, None] = {}
        self.flags: set[str] = set()
        self.unresolved_: dict[Unresolved, None] = {}
        self.output: Shape | None = None
        self.returns_rows = False
        self.parameters = 0
        self.predicates: list[Predicate] = []
        self.dml = 0
        self.limit: int | None = None
        self.estimate: int | None = None
        self.values: list[BoundValue] = []
        self.assigned: list[tuple[Key, Flow]] = []
        self.effects: list[SessionEffect] = []
        self.expanding: set[object] = set()
        self.paths: list[tuple[str, ...] | None] | None = None  # the search paths, once asked for
        self.root: Scope | None = None  # what statements are inside of, if anything
        self.answers: list[Shape] = []  # the rows that rules answer with
        self.computed: set[Key] = set()  # columns that a computed key of sorting or grouping is made from
        self.nested = False  # in a sub-select: what decides there is no plain lookup

    @property
    def inside(self) -> bool:
        """Whether this happens inside the expansion of a view, function or policy: then nothing partial is shared."""
        return any(not (isinstance(marker, tuple) and marker[0] == "write") for marker in self.expanding)

    def use(self, flow: Flow, usage: Usage) -> None:
        """The value's base columns are used in this way."""
        computed = usage in _SORTING and (flow.mixed or flow.transform not in _PLAIN)
        if computed:
            self.computed |= flow.sources
        probes = computed or usage is Usage.FILTER or (usage is Usage.CHECK and self.nested)
        for key in flow.sources:
            found = self.columns.get(key)
            if found is None:
                found = self.columns[key] = set()
            found.add(usage)
            if probes:
                found.add(Usage.PROBE)

    def probe(self, flow: Flow) -> None:
        """What is sorted by is compared, too: by its distance."""
        self.computed |= flow.sources
        for key in flow.sources:
            self.use_key(key, Usage.PROBE)

    def hold(self, flow: Flow) -> None:
        """A condition holds the column to a value that whoever asks has in hand: a lookup, unless in a sub-select."""
        if self.nested or self.inside:
            self.use(flow, Usage.FILTER)
            return
        for key in flow.sources:
            self.use_key(key, Usage.FILTER)

    def use_key(self, key: Key, usage: Usage) -> None:
        self.columns.setdefault(key, set()).add(usage)

    def unresolved(self, what: str, why: str) -> None:
        if len(self.unresolved_) < 100:
            self.unresolved_[Unresolved(what, why)] = None

    def touch(
        self,
        schema: str,
        name: str,
        kind: RelationKind,
        access: Access,
        oid: int = 0,
        tags: tuple[str, ...] = (),
        via: Via | None = None,
    ) -> None:
        """A relation is accessed, by the statement itself or by what is being expanded now."""
        key = (schema, name, via or self.via)
        record = self.relations.get(key)
        if record is None:
            record = self.relations[key] = RelationRecord(kind, oid, tags)
        record.access.add(access)

    def operation(
        self, verb: str, object_type: str, objects: Iterable[ObjectName] = (), options: Iterable[str] = ()
    ) -> None:
        self.operations.append(Operation(verb, object_type, tuple(objects), tuple(options)))

    def kind(self, kind: Kind) -> None:
        self.kinds[kind] = None


ExpressionHandler = Callable[[Walk, Scope, Node], Flow]
QueryHandler = Callable[[Walk, "Scope | None", Node], Shape]

# Filled by the modules that know the nodes, so that expressions and queries can contain each other.
EXPRESSIONS: dict[str, ExpressionHandler] = {}
QUERIES: dict[str, QueryHandler] = {}


def query(walk: Walk, scope: Scope | None, node: Node) -> Shape:
    """The output columns of a tagged query node: SELECT, VALUES, set operation, or DML with RETURNING."""
    for tag, body in node.items():
        handler = QUERIES.get(tag)
        if handler is not None:
            walk.budget.enter(4)
            shape = handler(walk, scope, body)
            walk.budget.leave(4)
            return shape
        walk.unresolved(tag, "this statement is not known inside a query")
        walk.kind(Kind.UNKNOWN)
    return Shape((), (), is_open=True)


StatementHandler = Callable[[Walk, Node], None]
STATEMENTS: dict[str, StatementHandler] = {}


def statement(walk: Walk, node: Node) -> None:
    """Walk one statement (the `stmt` of a RawStmt); what no handler knows is unknown, and said to be so."""
    for tag, body in node.items():
        handler = STATEMENTS.get(tag)
        if handler is None:
            walk.kind(Kind.UNKNOWN)
            walk.unresolved(tag, "this kind of statement is not known")
            return
        walk.budget.enter(4)
        handler(walk, body)
        walk.budget.leave(4)
        if walk.catalog is not None and walk.catalog.snapshot.event_triggers:
            from decision.analysis.postgres.stored import event_triggers

            event_triggers(walk)


def absorb(walk: Walk, inner: Walk, via: Via) -> None:
    """Add what an expanded view, rule, trigger or function body touches. What was pulled in further inside keeps its
    own reason, and a reason that is being expanded now (`walk.via`) covers it all."""
    for (schema, name, how), record in inner.relations.items():
        reason = how if how is not Via.DIRECT else via
        for access in record.access:
            walk.touch(schema, name, record.kind, access, record.oid, record.tags, reason)
    fixed = {Usage.PROBE} if via in (Via.VIEW, Via.ROW_SECURITY) else set()  # their conditions are nobody's guess
    if not fixed:
        walk.computed |= inner.computed
    for key, usages in inner.columns.items():
        walk.columns.setdefault(key, set()).update(usages - fixed if fixed else usages)
    for function, effects in inner.functions.items():
        known = walk.functions.get(function, ())
        walk.functions[function] = tuple(dict.fromkeys((*known, *effects)))
    walk.settings.update(inner.settings)
    walk.effects += [effect for effect in inner.effects if isinstance(effect, SettingFilled)]
    walk.files.update(inner.files)
    walk.programs.update(inner.programs)
    walk.flags.update(inner.flags)
    walk.unresolved_.update(inner.unresolved_)
