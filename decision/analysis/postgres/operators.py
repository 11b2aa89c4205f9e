"""Operators, casts and domains that run functions of users' or extensions': what the catalog snapshot says of them.

Analysis doesn't know the operands' types, so every operator or cast that the name may mean counts. Names that only
pg_catalog has cost one look-up. It wraps the handlers of the expressions' own module.
"""

from __future__ import annotations

from decision.analysis.catalog import CatalogIndex
from decision.analysis.flow import OPAQUE, Flow, Scope, merge
from decision.analysis.postgres.calls import resolve_call
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.parse import Node, only, parse, qualified, strings
from decision.analysis.postgres.walk import EXPRESSIONS, Walk
from decision.model.catalog import CatalogDomain
from decision.model.errors import AnalysisError
from decision.model.facts import Usage

_plain_operator = EXPRESSIONS["A_Expr"]
_plain_cast = EXPRESSIONS["TypeCast"]
_BEHIND = {
    "AEXPR_DISTINCT": ("=",), "AEXPR_NOT_DISTINCT": ("=",), "AEXPR_NULLIF": ("=",),
    "AEXPR_BETWEEN": (">=", "<="), "AEXPR_NOT_BETWEEN": ("<", ">"),
    "AEXPR_BETWEEN_SYM": (">=", "<="), "AEXPR_NOT_BETWEEN_SYM": ("<", ">"),
}  # fmt: skip


class Code:
    """The functions behind a snapshot's own operators, casts and domains, by the last part of the name."""

    __slots__ = ("casts", "domains", "operators")

    def __init__(self, catalog: CatalogIndex) -> None:
        self.operators: dict[str, list[tuple[str, str, str]]] = {}
        self.casts: dict[str, list[tuple[str, str, str]]] = {}
        self.domains: dict[str, list[CatalogDomain]] = {}
        for operator in catalog.snapshot.operators:
            held = self.operators.setdefault(operator.name, [])
            held.append((operator.schema, operator.function_schema, operator.function_name))
        for cast in catalog.snapshot.casts:
            if cast.function_name:
                held_casts = self.casts.setdefault(_last(cast.target), [])
                held_casts.append((_last(cast.source), cast.function_schema, cast.function_name))
        for domain in catalog.snapshot.domains:
            self.domains.setdefault(domain.name, []).append(domain)


_ALIASES = {"int4": "integer", "int8": "bigint", "int2": "smallint", "float8": "double precision", "float4": "real",
            "bool": "boolean", "varchar": "character varying", "bpchar": "character",
            "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
            "timetz": "time with time zone", "time": "time without time zone", "varbit": "bit varying"}  # fmt: skip


def _printed(name: str) -> str:
    return _ALIASES.get(name, name)


def _source_types(walk: Walk, node: Node, flow: Flow) -> set[str] | None:
    """The types that the argument may have; None: any. A literal has none: it is read as the target's type."""
    tag, body = only(node)
    if tag == "A_Const":
        return set()
    if tag == "TypeCast":
        names = strings(body.get("typeName", {}).get("names"))
        return {_printed(names[-1])} if names else None
    if tag != "ColumnRef" or not flow.sources or flow.opaque or walk.catalog is None:
        return None
    found: set[str] = set()
    for schema, table, name in flow.sources:
        entry = walk.catalog.entry(schema, table)
        types = [c.type_name for c in entry.relation.columns if c.name == name] if entry is not None else []
        if not types:
            return None
        found.add(_last(types[0]))
    return found


def _last(printed: str) -> str:
    """The bare type name in what format_type prints: without schema, quotes, length and array."""
    name = printed.split("(")[0].removesuffix("[]").strip()
    return name.rpartition(".")[2].strip('"')


def code_of(catalog: CatalogIndex) -> Code:
    found = catalog.closures.get("code")
    if not isinstance(found, Code):
        found = catalog.closures["code"] = Code(catalog)
    return found


def run(walk: Walk, schema: str, name: str) -> list[Flow]:
    """A function of the catalog runs; what its body adds to the value."""
    _, flows = resolve_call(walk, schema, name, [])
    return flows


def operator(walk: Walk, scope: Scope, body: Node) -> Flow:
    flow = _plain_operator(walk, scope, body)
    if walk.catalog is None or not walk.catalog.snapshot.operators:
        return flow
    known = code_of(walk.catalog).operators
    schema, name = qualified(body.get("name"))
    flows: list[Flow] = []
    for each in _BEHIND.get(body.get("kind", ""), (name,)):
        for operator_schema, function_schema, function in known.get(each, ()):
            if not schema or schema == operator_schema:
                flows += run(walk, function_schema, function)
    return merge([flow, *flows]) if flows else flow


def cast(walk: Walk, scope: Scope, body: Node) -> Flow:
    flow = _plain_cast(walk, scope, body)
    if walk.catalog is None or not (walk.catalog.snapshot.casts or walk.catalog.snapshot.domains):
        return flow
    names = strings(body.get("typeName", {}).get("names"))
    if not names:
        return flow
    code = code_of(walk.catalog)
    flows: list[Flow] = []
    casts = code.casts.get(_printed(names[-1]), ())
    sources = _source_types(walk, body.get("arg", {}), flow) if casts else None
    for source, function_schema, function in casts:
        if sources is None or source in sources:
            flows += run(walk, function_schema, function)
    if names[-1] in code.domains and names[0] != "pg_catalog":
        check_domain(walk, names[-1])
    return merge([flow, *flows]) if flows else flow


def check_domain(walk: Walk, name: str) -> None:
    """A value takes this domain: its checks are run, and those of the domain that it is over."""
    assert walk.catalog is not None
    marker = ("domain", name)
    if marker in walk.expanding:
        return
    walk.expanding.add(marker)
    for domain in code_of(walk.catalog).domains.get(name, ()):
        for text in domain.checks:
            stored_expression(walk, Scope(parameters=True), text, domain.name)
        check_domain(walk, _last(domain.type_name))
    walk.expanding.discard(marker)


def stored_expression(walk: Walk, scope: Scope, text: str, what: str) -> Flow:
    """An expression (or several, by commas) that the catalog keeps as text."""
    try:
        targets = parse(f"SELECT {text}\n")[0]["stmt"]["SelectStmt"].get("targetList", [])
        flow = merge([generic(walk, scope, target["ResTarget"]) for target in targets])
    except (AnalysisError, KeyError, IndexError):
        if walk.budget.spent:
            raise
        walk.unresolved(what, "an expression of the catalog can't be analysed")
        return OPAQUE
    walk.use(flow, Usage.CHECK)
    return flow


EXPRESSIONS["A_Expr"] = operator
EXPRESSIONS["TypeCast"] = cast
