"""SQL inside SQL: function bodies, DO blocks, rules, and constant texts handed to functions that run them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson
from pglast import parser

from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Key, Scope, Shape, merge
from decision.analysis.limits import Budget, Limits
from decision.analysis.postgres.names import search_paths
from decision.analysis.postgres.parse import Node, constant, only, parse
from decision.analysis.postgres.settings import LEXER
from decision.analysis.postgres.walk import Walk, absorb, statement
from decision.analysis.session import parse_search_path
from decision.model.catalog import CatalogFunction
from decision.model.errors import AnalysisError, LimitExceeded, SyntaxRefused
from decision.model.facts import Effect, Kind, Usage, Via

MAX_BODY = 64 * 1024
_BLOCKS = re.compile(r"\b(begin|if|loop|case|while|for)\b", re.IGNORECASE)
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
    if state.made or state.altered or state.functions or state.overflowed:
        return False
    if not state.search_paths:
        return True
    assert walk.catalog is not None
    snapshot = walk.catalog.search_path()
    return search_paths(walk) == [snapshot if "pg_catalog" in snapshot else ("pg_catalog", *snapshot)]


def _analyse(walk: Walk, function: CatalogFunction, marker: object) -> Body:
    from decision.analysis.postgres.effects import extension_effects

    assert walk.catalog is not None
    inner = Walk(walk.catalog, walk.state, Budget(Limits(depth=150)))
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
    return Body(inner, tuple(effects), Flow(read, opaque=Effect.OPAQUE in effects))


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


def body_statements(walk: Walk, body: str, language: str, names: Sequence[str] = ()) -> bool:
    """Walk every statement of a body; names that are not found are its parameters. `names` are those that are known.
    False: it holds what can't be known (dynamic SQL, unreadable text)."""
    if len(body) > MAX_BODY:
        return False
    before = walk.via
    try:
        if language == "sql":
            text = _sql_body(body)
            return all(_embedded(walk, raw["stmt"]) for raw in parse(text))
        return _plpgsql(walk, body, names)
    except (SyntaxRefused, LimitExceeded):
        return False
    finally:
        walk.via = before


def _sql_body(body: str) -> str:
    """The statements of BEGIN ATOMIC … END and RETURN bodies as the server prints them."""
    text = body.strip()
    upper = text[:20].upper()
    if upper.startswith("BEGIN ATOMIC"):
        return text[len("BEGIN ATOMIC") :].rstrip().removesuffix("END").removesuffix("end")
    if upper.startswith("RETURN"):
        return "SELECT " + text[len("RETURN") :]
    return text


def _embedded(walk: Walk, node: Node) -> bool:
    """One statement of a body."""
    outer = walk.output
    with_parameters(walk, node)
    for flow in walk.output.flows if walk.output is not None and walk.output is not outer else ():
        walk.use(flow, Usage.INNER)
    return True


def with_parameters(walk: Walk, node: Node) -> None:
    """Walk a statement inside a body, where unknown names are parameters and variables."""
    before = walk.root
    walk.root = Scope(parameters=True)
    statement(walk, node)
    walk.root = before


def _plpgsql(walk: Walk, body: str, names: Sequence[str] = ()) -> bool:
    if len(_BLOCKS.findall(body)) > 1000:
        return False
    tag = "$airlock$"
    if tag in body:
        return False
    returns = "trigger" if re.search(r"\b(new|old|tg_\w+)\b", body, re.IGNORECASE) else "void"
    tree: list[Node] = []
    # The types of parameters don't matter here: only that a name is one, so that it may be assigned to.
    parameters = ", ".join(['"' + name.replace('"', '""') + '" text' for name in dict.fromkeys(names)])
    forms = [(parameters, kind) for kind in (returns, "SETOF record", "integer")]
    forms += [("", kind) for _, kind in forms] if parameters else []
    for given, kind in forms:
        text = f"CREATE FUNCTION f({given}) RETURNS {kind} LANGUAGE plpgsql AS {tag}{body}{tag}"
        try:
            tree = orjson.loads(parser.parse_plpgsql_json(text))
            break
        except (parser.ParseError, orjson.JSONDecodeError):
            continue
    else:
        return False
    known = True
    walk.flags.add("procedural")
    for kind, text, mode in _expressions(tree):
        if kind == "dynamic":
            walk.flags.add("dynamic_sql")
            known = _dynamic(walk, text) and known
        else:
            known = _procedural_sql(walk, text, mode) and known
    return known


def _expressions(node: object, inside: str = "") -> Iterator[tuple[str, str, int]]:
    """Every SQL text in PL/pgSQL's tree, with the parser's mode; dynamic ones are told apart."""
    if isinstance(node, list):
        for item in node:
            yield from _expressions(item, inside)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "PLpgSQL_expr" and isinstance(value, dict):
                yield (
                    ("dynamic" if inside == "dynamic" else "static"),
                    value.get("query", ""),
                    value.get("parseMode", 0),
                )
            elif name in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"):
                yield from _dynamic_statement(value)
            elif name == "dynquery":
                yield from _expressions(value, "dynamic")
            else:
                yield from _expressions(value, inside)


def _dynamic_statement(body: Node) -> Iterator[tuple[str, str, int]]:
    for name, value in body.items():
        yield from _expressions(value, "dynamic" if name == "query" else "")


def _procedural_sql(walk: Walk, text: str, mode: int) -> bool:
    if mode >= 3:  # target := expression
        target, separator, text = text.partition(":=")
        if not separator:
            _, _, text = target.partition("=")
        mode = 2
    if mode == 2:
        text = f"SELECT {text}"
    elif mode == 1:
        return True
    try:
        for raw in parse(text):
            _embedded(walk, raw["stmt"])
    except AnalysisError:
        return False
    return True


def _dynamic(walk: Walk, text: str) -> bool:
    """EXECUTE of a text: known only if it is a constant."""
    try:
        node = parse(f"SELECT {text}")[0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
        tag, body = only(node)
        if tag != "A_Const" or "sval" not in body:
            _parts(walk, node)
            walk.flags.add("dynamic_unknown")
            return False
        for raw in parse(constant(body) or ""):
            _embedded(walk, raw["stmt"])
    except (AnalysisError, KeyError, IndexError):
        walk.flags.add("dynamic_unknown")
        return False
    return True


def _parts(walk: Walk, node: Node) -> None:
    """The columns and functions that a dynamic text is made from."""
    from decision.analysis.postgres.expressions import expression

    walk.use(expression(walk, Scope(parameters=True), node), Usage.INNER)


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


def rule_actions(walk: Walk, body: Node, target: tuple[str, str]) -> None:
    """A rule's condition and actions; NEW and OLD stand for rows of its table."""
    from decision.analysis.postgres.expressions import filtered

    entry = walk.catalog.entry(*target) if walk.catalog is not None else None
    shape = entry.shape if entry is not None else Shape((), (), is_open=True)
    scope = Scope()
    scope.items += [Item("new", shape, by_column=False), Item("old", shape, by_column=False)]
    if "whereClause" in body:
        filtered(walk, scope, body["whereClause"])
    before, walk.root = walk.root, scope
    for action in body.get("actions", ()):
        tag, _ = only(action)
        for part in action["List"].get("items", ()) if tag == "List" else (action,):
            if part:
                statement(walk, part)
    walk.root = before
