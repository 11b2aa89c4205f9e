"""SET, RESET, SHOW, set_config, ALTER SYSTEM: which settings change, and which of them change what text means."""

from __future__ import annotations

from decision.analysis.effects import RoleSet, SearchPathSet
from decision.analysis.flow import Scope, Shape
from decision.analysis.postgres.kept import filled
from decision.analysis.postgres.parse import Node, constant, only
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.analysis.session import parse_search_path
from decision.model.facts import Kind, Usage

# A change of these changes how text is read, or which checks hold.
SENSITIVE = frozenset(
    [
        "standard_conforming_strings",
        "backslash_quote",
        "client_encoding",
        "escape_string_warning",
        "session_replication_role",
        "row_security",
        "default_transaction_read_only",
        "transaction_read_only",
        "check_function_bodies",
        "quote_all_identifiers",
        "session_preload_libraries",
        "local_preload_libraries",
        "dynamic_library_path",
        "allow_system_table_mods",
        "ignore_checksum_failure",
        "zero_damaged_pages",
        "log_statement",
        "log_min_duration_statement",
        "log_duration",
        "track_activities",
        "lc_messages",
        "default_table_access_method",
        "lo_compat_privileges",
        "operator_precedence_warning",
        "transform_null_equals",
        "array_nulls",
        "search_path",
        "role",
        "session_authorization",
    ]
)
_ROLES = frozenset({"role", "session_authorization"})


def changed(walk: Walk, name: str, value: str | None, *, known: bool, runs: bool = False) -> None:
    """One setting gets a value (None: its default); `known` False: it can't be told which."""
    lowered = name.lower()
    walk.settings[lowered] = None
    if lowered in _ROLES:
        walk.flags.add("role_change")
        walk.effects.append(RoleSet(value or ""))
        if not known:
            walk.unresolved(lowered, "the role it is set to is not known")
    elif lowered == "search_path":
        walk.flags.add("search_path_change")
        walk.effects.append(SearchPathSet(_path(value) if known else None, runs))
    elif lowered in SENSITIVE and not (known and (value or "").lower() in HARMLESS.get(lowered, ())):
        walk.flags.add("lexer_setting" if lowered in LEXER else "security_setting")


LEXER = frozenset({"standard_conforming_strings", "backslash_quote", "client_encoding", "transform_null_equals",
                    "array_nulls", "escape_string_warning", "quote_all_identifiers"})  # fmt: skip

# What is in force anyway: drivers and restored dumps say it again.
HARMLESS = {
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
}


def _path(value: str | None) -> tuple[str, ...] | None:
    from decision.analysis.session import SNAPSHOT_PATH

    return SNAPSHOT_PATH if value is None else parse_search_path(value)


def variable_set(walk: Walk, body: Node) -> None:
    walk.kind(Kind.SESSION)
    kind, name = body.get("kind"), body.get("name", "")
    if kind == "VAR_RESET_ALL":
        walk.flags.update(("role_change", "reset_all"))
        for each in ("role", "search_path"):
            walk.settings[each] = None
        walk.effects += [RoleSet(""), SearchPathSet(_path(None), walk.root is None)]
        return
    if kind == "VAR_SET_MULTI":
        walk.settings[name.lower()] = None
        if name.upper().startswith(("TRANSACTION", "SESSION CHARACTERISTICS")):
            walk.flags.add("transaction_control")
            for item in body.get("args", ()):
                walk.settings[item.get("DefElem", {}).get("defname", "").lower()] = None
        return
    if kind == "VAR_SET_CURRENT":
        changed(walk, name, None, known=False)
        return
    arguments = body.get("args", [])
    values = [_text(node) for node in arguments]
    known = all(value is not None for value in values)
    if kind in ("VAR_SET_DEFAULT", "VAR_RESET"):
        changed(walk, name, None, known=True, runs=walk.root is None)
    elif name.lower() == "search_path":
        walk.settings["search_path"] = None
        walk.flags.add("search_path_change")
        path = tuple(value for value in values if value) if known else None
        walk.effects.append(SearchPathSet(path, walk.root is None))
    else:
        value = values[0] if values else None
        if name.lower() in _ROLES and (value or "").lower() == "none":
            value = ""
        changed(walk, name, value, known=known)


def _text(node: Node) -> str | None:
    tag, body = only(node)
    if tag == "A_Const":
        return constant(body)
    if tag == "TypeCast":
        return _text(body.get("arg", {}))
    return None


def set_config(walk: Walk, scope: Scope, arguments: list[Node]) -> None:
    """The function form of SET."""
    name = _text(arguments[0]) if arguments else None
    fields = arguments[0].get("ColumnRef", {}).get("fields", []) if arguments else []
    if name is None and len(fields) == 1:
        name = scope.pinned.get(fields[0].get("String", {}).get("sval", ""))
    value = _text(arguments[1]) if len(arguments) > 1 else None
    if name is None:
        walk.unresolved("set_config", "the setting's name is not constant")
        walk.effects.append(SearchPathSet(None))
        return
    changed(walk, name, value, known=value is not None)


def stored_setting(walk: Walk, body: Node) -> None:
    """A setting kept for a role or a database: it holds in every later session, not in this one."""
    name = body.get("name", "").lower()
    walk.settings[name or "all"] = None
    if body.get("kind") == "VAR_SET_CURRENT":
        kept = filled(walk, name)
        if kept.sources or kept.opaque:
            walk.unresolved(name, "the setting holds what this session took from columns; give it a constant")
    if name in LEXER:
        walk.flags.add("lexer_setting")
    elif name in SENSITIVE:
        walk.flags.add("search_path_change" if name == "search_path" else "security_setting")


def show(walk: Walk, body: Node) -> None:
    walk.kind(Kind.SESSION)
    walk.flags.add("show")
    name = body.get("name", "")
    names = ["name", "setting", "description"] if name == "all" else [name]
    walk.output = Shape(names, [filled(walk, None if name == "all" else name)] * len(names))
    walk.use(walk.output.flows[0], Usage.OUTPUT)
    walk.returns_rows = True


def alter_system(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.flags.update(("admin", "alter_system"))
    inner = body.get("setstmt", {})
    name = inner.get("name", "").lower()
    walk.settings[name or "all"] = None
    if name in SENSITIVE:
        walk.flags.add("security_setting")
    walk.operation("alter", "system")


STATEMENTS.update({"VariableSetStmt": variable_set, "VariableShowStmt": show, "AlterSystemStmt": alter_system})
