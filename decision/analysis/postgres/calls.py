"""Function calls: what they compute from, and what else they do."""

from __future__ import annotations

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Scope, Shape, merge
from decision.analysis.postgres import effects as table
from decision.analysis.postgres.bodies import body_shows
from decision.analysis.postgres.builtins import AGGREGATES, NAMES, SET_RETURNING, WINDOW
from decision.analysis.postgres.columns import field_of, known_function
from decision.analysis.postgres.embedded import call_body, constant_sql, table_as_xml
from decision.analysis.postgres.expressions import expression, expressions, filtered, window
from decision.analysis.postgres.function_shapes import called_row
from decision.analysis.postgres.kept import SETTING_CALLS, setting_call
from decision.analysis.postgres.parse import Node, constant, only, qualified
from decision.analysis.postgres.total import telling
from decision.analysis.postgres.walk import EXPRESSIONS, Walk
from decision.model.catalog import CatalogFunction
from decision.model.facts import Access, Effect, RelationKind, Transform, Usage, Via

_FLAGS: dict[Effect, str] = {
    Effect.READS_FILES: "file", Effect.WRITES_FILES: "file", Effect.NETWORK: "remote", Effect.OS_COMMAND: "program",
    Effect.LARGE_OBJECT: "largeobject", Effect.KILLS_SESSIONS: "admin", Effect.SLEEPS: "dos",
}  # fmt: skip


# What such a function is given may come back by another way: a setting, a sequence, a notification, a lock's key.
_KEEPING = frozenset(
    {
        Effect.CHANGES_SETTINGS, Effect.WRITES, Effect.WRITES_FILES, Effect.LARGE_OBJECT, Effect.NETWORK,
        Effect.OS_COMMAND, Effect.KILLS_SESSIONS, Effect.SLEEPS,
    }
)  # fmt: skip


_SENDING = _KEEPING | {Effect.OPAQUE, Effect.DYNAMIC_SQL}  # and code that can't be known, or that makes SQL of it


def function_call(walk: Walk, scope: Scope, body: Node) -> Flow:
    schema, name = qualified(body.get("funcname"))
    arguments = body.get("args", [])
    given: list[Flow] | None = body.get("_flows")
    flows = expressions(walk, scope, arguments) if given is None else given
    if len(flows) == 1 and flows[0].row is not None and not schema:
        column = flows[0].row.lookup.get(name)
        if column is not None and not known_function(walk, name):
            return flows[0].computed()  # ssn(u) is u.ssn; taken for the whole row, which holds it
    found_effects, result = resolve_call(walk, schema, name, arguments)
    if name in SETTING_CALLS and schema in ("", "pg_catalog"):
        result += setting_call(walk, scope, name, arguments, flows)
    _clauses(walk, scope, body, flows, name)
    if _makes_rows(walk, name, arguments):
        for flow in flows:
            walk.use(flow, Usage.FILTER)  # it decides how many rows there are
    for effect in found_effects:
        flag = _FLAGS.get(effect)
        if flag is not None:
            walk.flags.add(flag)
    if not _SENDING.isdisjoint(found_effects):
        for flow in flows:
            walk.use(flow, Usage.PASSED)
    if _KEEPING.isdisjoint(found_effects) and name not in SET_RETURNING:
        _failing(walk, schema, name, arguments, flows, variadic=body.get("func_variadic", False))
    if found_effects or name in table.DENIAL_OF_SERVICE:
        _consequences(walk, scope, name, arguments)
    aggregate = name in AGGREGATES or _own_aggregate(walk, schema, name)
    aggregate = aggregate or "agg_within_group" in body or "agg_star" in body
    if aggregate and "over" not in body:
        for flow in flows:
            walk.use(flow, Usage.AGGREGATE)
    value = merge([*flows, *result], Transform.AGGREGATE if aggregate and name not in WINDOW else None)
    row = called_row(result, merge(flows)) if result and result[0].row is not None else None
    return value if row is None else Flow(value.sources, value.transform, value.opaque, row)


def _failing(walk: Walk, schema: str, name: str, arguments: list[Node], flows: list[Flow], *, variadic: bool) -> None:
    """What a function may fail by is checked: of a built-in one it is known, of a user's it is in its body."""
    if not any(flow.sources for flow in flows):
        return
    users = _user_functions(walk, schema, name, False)
    quiet = all(
        function.kind == "aggregate" or (function.language == "sql" and not body_shows(function.body))
        for function in users
    )
    told = telling(name, arguments, flows, variadic) if name in NAMES and schema in ("", "pg_catalog") else ()
    if not quiet or (not users and name not in NAMES):
        told = flows
    for flow in told:
        walk.use(flow, Usage.CHECK)


def _makes_rows(walk: Walk, name: str, arguments: list[Node]) -> bool:
    if name in SET_RETURNING:
        return not (len(arguments) == 1 and "A_ArrayExpr" in arguments[0])
    return walk.catalog is not None and any(f.returns_set for f in walk.catalog.functions.get(name, ()))


def _own_aggregate(walk: Walk, schema: str, name: str) -> bool:
    known = walk.catalog.functions.get(name, ()) if walk.catalog is not None else ()
    return any(function.kind == "aggregate" and schema in ("", function.schema) for function in known)


def _clauses(walk: Walk, scope: Scope, body: Node, flows: list[Flow], name: str) -> None:
    for order in body.get("agg_order", ()):
        ordered = expression(walk, scope, order)
        walk.use(ordered, Usage.ORDER)
        if "agg_within_group" in body:
            flows.append(ordered)
    if "agg_filter" in body:
        flows.append(filtered(walk, scope, body["agg_filter"]))
    if "over" in body:
        window(walk, scope, body["over"])
        for flow in flows:
            walk.use(flow, Usage.AGGREGATE)  # they reach the output only; what decides about order is in the clause


def resolve_call(walk: Walk, schema: str, name: str, arguments: list[Node]) -> tuple[tuple[Effect, ...], list[Flow]]:
    """Effects of whatever functions the name may mean, and the flows that their bodies add to the result."""
    effects: dict[Effect, None] = {}
    added: list[Flow] = []
    builtin = table.builtin_effects(name) if schema in ("", "pg_catalog") else None
    if builtin is not None:
        walk.functions.setdefault(("pg_catalog", name), builtin)
        effects.update(dict.fromkeys(builtin))
        if name in table.READERS:
            added.append(_system_reads(walk, name))
        if name in table.SQL_ARGUMENT:
            added.append(constant_sql(walk, name, arguments, table.SQL_ARGUMENT[name]))
        elif name in table.TABLE_TO_XML:
            added.append(table_as_xml(walk, arguments))
        elif Effect.OPAQUE in builtin or name in table.VALUES_OF_OTHERS:
            added.append(OPAQUE)
        if name in table.UNKNOWN_TABLES:
            walk.flags.add("dynamic_unknown")
    users = _user_functions(walk, schema, name, builtin is not None)
    for function in users:
        found, flow = call_body(walk, function)
        walk.functions.setdefault((function.schema, function.name), found)
        effects.update(dict.fromkeys(found))
        added.append(flow)
    state = walk.state
    if schema != "pg_catalog" and (name in state.functions or (state.overflowed and builtin is None)):
        effects[Effect.OPAQUE] = None
        walk.functions[(schema, name)] = (Effect.OPAQUE,)
        added.append(OPAQUE)
    elif builtin is None and not users:
        known = table.extension_effects(name) or (Effect.OPAQUE,)
        known = known if Effect.OPAQUE in known else (*known, Effect.OPAQUE)
        walk.functions.setdefault((schema, name), known)
        effects.update(dict.fromkeys(known))
        added.append(OPAQUE)
    return tuple(effects), added


def _system_reads(walk: Walk, name: str) -> Flow:
    """What a built-in function reads on its own account."""
    keys = []
    for relation, columns in table.READERS[name].items():
        entry = walk.catalog.entry("pg_catalog", relation) if walk.catalog is not None else None
        oid, tags = (entry.relation.oid, entry.relation.tags) if entry is not None else (0, ())
        via = walk.via if walk.via is not Via.DIRECT else Via.FUNCTION
        walk.touch("pg_catalog", relation, RelationKind.SYSTEM, Access.READ, oid, tags, via)
        keys += [("pg_catalog", relation, column) for column in columns]
    flow = Flow(frozenset(keys))
    walk.use(flow, Usage.INNER)
    return flow


def _user_functions(walk: Walk, schema: str, name: str, shadowed: bool) -> list[CatalogFunction]:
    if walk.catalog is None or schema == "pg_catalog":
        return []
    found = walk.catalog.functions.get(name, [])
    if schema:
        return [function for function in found if function.schema == schema]
    if not found:
        return found
    from decision.analysis.postgres.names import search_paths

    paths = search_paths(walk)
    if any(path is None for path in paths):
        return found
    reachable = {name for path in paths for name in path or ()}
    return [function for function in found if function.schema in reachable]


def _consequences(walk: Walk, scope: Scope, name: str, arguments: list[Node]) -> None:
    if name in table.DENIAL_OF_SERVICE:
        walk.flags.add("dos")
    if name in table.ADMINISTRATIVE:
        walk.flags.add("admin")
    if name in table.XML_SQL:
        walk.flags.add("xml_sql")
    if name in table.REPLICATION:
        walk.flags.add("replication")
    if "advisory" in name:
        walk.flags.add("advisory_lock")
    if name in ("nextval", "setval"):
        walk.flags.add("sequence")
        _sequence(walk, arguments)
    if name == "pg_notify":
        walk.flags.add("notify")
    if name == "set_config":
        walk.flags.add("setting")
        from decision.analysis.postgres.settings import set_config

        set_config(walk, scope, arguments)
    if name in ("pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "lo_import", "lo_export"):
        path = literal(arguments[-1 if name == "lo_export" else 0]) if arguments else None
        if path is not None:
            walk.files[first_path(path)] = None


def first_path(path: str) -> str:
    """The path, without anything that follows a blank or line break."""
    return path.split(None, 1)[0][:256] if path.strip() else ""


def _sequence(walk: Walk, arguments: list[Node]) -> None:
    text = literal(arguments[0]) if arguments else None
    if text is None:
        return
    from decision.analysis.session import parse_search_path

    parts = parse_search_path(text.replace(".", ","))
    if 0 < len(parts) <= 2 and walk.catalog is not None:
        from decision.analysis.postgres.names import resolve

        found = resolve(walk, parts[0] if len(parts) == 2 else "", parts[-1])
        walk.touch(found.schema, found.name, RelationKind.SEQUENCE, Access.WRITE, found.oid, found.tags)


def literal(node: Node) -> str | None:
    """The text of a constant, casts of it included."""
    tag, body = only(node)
    if tag == "A_Const":
        return constant(body)
    if tag == "TypeCast" and "arg" in body:
        return literal(body["arg"])
    return None


def _named_argument(walk: Walk, scope: Scope, body: Node) -> Flow:
    return expression(walk, scope, body["arg"]) if "arg" in body else CONSTANT


EXPRESSIONS["FuncCall"] = function_call
EXPRESSIONS["NamedArgExpr"] = _named_argument

__all__ = ["NAMES", "Shape", "field_of", "first_path", "function_call", "literal", "resolve_call"]
