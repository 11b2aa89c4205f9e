"""What a statement does to its session, as far as later statements' meaning depends on it.

SessionEffect
├── RelationMade      a table or view that the catalog snapshot does not hold (yet)
├── RelationAltered   its columns, its rules or its very existence are no longer what the snapshot says
├── ReferenceMade     a foreign key, a rule, a trigger or an index that the snapshot does not hold (yet)
├── RuleMade
├── IndexMade
├── TriggerMade
├── ColumnsFilled     values flowed into a session-made relation's columns
├── FunctionMade      a function whose name may now mean something else
├── Prepared          PREPARE name AS …
├── CursorDeclared    DECLARE name CURSOR FOR …
├── SettingFilled     values flowed into a setting of the session, which it may be asked for
├── SearchPathSet     SET search_path, known or not
├── TransactionEnded  COMMIT, ROLLBACK, ROLLBACK TO: what was set may be undone
└── RoleSet           SET ROLE, SET SESSION AUTHORIZATION
"""

from __future__ import annotations

from dataclasses import dataclass

from decision.analysis.flow import Flow, Key
from decision.model.catalog import ForeignKey
from decision.model.facts import RelationKind, Statement, Transform


@dataclass(frozen=True, slots=True)
class MadeColumn:
    """`sources`: base columns whose values it may hold; `opaque`: and others, unknown; `computed`: or values made from
    theirs. `strict`: some values are refused (a constraint, key, partition or short type), so that a write shows what
    it wrote; `type_name` as declared, empty where it is the type of what was put in."""

    name: str
    sources: frozenset[Key] = frozenset()
    opaque: bool = False
    computed: bool = False
    strict: bool = False
    type_name: str = ""

    def joined(self, other: MadeColumn) -> MadeColumn:
        """Either of two may be what the name stands for, or both went in."""
        return MadeColumn(
            self.name,
            self.sources | other.sources,
            self.opaque or other.opaque,
            self.computed or other.computed,
            self.strict or other.strict,
            other.type_name or self.type_name,
        )

    @classmethod
    def of(cls, name: str, flow: Flow) -> MadeColumn:
        """A column that a flow goes into."""
        return cls(name, flow.sources, flow.opaque, bool(flow.sources) and flow.transform is not Transform.IDENTITY)


@dataclass(frozen=True, slots=True)
class RelationMade:
    """`parents`: of inheritance and partitioning, whose rows it shares; `behind`: the facts of a view's query, which a
    materialized one runs when it is refreshed."""

    schema: str
    name: str
    kind: RelationKind
    columns: tuple[MadeColumn, ...]
    complete: bool = True  # all columns are known
    parents: tuple[tuple[str, str], ...] = ()
    behind: Statement | None = None

    @property
    def seen_through(self) -> Statement | None:
        """What each statement on it reaches."""
        return None if self.kind is RelationKind.MATERIALIZED_VIEW else self.behind


@dataclass(frozen=True, slots=True)
class RelationAltered:
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class ReferenceMade:
    """A foreign key of a relation; `constraint.target_columns` empty: its primary key, whatever that is."""

    schema: str
    name: str
    constraint: ForeignKey


@dataclass(frozen=True, slots=True)
class RuleMade:
    """A rewrite rule; `behind` are the facts of its condition and actions."""

    schema: str
    name: str
    event: str  # insert update delete
    behind: Statement


@dataclass(frozen=True, slots=True)
class IndexMade:
    """An `index` by name, on a relation."""

    schema: str
    name: str
    index: str


@dataclass(frozen=True, slots=True)
class TriggerMade:
    """`after`: it can't change what the written row holds. `function_schema` empty: by the search path."""

    schema: str
    name: str
    events: tuple[str, ...]  # insert update delete truncate
    function_schema: str
    function_name: str
    after: bool


@dataclass(frozen=True, slots=True)
class ColumnsFilled:
    schema: str
    name: str
    columns: tuple[MadeColumn, ...]


@dataclass(frozen=True, slots=True)
class FunctionMade:
    name: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """`statement` are the facts of what was prepared; `values` are never kept. `search_paths` and `meaning` (a
    digest of what its names meant and held) are of then: with others the server reads the text anew."""

    name: str
    statement: Statement
    effects: tuple[SessionEffect, ...] = ()
    search_paths: tuple[tuple[str, ...] | None, ...] = ()
    meaning: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CursorDeclared:
    name: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class SettingFilled:
    """`name` empty: any setting. `sources`, `opaque` as a made column's."""

    name: str
    sources: frozenset[Key] = frozenset()
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class SearchPathSet:
    """`path` None: not known. `runs`: a statement of its own, so that whatever follows it in the message does so only
    after it succeeded."""

    path: tuple[str, ...] | None
    runs: bool = False


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    pass


@dataclass(frozen=True, slots=True)
class RoleSet:
    """`role` empty: back to the session's own."""

    role: str


SessionEffect = (
    RelationMade
    | RelationAltered
    | ReferenceMade
    | RuleMade
    | TriggerMade
    | IndexMade
    | ColumnsFilled
    | FunctionMade
    | Prepared
    | CursorDeclared
    | SettingFilled
    | SearchPathSet
    | TransactionEnded
    | RoleSet
)
