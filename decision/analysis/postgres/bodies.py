"""The text of a function's body or a DO block: every SQL statement and expression in it, walked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from decision.analysis.flow import Scope
from decision.analysis.postgres.failing import shows
from decision.analysis.postgres.parse import Node, constant, only, parse, parse_plpgsql
from decision.analysis.postgres.walk import Walk, statement
from decision.model.errors import AnalysisError
from decision.model.facts import Usage

MAX_BODY = 64 * 1024


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
    except AnalysisError:
        if walk.budget.spent:
            raise
        return False
    finally:
        walk.via = before


def is_query(body: str) -> bool:
    """Whether a body in SQL is a single query, whose rows are the function's."""
    try:
        statements = parse(_sql_body(body))
    except AnalysisError:
        return False
    return len(statements) == 1 and "SelectStmt" in statements[0]["stmt"]


@lru_cache(maxsize=1024)
def body_shows(body: str) -> bool:
    """Whether a body in SQL may fail by what it is given, or does more than compute."""
    try:
        statements = parse(_sql_body(body))
    except AnalysisError:
        return True
    return len(statements) != 1 or shows(statements[0])


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
    tag = "$airlock$"
    if tag in body:
        return False
    kinds = ["SETOF record", "integer"]
    if re.search(r"\b(new|old|tg_\w+)\b", body, re.IGNORECASE):
        kinds.insert(0, "trigger")
    # The types of parameters don't matter here: only that a name is one, so that it may be assigned to.
    parameters = ", ".join(['"' + name.replace('"', '""') + '" text' for name in dict.fromkeys(names)])
    forms = [(given, kind) for given in dict.fromkeys((parameters, "")) for kind in kinds]
    for given, kind in forms:
        text = f"CREATE FUNCTION f({given}) RETURNS {kind} LANGUAGE plpgsql AS {tag}{body}{tag}"
        tree = parse_plpgsql(text)
        if tree is not None:
            break
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
        if walk.budget.spent:
            raise
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
        if walk.budget.spent:
            raise
        walk.flags.add("dynamic_unknown")
        return False
    return True


def _parts(walk: Walk, node: Node) -> None:
    """The columns and functions that a dynamic text is made from."""
    from decision.analysis.postgres.expressions import expression

    walk.use(expression(walk, Scope(parameters=True), node), Usage.INNER)
