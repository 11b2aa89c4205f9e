"""What analysis says of a message: one `Facts` document, a `Statement` for each SQL statement in it.

Names are structured, never dotted strings (`"public.users"` may be one identifier). Nothing here holds a literal
or a parameter's value. `Facts.document()` (decision.analysis.document) is what policies see.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of operation a statement performs; one statement may have several (`WITH d AS (DELETE …) SELECT`)."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    TRUNCATE = "truncate"
    COPY_IN = "copy_in"
    COPY_OUT = "copy_out"
    DDL = "ddl"
    DCL = "dcl"
    TCL = "tcl"
    SESSION = "session"
    DO = "do"
    CALL = "call"
    EXPLAIN = "explain"
    CURSOR = "cursor"
    PREPARE = "prepare"
    EXECUTE = "execute"
    MAINTENANCE = "maintenance"
    UTILITY = "utility"
    UNKNOWN = "unknown"


class RelationKind(StrEnum):
    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    FOREIGN_TABLE = "foreign_table"
    SYSTEM = "system"
    TEMPORARY = "temporary"
    PARTITIONED = "partitioned"
    SEQUENCE = "sequence"
    UNKNOWN = "unknown"


class Access(StrEnum):
    READ = "read"
    WRITE = "write"
    DDL = "ddl"
    LOCK = "lock"


class Via(StrEnum):
    """Why a relation is touched: named in the statement, or pulled in by something that the catalog knows."""

    DIRECT = "direct"
    VIEW = "view"
    RULE = "rule"
    TRIGGER = "trigger"
    ROW_SECURITY = "row_security"
    FOREIGN_KEY = "foreign_key"
    INHERITANCE = "inheritance"
    FUNCTION = "function"
    EMBEDDED_SQL = "embedded_sql"


class Usage(StrEnum):
    OUTPUT = "output"
    FILTER = "filter"
    WRITE = "write"
    JOIN = "join"
    GROUP = "group"
    ORDER = "order"
    WINDOW = "window"
    AGGREGATE = "aggregate"
    CHECK = "check"
    INNER = "inner"
    PASSED = "passed"  # to a function that does more than compute: it may keep the value or send it on
    PROBE = (
        "probe"  # compared otherwise than by the equality that pins it (said where columns are pinned), or sorted or
    )
    # grouped by something computed from it


class Transform(StrEnum):
    """How an output column is made from its sources."""

    IDENTITY = "identity"
    EXPRESSION = "expression"
    AGGREGATE = "aggregate"
    WHOLE_ROW = "whole_row"


class Effect(StrEnum):
    """Effects of a function beyond computing a value."""

    READS_FILES = "reads_files"
    WRITES_FILES = "writes_files"
    OS_COMMAND = "os_command"
    NETWORK = "network"
    DYNAMIC_SQL = "dynamic_sql"
    KILLS_SESSIONS = "kills_sessions"
    CHANGES_SETTINGS = "changes_settings"
    LARGE_OBJECT = "large_object"
    SLEEPS = "sleeps"
    WRITES = "writes"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """A database object; `schema` is empty where the object has none or it could not be resolved."""

    schema: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class ColumnName:
    """A base column. `schema` and `table` are empty for one that could not be resolved."""

    schema: str
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What DDL, DCL and utility statements do: `verb` (drop, alter, create, grant …), on what, with which options."""

    verb: str
    object_type: str
    objects: tuple[ObjectName, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RelationUse:
    schema: str
    name: str
    kind: RelationKind
    access: tuple[Access, ...]
    via: Via = Via.DIRECT
    tags: tuple[str, ...] = ()
    oid: int = 0  # in the catalog snapshot; 0 if not there. Not part of the policy document.


@dataclass(frozen=True, slots=True)
class ColumnUse:
    schema: str
    table: str
    column: str
    usage: tuple[Usage, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column that leaves the database, 1-based `ordinal` as in RowDescription (or of the COPY row).

    `opaque`: the sources may be incomplete; what comes out can't be trusted to be harmless.
    """

    ordinal: int
    name: str
    sources: tuple[ColumnName, ...]
    transform: Transform
    tags: tuple[str, ...] = ()
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class FunctionUse:
    schema: str
    name: str
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Predicate:
    """What restricts the rows of a SELECT, UPDATE or DELETE.

    `present`: there is a WHERE; `always_true`: it was shown not to restrict (never complete);
    `pinned`: columns of the target that top-level equality holds to one value;
    `pins_key`: those columns cover a primary or unique key of the target; `limit`: the row limit that holds, if any.
    """

    present: bool = False
    always_true: bool = False
    pinned: tuple[str, ...] = ()
    pins_key: bool = False
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Something that could not be known: `what` (a name or a construct, never a literal) and `why`."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Statement:
    """The facts of one SQL statement. `location`/`length` are byte offsets into the message (not in the document)."""

    fingerprint: str
    normalized_text: str
    kinds: tuple[Kind, ...]
    parameter_count: int = 0
    operations: tuple[Operation, ...] = ()
    relations: tuple[RelationUse, ...] = ()
    columns: tuple[ColumnUse, ...] = ()
    output: tuple[OutputColumn, ...] = ()
    functions: tuple[FunctionUse, ...] = ()
    predicate: Predicate | None = None
    settings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    estimated_rows: int | None = None
    returns_rows: bool = False
    location: int = 0
    length: int = 0

    @property
    def complete(self) -> bool:
        return not self.unresolved and Kind.UNKNOWN not in self.kinds


@dataclass(frozen=True, slots=True)
class Facts:
    """What analysis says of one message (one Query or Parse: zero or more statements)."""

    dialect: str
    parser_version: str
    catalog_version: str
    statements: tuple[Statement, ...] = ()

    @property
    def complete(self) -> bool:
        return all(statement.complete for statement in self.statements)

    @property
    def multi_statement(self) -> bool:
        return len(self.statements) > 1
