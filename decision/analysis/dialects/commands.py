"""Statements that are known by their first words, before (or instead of) sqlglot: what it can't read, or misreads.

Each row of the table says what the statement does; all of them but the plain ones stay `unknown` too, for their rest is
not read. (More than 300 lines: a hundred of them are the table.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decision.analysis.dialects.calls import procedure
from decision.analysis.dialects.guards import BATCH_WORDS
from decision.analysis.dialects.lexical import Piece, dotted
from decision.analysis.dialects.names import by_name
from decision.analysis.dialects.walk import Walk
from decision.analysis.effects import RoleSet, SearchPathSet
from decision.model.facts import Access, Kind, ObjectName

SQLGLOT = frozenset(
    [
        "SELECT",
        "WITH",
        "(",
        "VALUES",
        "TABLE",
        "FROM",
        "INSERT",
        "UPDATE",
        "DELETE",
        "MERGE",
        "TRUNCATE",
        "CREATE",
        "DROP",
        "ALTER",
        "USE",
        "SET",
        "SHOW",
        "DESCRIBE",
        "DESC",
        "PRAGMA",
        "ATTACH",
        "DETACH",
        "COPY",
        "EXPORT",
        "LOAD",
        "REPLACE",
        "PIVOT",
        "UNPIVOT",
        "SUMMARIZE",
    ]
)
_ANY = ("mysql", "sqlite", "tsql", "snowflake", "bigquery", "duckdb", "oracle")


@dataclass(frozen=True, slots=True)
class Row:
    """`names`: after which word (none: right behind) relations stand, and how they are accessed."""

    words: str
    kinds: tuple[Kind, ...]
    flags: tuple[str, ...] = ()
    operation: tuple[str, str] = ("", "")
    access: Access | None = None
    plain: bool = False
    dialects: tuple[str, ...] = _ANY


_M, _T, _S, _D, _O, _B, _L = ("mysql",), ("tsql",), ("snowflake",), ("duckdb",), ("oracle",), ("bigquery",), ("sqlite",)
_U, _DDL, _DCL, _MAINT = (Kind.UTILITY,), (Kind.DDL,), (Kind.DCL,), (Kind.MAINTENANCE,)
_CODE = (Kind.DDL,)
ROWS: tuple[Row, ...] = (
    Row("HANDLER", (Kind.SELECT, Kind.CURSOR), ("cursor",), access=Access.READ, dialects=_M),
    Row("LOCK TABLES", _U, ("lock",), ("lock", "table"), Access.LOCK, dialects=_M),
    Row("LOCK TABLE", _U, ("lock",), ("lock", "table"), Access.LOCK, dialects=("mysql", "oracle")),
    Row("UNLOCK TABLES", _U, (), ("unlock", "table"), plain=True, dialects=_M),
    Row("FLUSH", _U, ("admin",), ("flush", "server"), dialects=_M),
    Row("RESET", _U, ("admin",), ("reset", "server"), dialects=_M),
    Row("RESET", (Kind.SESSION,), ("setting",), dialects=_D),
    Row("CREATE SYNONYM", _DDL, ("foreign",), ("create", "synonym"), dialects=("tsql", "oracle")),
    Row("PURGE", _U, ("admin", "replication"), ("purge", "server"), dialects=("mysql", "oracle")),
    Row("INSTALL", _U, ("extension", "load", "admin"), ("install", "extension"), dialects=("mysql", "duckdb")),
    Row("UNINSTALL", _U, ("extension", "admin"), ("uninstall", "extension"), dialects=_M),
    Row("FORCE INSTALL", _U, ("extension", "load", "admin"), ("install", "extension"), dialects=_D),
    Row("LOAD", _U, ("extension", "load", "admin"), ("load", "extension"), dialects=_D),
    Row("UPDATE EXTENSIONS", _U, ("extension", "remote", "admin"), ("update", "extension"), dialects=_D),
    Row("IMPORT", _U, ("file", "admin"), ("import", "table"), dialects=("mysql", "duckdb")),
    Row("EXPORT DATABASE", (Kind.COPY_OUT,), ("file", "copy_to"), ("export", "database"), dialects=_D),
    Row("EXPORT MODEL", (Kind.COPY_OUT,), ("file", "remote", "copy_to"), ("export", "model"), dialects=_B),
    Row("XA", (Kind.TCL,), ("transaction_control", "xa"), dialects=_M),
    Row("KILL", _U, ("admin", "kills_sessions"), ("kill", "session")),
    Row("SHUTDOWN", _U, ("admin",), ("shutdown", "server")),
    Row("RESTART", _U, ("admin",), ("restart", "server"), dialects=_M),
    Row("CHANGE", _U, ("admin", "replication"), ("change", "replication"), dialects=_M),
    Row("CLONE", _U, ("admin", "remote"), ("clone", "server"), dialects=_M),
    Row("BINLOG", _U, ("admin", "opaque_code"), dialects=_M),
    Row("GRANT", _DCL, (), ("grant", "privilege"), plain=True),
    Row("REVOKE", _DCL, (), ("revoke", "privilege"), plain=True),
    Row("DENY", _DCL, (), ("deny", "privilege"), plain=True, dialects=_T),
    *(Row(f"{verb} {what}", _DCL, (), (verb.lower(), what.lower()))
      for verb in ("CREATE", "ALTER", "DROP", "RENAME") for what in ("USER", "ROLE", "LOGIN", "CREDENTIAL")),
    Row("RENAME TABLE", _DDL, (), ("rename", "table"), Access.DDL, dialects=_M),
    *(Row(f"{verb} TABLE", _MAINT, (), (verb.lower(), "table"), Access.LOCK, plain=True, dialects=_M)
      for verb in ("OPTIMIZE", "ANALYZE", "CHECK", "REPAIR", "CHECKSUM")),
    Row("ANALYZE", _MAINT, (), ("analyze", "table"), dialects=("sqlite", "duckdb", "oracle")),
    Row("VACUUM INTO", _MAINT, ("file",), ("vacuum", "database"), dialects=_L),
    Row("VACUUM", _MAINT, (), ("vacuum", "database"), dialects=("sqlite", "duckdb")),
    Row("REINDEX", _MAINT, (), ("reindex", "index"), dialects=_L),
    Row("CHECKPOINT", _MAINT, (), ("checkpoint", "database"), dialects=("duckdb", "tsql")),
    *(Row(f"CREATE {what}", _CODE, ("code",), ("create", what.lower()))
      for what in ("EVENT", "TRIGGER", "PROCEDURE", "PROC", "FUNCTION", "AGGREGATE", "TASK", "PACKAGE", "MACRO", "TYPE",
                   "LIBRARY", "JAVA", "ASSEMBLY")),
    *(Row(f"CREATE {what}", _DDL, ("foreign", "remote"), ("create", what.lower()))
      for what in ("SERVER", "STAGE", "DIRECTORY", "EXTERNAL", "SECRET", "INTEGRATION", "PIPE", "SHARE", "MODEL",
                   "VIRTUAL", "CONNECTION")),
    Row("CREATE DATABASE LINK", _DDL, ("foreign", "remote"), ("create", "database link"), dialects=_O),
    Row("BULK INSERT", (Kind.COPY_IN,), ("file", "copy_from"), access=Access.WRITE, dialects=_T),
    Row("WAITFOR", _U, ("dos", "procedural"), dialects=_T),
    Row("RECONFIGURE", _U, ("admin", "setting"), ("reconfigure", "server"), dialects=_T),
    Row("BACKUP", _U, ("file", "admin"), ("backup", "database"), dialects=_T),
    Row("RESTORE", _U, ("file", "admin"), ("restore", "database"), dialects=_T),
    Row("DBCC", _U, ("admin",), ("dbcc", "server"), dialects=_T),
    Row("SP_CONFIGURE", (Kind.CALL,), ("admin", "setting"), dialects=_T),
    Row("REVERT", (Kind.SESSION,), ("role_change",), dialects=_T),
    Row("SET ROLE", (Kind.SESSION,), ("role_change",), plain=True),
    Row("SET DEFAULT ROLE", _DCL, ("role_change",), dialects=_M),
    Row("SET PASSWORD", _DCL, (), ("alter", "user"), plain=True, dialects=_M),
    Row("GET", (Kind.COPY_OUT,), ("file", "copy_to"), dialects=_S),
    Row("PUT", (Kind.COPY_IN,), ("file", "copy_from"), dialects=_S),
    Row("LIST", _U, ("file",), ("list", "stage"), dialects=_S),
    Row("LS", _U, ("file",), ("list", "stage"), dialects=_S),
    Row("REMOVE", _U, ("file",), ("remove", "stage"), dialects=_S),
    Row("RM", _U, ("file",), ("remove", "stage"), dialects=_S),
    Row("UNDROP", _DDL, (), ("undrop", "table"), dialects=("snowflake", "bigquery")),
    Row("FLASHBACK", _DDL, (), ("flashback", "table"), dialects=_O),
    Row("ALTER SYSTEM", _U, ("admin", "security_setting", "setting"), ("alter", "system"), dialects=_O),
    Row("ALTER SESSION", (Kind.SESSION,), ("setting", "search_path_change"), dialects=_O),
    Row("EXPLAIN PLAN", (Kind.EXPLAIN, Kind.INSERT), ("explain",), dialects=_O),
    Row("ASSERT", _U, ("procedural",), dialects=_B),
)  # fmt: skip
PROCEDURAL = frozenset(
    [
        "BEGIN",
        "DECLARE",
        "IF",
        "WHILE",
        "LOOP",
        "REPEAT",
        "FOR",
        "CASE",
        "GO",
        "GOTO",
        "RETURN",
        "RAISE",
        "RAISERROR",
        "THROW",
        "PRINT",
        "OPEN",
        "FETCH",
        "CLOSE",
        "DEALLOCATE",
        "EXECUTE",
        "EXEC",
        "CALL",
        "LET",
        "DO",
        "SIGNAL",
        "RESIGNAL",
        "ENABLE",
        "DISABLE",
        "END",
    ]
)
_TRANSACTION = frozenset(
    [
        "BEGIN",
        "START",
        "TRANSACTION",
        "TRAN",
        "WORK",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "SAVE",
        "RELEASE",
        "TO",
        "AND",
        "NO",
        "CHAIN",
        "ABORT",
        "END",
        "DEFERRED",
        "IMMEDIATE",
        "EXCLUSIVE",
        "READ",
        "ONLY",
        "WRITE",
        "ISOLATION",
        "LEVEL",
        "REPEATABLE",
        "COMMITTED",
        "UNCOMMITTED",
        "SERIALIZABLE",
        "WITH",
        "CONSISTENT",
        "SNAPSHOT",
        ",",
        ";",
    ]
)
_STARTS = frozenset({"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "SAVE", "RELEASE", "ABORT", "END"})


def transaction(walk: Walk, found: Sequence[Piece]) -> bool:
    """Transaction control, and nothing but it."""
    words = [piece.upper for piece in found]
    if words[0] not in _STARTS or (words[0] == "END" and walk.dialect not in ("sqlite", "duckdb")):
        return False
    named = {i + 1 for i, word in enumerate(words) if word in ("SAVEPOINT", "TO", "TRAN", "TRANSACTION", "SAVE")}
    if walk.dialect == "tsql" and any(word in BATCH_WORDS - _TRANSACTION for word in words):
        return False
    odd = [i for i, word in enumerate(words) if word not in _TRANSACTION and i not in named]
    if odd or len(words) > 12 or (walk.dialect == "tsql" and words == ["BEGIN"]) or words == ["START"]:
        return False
    if walk.dialect in ("oracle", "bigquery", "snowflake") and words[0] == "BEGIN" and len(words) == 1:
        return walk.dialect == "snowflake" and _tcl(walk)
    return _tcl(walk)


def _tcl(walk: Walk) -> bool:
    walk.record.kind(Kind.TCL)
    walk.record.flags.add("transaction_control")
    return True


def command(walk: Walk, found: Sequence[Piece]) -> bool:
    """Whether the first words decide; if so, the record says what is known."""
    words = [piece.upper for piece in found[:8]]
    row = _row(walk, words)
    if row is not None:
        _apply(walk, row, found)
        return True
    if words[0] in SQLGLOT:
        return False
    if walk.dialect == "tsql" and words[0] not in BATCH_WORDS | PROCEDURAL and found[0].kind in ("word", "name"):
        procedure(walk, found, None)  # a batch's first procedure may stand without EXEC
        return True
    walk.record.kind(Kind.UNKNOWN)
    if words[0] in PROCEDURAL:
        walk.record.kind(Kind.DO)
        walk.record.flags.add("procedural")
        walk.record.effects.append(SearchPathSet(None))
        walk.record.refuse(words[0], "procedural code is not read")
    else:
        walk.record.refuse("statement", "a statement that is not known")
    return True


_FILLERS = frozenset(
    {"OR", "REPLACE", "TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "PUBLIC", "SECURE", "DEFINER", "IF", "NOT", "EXISTS",
     "EDITIONABLE", "NONEDITIONABLE", "SCALAR", "PERSISTENT"}
)  # fmt: skip


def _row(walk: Walk, words: list[str]) -> Row | None:
    forms = [words]
    if words[0] == "CREATE":
        rest = words[1:]
        while rest and rest[0] in _FILLERS:
            rest = rest[1:]
        forms.append(["CREATE", *rest])
    best: Row | None = None
    for row in ROWS:
        wanted = row.words.split()
        longer = best is None or len(row.words) > len(best.words)
        if longer and walk.dialect in row.dialects and any(form[: len(wanted)] == wanted for form in forms):
            best = row
    if best is not None and best.words == "LOAD" and words[1:2] == ["DATA"]:
        return None
    return best


def _apply(walk: Walk, row: Row, found: Sequence[Piece]) -> None:
    record = walk.record
    record.kind(*row.kinds)
    record.flags.update(row.flags)
    count = len(row.words.split())
    objects: list[ObjectName] = []
    if row.access is not None:
        for path in _relations(found[count:]):
            source = by_name(walk, path, row.access)
            objects.append(ObjectName(*(source.relation or ("", walk.shown(path[-1])))))
    verb, object_type = row.operation
    if verb:
        options: tuple[str, ...] = ()
        if object_type == "privilege":
            options = _privileges(walk, found, objects)
        record.operate(verb, object_type, *objects, options=options)
    if row.words == "VACUUM" and "INTO" in [piece.upper for piece in found]:
        record.flags.add("file")
    if "file" in record.flags:
        record.files.update(dict.fromkeys(_places(found)))
    if "search_path_change" in row.flags:
        record.effects.append(SearchPathSet(None))
    if "role_change" in row.flags:
        record.effects.append(RoleSet(found[-1].value if found[-1].kind in ("word", "name") else ""))
    if not row.plain or _more(walk, found, object_type == "privilege"):
        record.refuse(row.words, "only its first words are read")


_NO_RELATIONS = frozenset(
    {"PROCEDURE", "FUNCTION", "SCHEMA", "DATABASE", "WAREHOUSE", "SERVER", "ROLE", "USER", "LOGIN", "ALL", "FUTURE",
     "DIRECTORY", "STAGE", "INTEGRATION", "ACCOUNT", "TYPE", "PACKAGE", "SEQUENCE", "TASK", "PIPE", "EXTERNAL"}
)  # fmt: skip


def _privileges(walk: Walk, found: Sequence[Piece], objects: list[ObjectName]) -> tuple[str, ...]:
    """Which privileges GRANT, REVOKE or DENY names; the relation that they are on goes to `objects`."""
    words = [piece.upper for piece in found]
    stop = words.index("ON") if "ON" in words else len(words)
    if "ON" not in words:
        walk.record.flags.add("role_grant")
    if "SHARE" in words[stop:]:
        walk.record.flags.add("remote")
    behind = found[stop + 1 :]
    if behind and behind[0].upper in ("TABLE", "VIEW", "OBJECT"):
        behind = behind[2:] if len(behind) > 1 and behind[1].text == "::" else behind[1:]
    path, count = dotted(behind)
    following = behind[count].upper if len(behind) > count else ""
    code = {"EXECUTE", "USAGE"} >= set(words[1:stop])
    if path and not code and following in ("TO", "FROM", ",", "(") and behind[0].upper not in _NO_RELATIONS:
        source = by_name(walk, path, Access.DDL)
        objects.append(ObjectName(*(source.relation or ("", walk.shown(path[-1])))))
    return tuple(sorted({word.lower() for word in words[1:stop] if word.isalpha() and word != "OPTION"}))


def _more(walk: Walk, found: Sequence[Piece], privileges: bool) -> bool:
    """Whether there are words that may begin another statement, or a query within this one."""
    words = [piece.upper for piece in found[1:]]
    if privileges:
        words = words[words.index("TO") + 1 :] if "TO" in words else []
    banned = BATCH_WORDS - {"WITH", "SET"} if walk.dialect == "tsql" else {"SELECT", "EXEC", "EXECUTE"}
    return any(word in banned for word in words if word != "GRANT")


def _places(found: Sequence[Piece]) -> list[str]:
    places = []
    for piece in found:
        if piece.kind == "variable" and piece.text.startswith("@"):
            places.append(piece.text.split("/")[0])
        elif piece.kind == "string":
            places.append("file://" if piece.text.lower().startswith("file:") else "")
    return places


def _relations(found: Sequence[Piece]) -> list[list[str]]:
    """The dotted names at the beginning of items between commas; words behind a name are its options."""
    names: list[list[str]] = []
    expecting = True
    for index, piece in enumerate(found):
        if expecting and piece.kind in ("word", "name"):
            names.append(dotted(found[index:])[0])
            expecting = False
        elif piece.text == "," or piece.upper == "TO":
            expecting = True
    return names
