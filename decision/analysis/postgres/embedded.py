"""SQL inside SQL: function bodies, DO blocks, rules, and constant texts handed to functions that run them."""

from __future__ import annotations

from dataclasses import replace

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Key, Scope, Shape, merge
from decision.analysis.postgres.bodies import MAX_BODY, body_statements, is_query
from decision.analysis.postgres.function_shapes import body_row
from decision.analysis.postgres.names import search_paths
from decision.analysis.postgres.parse import Node, only, parse
from decision.analysis.postgres.settings import LEXER
from decision.analysis.postgres.walk import Walk, absorb, statement
from decision.analysis.session import parse_search_path
from decision.model.catalog import CatalogFunction
from decision.model.errors import SyntaxRefused
from decision.model.facts import Effect, Kind, Usage, Via

_WRITING = frozenset(
    {Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE, Kind.TRUNCATE, Kind.DDL, Kind.DCL, Kind.COPY_IN}
)


class Body:
    """A function's body analysed: `effects` of calling it, `flow` of what it may return."""

    __slots__ = ("effects", "flow", "walk")

    def __init__(self, walk: Walk, effects: tuple[Effect, ...], flow: Flow) -> None:
        self.walk = walk
        self.effects = effects
        self.flow = flow


def call_body(walk: Walk, function: CatalogFunction) -> tuple[tuple[Effect, ...], Flow]:
    """Fold a catalog function's body into the walk; what can't be read is opaque."""
    assert walk.catalog is not None
    marker = ("function", function.oid, function.schema, function.name)
    if marker in walk.expanding:
        return (Effect.OPAQUE,), OPAQUE  # functions that call each other: said to be opaque, not followed
    shared = _session_is_plain(walk)
    cached = walk.catalog.closures.get(marker) if shared else None
    if isinstance(cached, Body):
        body = cached
    else:
        body = _analyse(walk, function, marker)
        if shared and not walk.inside:
            walk.catalog.closures[marker] = body
    absorb(walk, body.walk, walk.via if walk.via is not Via.DIRECT else Via.FUNCTION)
    if function.security_definer:
        walk.flags.add("security_definer")
    return body.effects, body.flow


def _session_is_plain(walk: Walk) -> bool:
    """Whether names in bodies mean what the snapshot says: nothing made or changed, the search path as read."""
    state = walk.state
    if state.made or state.altered or state.functions or state.filled or state.overflowed:
        return False
    if not state.search_paths:
        return True
    assert walk.catalog is not None
    snapshot = walk.catalog.search_path()
    return search_paths(walk) == [snapshot if "pg_catalog" in snapshot else ("pg_catalog", *snapshot)]


def _analyse(walk: Walk, function: CatalogFunction, marker: object) -> Body:
    from decision.analysis.postgres.effects import extension_effects

    assert walk.catalog is not None
    inner = Walk(walk.catalog, walk.state, walk.budget.inner())
    inner.expanding = walk.expanding | {marker}
    known = extension_effects(function.name)
    opaque = not _configured(inner, function) or known is not None
    if function.body and function.language in ("sql", "plpgsql"):
        names = function.argument_names
        opaque = opaque or not body_statements(inner, function.body, function.language, names)
    elif function.language in ("c", "internal"):
        # An extension's C code: pure if it was declared so; otherwise nobody can say what it does.
        opaque = opaque or function.volatility == "volatile"
    else:
        opaque = True
    whole = inner.output if function.language == "sql" and is_query(function.body) else None
    if function.argument_defaults:
        opaque = not body_statements(inner, f"SELECT {function.argument_defaults}", "sql") or opaque
    if inner.unresolved_:
        inner.unresolved_.clear()
        opaque = True
    effects: dict[Effect, None] = dict.fromkeys(known or ())
    for found in inner.functions.values():
        effects.update(dict.fromkeys(found))
    if _WRITING & inner.kinds.keys():
        effects[Effect.WRITES] = None
    if "dynamic_sql" in inner.flags or "dynamic_unknown" in inner.flags:
        effects[Effect.DYNAMIC_SQL] = None
    if inner.settings:
        effects[Effect.CHANGES_SETTINGS] = None
    if opaque:
        effects[Effect.OPAQUE] = None
    read: frozenset[Key] = frozenset(inner.columns)
    for flow in inner.output.flows if inner.output is not None else ():
        read |= flow.sources
    row = None if Effect.OPAQUE in effects or function.argument_defaults else body_row(walk, function, whole)
    return Body(inner, tuple(effects), Flow(read, opaque=Effect.OPAQUE in effects, row=row))


def _configured(walk: Walk, function: CatalogFunction) -> bool:
    """Let names mean what the function's own settings make of them. False: that can't be known."""
    for name, value in function.configuration:
        if name in LEXER:
            return False
        if name == "search_path":
            path = parse_search_path(value)
            if "$user" in path:  # whoever it runs as
                return False
            walk.state = replace(walk.state, search_paths=(path,))
    return True


def constant_sql(walk: Walk, name: str, arguments: list[Node], position: int) -> Flow:
    """SQL handed to a built-in function that runs it."""
    from decision.analysis.postgres.calls import literal

    walk.flags.add("dynamic_sql")
    text = literal(arguments[position]) if position < len(arguments) else None
    if text is None and name == "ts_rewrite":
        return CONSTANT
    if text is None or len(text) > MAX_BODY:
        walk.flags.add("dynamic_unknown")
        return OPAQUE
    inner = Walk(walk.catalog, walk.state, walk.budget)
    try:
        for raw in parse(text):
            statement(inner, raw["stmt"])
    except SyntaxRefused:
        walk.flags.add("dynamic_unknown")
        return OPAQUE
    absorb(walk, inner, Via.EMBEDDED_SQL)
    for kind in inner.kinds:
        walk.kind(kind)
    shape = inner.output
    if shape is None:
        return OPAQUE
    return merge([*shape.flows, *([OPAQUE] if shape.open else [])])


def table_as_xml(walk: Walk, arguments: list[Node]) -> Flow:
    """All rows of the table whose name is the first argument."""
    from decision.analysis.postgres.calls import literal
    from decision.analysis.postgres.closure import read_relation
    from decision.analysis.postgres.names import resolve

    text = literal(arguments[0]) if arguments else None
    parts = parse_search_path(text.replace(".", ",")) if text else ()
    if not 0 < len(parts) <= 2 or walk.catalog is None:
        walk.flags.add("dynamic_unknown")
        return OPAQUE
    before, walk.via = walk.via, Via.EMBEDDED_SQL if walk.via is Via.DIRECT else walk.via
    shape = read_relation(walk, resolve(walk, parts[0] if len(parts) == 2 else "", parts[-1]))
    walk.via = before
    flow = merge([*shape.flows, OPAQUE])
    walk.use(flow, Usage.INNER)
    return flow


def do_block(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DO)
    walk.flags.add("do_block")
    language, text = "plpgsql", ""
    for item in body.get("args", ()):
        element = item.get("DefElem", {})
        value = element.get("arg", {}).get("String", {}).get("sval", "")
        if element.get("defname") == "language":
            language = value
        else:
            text = value
    inner = Walk(walk.catalog, walk.state, walk.budget)
    known = language in ("plpgsql", "sql") and body_statements(inner, text, language)
    absorb(walk, inner, Via.EMBEDDED_SQL)
    for kind in inner.kinds:
        walk.kind(kind)
    walk.predicates += inner.predicates
    walk.dml += inner.dml
    walk.effects += inner.effects
    if not known:
        walk.flags.add("opaque_code" if language not in ("plpgsql", "sql") else "dynamic_unknown")
        walk.unresolved("DO", "the block runs code that can't be known from its text")


def rule_actions(walk: Walk, body: Node, target: tuple[str, str], columns: Shape | None = None) -> None:
    """A rule's condition and actions; NEW and OLD stand for rows of its table, with these columns. What its query
    selects is the walk's output."""
    from decision.analysis.postgres.expressions import filtered

    entry = walk.catalog.entry(*target) if walk.catalog is not None else None
    shape = columns or (entry.shape if entry is not None else Shape((), (), is_open=True))
    scope = Scope()
    scope.items += [Item("new", shape, by_column=False), Item("old", shape, by_column=False)]
    if "whereClause" in body:
        filtered(walk, scope, body["whereClause"])
    before, walk.root = walk.root, scope
    for action in body.get("actions", ()):
        tag, _ = only(action)
        for part in action["List"].get("items", ()) if tag == "List" else (action,):
            if part:
                walk.output = None
                statement(walk, part)
                if "SelectStmt" in part and walk.output is not None:
                    walk.answers.append(walk.output)
    walk.root = before
    walk.output = walk.answers[0] if walk.answers else None
    if len(walk.answers) > 1:
        walk.unresolved(target[1], "its rules answer with the rows of several queries")
