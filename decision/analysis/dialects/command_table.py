"""The table of statements that are known by their first words."""

from __future__ import annotations

from dataclasses import dataclass

from decision.model.facts import Access, Kind

SQLGLOT = frozenset(
    {"SELECT", "WITH", "(", "VALUES", "TABLE", "FROM", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE",
     "DROP", "ALTER", "USE", "SET", "SHOW", "DESCRIBE", "DESC", "PRAGMA", "ATTACH", "DETACH", "COPY", "EXPORT",
     "LOAD", "REPLACE", "PIVOT", "UNPIVOT", "SUMMARIZE"}
)  # fmt: skip
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
    Row("PURGE", _U, ("admin", "replication"), ("purge", "server"), dialects=_M),
    Row("PURGE", _U, ("admin",), ("purge", "server"), dialects=_O),
    Row("ALTER SHARE", _DDL, ("foreign", "remote"), ("alter", "share"), dialects=_S),
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
      for what in ("SERVER", "STAGE", "EXTERNAL", "SECRET", "INTEGRATION", "PIPE", "SHARE", "MODEL",
                   "VIRTUAL", "CONNECTION")),
    Row("CREATE DIRECTORY", _DDL, ("foreign", "file"), ("create", "directory"), dialects=_O),
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
    Row("UNDROP TABLE", _DDL, (), ("undrop", "table"), Access.DDL, dialects=_S),
    Row("UNDROP", _DDL, (), ("undrop", "table"), dialects=("snowflake", "bigquery")),
    Row("FLASHBACK TABLE", _DDL, (), ("flashback", "table"), Access.DDL, dialects=_O),
    Row("FLASHBACK", _DDL, (), ("flashback", "table"), dialects=_O),
    Row("ALTER SYSTEM", _U, ("admin", "security_setting", "setting"), ("alter", "system"), dialects=_O),
    Row("ALTER SESSION", (Kind.SESSION,), ("setting", "search_path_change"), dialects=_O),
    Row("EXPLAIN PLAN", (Kind.EXPLAIN, Kind.INSERT), ("explain",), dialects=_O),
    Row("ASSERT", _U, ("procedural",), dialects=_B),
)  # fmt: skip
PROCEDURAL = frozenset(
    {"BEGIN", "DECLARE", "IF", "WHILE", "LOOP", "REPEAT", "FOR", "CASE", "GO", "GOTO", "RETURN", "RAISE", "RAISERROR",
     "THROW", "PRINT", "OPEN", "FETCH", "CLOSE", "DEALLOCATE", "EXEC", "LET", "DO", "SIGNAL",
     "RESIGNAL", "ENABLE", "DISABLE", "END"}
)  # fmt: skip
