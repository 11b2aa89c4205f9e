"""What a statement was found to do, collected while its tree is walked, and made into a `Statement` at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from decision.analysis.catalog import CatalogIndex
from decision.analysis.dialects.traits import Traits
from decision.analysis.effects import SessionEffect
from decision.analysis.flow import Flow, Key
from decision.analysis.limits import Budget
from decision.analysis.result import BoundValue
from decision.analysis.session import SessionState
from decision.model.facts import (
    Access,
    ColumnUse,
    Effect,
    FunctionUse,
    Kind,
    ObjectName,
    Operation,
    OutputColumn,
    Predicate,
    RelationKind,
    RelationUse,
    Statement,
    Unresolved,
    Usage,
    Via,
)

Output = list[tuple[str, Flow]]


@dataclass(slots=True)
class _Relation:
    kind: RelationKind
    access: set[Access] = field(default_factory=set)
    tags: tuple[str, ...] = ()
    oid: int = 0


class Record:
    """One statement's findings. `via` is the reason of what is touched now. `seen` holds the ids of visited nodes."""

    def __init__(self, traits: Traits, index: CatalogIndex | None, state: SessionState, budget: Budget) -> None:
        self.traits = traits
        self.index = index
        self.state = state
        self.budget = budget
        self.via = Via.DIRECT
        self.kinds: dict[Kind, None] = {}
        self.operations: list[Operation] = []
        self.relations: dict[tuple[str, str, Via], _Relation] = {}
        self.columns: dict[Key, set[Usage]] = {}
        self.functions: dict[tuple[str, str], tuple[Effect, ...]] = {}
        self.predicates: list[Predicate] = []
        self.settings: dict[str, None] = {}
        self.files: dict[str, None] = {}
        self.programs: dict[str, None] = {}
        self.flags: set[str] = set()
        self.unknown: dict[Unresolved, None] = {}
        self.output: Output = []
        self.returns_rows = False
        self.values: list[BoundValue] = []
        self.deciding: set[Key] = set()  # columns that decide otherwise than by an equality that pins them
        self.pinning = False  # such an equality is being read
        self.effects: list[SessionEffect] = []
        self.estimate: int | None = None
        self.seen: set[int] = set()
        self.depth = 0
        self.expanding: list[tuple[str, str]] = []

    def kind(self, *kinds: Kind) -> None:
        self.kinds.update(dict.fromkeys(kinds))

    def unresolved(self, what: str, why: str) -> None:
        self.unknown[Unresolved(what, why)] = None

    def refuse(self, what: str, why: str) -> None:
        """The statement as a whole can't be known."""
        self.kind(Kind.UNKNOWN)
        self.unresolved(what, why)

    def touch(
        self, schema: str, name: str, kind: RelationKind, access: Access, tags: tuple[str, ...] = (), oid: int = 0
    ) -> None:
        known = self.relations.setdefault((schema, name, self.via), _Relation(kind, set(), tags, oid))
        if (oid or tags) and not known.tags:  # one of that name stood elsewhere before
            known.kind, known.tags, known.oid = kind, tags, oid
        known.access.add(access)

    def use(self, flow: Flow, usage: Usage) -> None:
        for key in flow.sources:
            self.columns.setdefault(key, set()).add(usage)
        if usage in (Usage.FILTER, Usage.CHECK) and not self.pinning:
            self.deciding.update(flow.sources)

    def operate(self, verb: str, object_type: str, *objects: ObjectName, options: tuple[str, ...] = ()) -> None:
        self.operations.append(Operation(verb, object_type, objects, options))

    def call(self, schema: str, name: str, effects: tuple[Effect, ...]) -> None:
        known = self.functions.get((schema, name), ())
        self.functions[(schema, name)] = tuple(effect for effect in Effect if effect in known or effect in effects)

    def tags(self, keys: frozenset[Key]) -> tuple[str, ...]:
        if self.index is None:
            return ()
        return tuple(sorted({tag for key in keys for tag in self.index.tags_of(key)}))

    def _reads(self) -> None:
        """A relation whose columns are used beyond being written is read, whatever else is done to it."""
        used = {key[:2] for key, usages in self.columns.items() if usages - {Usage.WRITE}}
        for (schema, name, via), known in self.relations.items():
            if (schema, name) in used and via in (Via.DIRECT, Via.VIEW) and Access.WRITE in known.access:
                known.access.add(Access.READ)

    def statement(self, fingerprint: str, text: str, parameters: int, location: int, length: int) -> Statement:
        self._reads()
        predicate = weakest(self.predicates)
        if predicate is not None and predicate.pinned:
            for key in self.deciding:
                self.columns[key].add(Usage.PROBE)
        outputs = tuple(
            OutputColumn(ordinal, name, flow.columns(), flow.transform, self.tags(flow.sources), flow.opaque)
            for ordinal, (name, flow) in enumerate(self.output, 1)
        )
        relations = tuple(
            RelationUse(s, n, r.kind, tuple(a for a in Access if a in r.access), via, r.tags, r.oid)
            for (s, n, via), r in self.relations.items()
        )
        columns = tuple(
            ColumnUse(*key, tuple(u for u in Usage if u in used), self.tags(frozenset({key})))
            for key, used in sorted(self.columns.items())
        )
        return Statement(
            fingerprint=fingerprint,
            normalized_text=text,
            kinds=tuple(self.kinds),
            parameter_count=parameters,
            operations=tuple(self.operations),
            relations=relations,
            columns=columns,
            output=outputs,
            functions=tuple(FunctionUse(*name, effects) for name, effects in sorted(self.functions.items())),
            predicate=predicate,
            settings=tuple(self.settings),
            files=tuple(self.files),
            programs=tuple(self.programs),
            flags=tuple(sorted(self.flags)),
            unresolved=tuple(self.unknown),
            estimated_rows=self.estimate,
            returns_rows=self.returns_rows,
            location=location,
            length=length,
        )


def weakest(predicates: list[Predicate]) -> Predicate | None:
    """What holds of all of them."""
    if not predicates:
        return None
    if len(predicates) == 1:
        return predicates[0]
    pinned = set(predicates[0].pinned).intersection(*(one.pinned for one in predicates[1:]))
    limits = [one.limit for one in predicates]
    return Predicate(
        present=all(one.present for one in predicates),
        always_true=any(one.always_true for one in predicates),
        pinned=tuple(sorted(pinned)),
        pins_key=all(one.pins_key for one in predicates),
        limit=None if None in limits else max(limit for limit in limits if limit is not None),
    )
