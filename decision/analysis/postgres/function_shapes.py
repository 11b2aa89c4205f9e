"""The columns that a function in FROM, or expanded by a star, has."""

from __future__ import annotations

from collections.abc import Sequence

from decision.analysis.flow import Flow, Shape, merge
from decision.analysis.postgres.builtins import COLUMNS, NAMES, SET_RETURNING
from decision.analysis.postgres.output_names import output_name
from decision.analysis.postgres.parse import Node, only, qualified
from decision.analysis.postgres.walk import Walk
from decision.model.catalog import CatalogFunction
from decision.model.facts import Transform


def returns_set(walk: Walk, schema: str, name: str) -> bool:
    """Whether a function may return any number of rows; unless it is known not to."""
    if name in SET_RETURNING:
        return True
    own = () if walk.catalog is None or schema == "pg_catalog" else walk.catalog.functions.get(name, ())
    return any(function.returns_set for function in own) or (not own and name not in NAMES)


def function_name(listed: list[Node]) -> str:
    for entry in listed:
        for part in entry.get("List", {}).get("items", [])[:1]:
            tag, body = only(part)
            return qualified(body.get("funcname"))[1] if tag == "FuncCall" else output_name(part)
    return ""


def function_shape(walk: Walk, call: Node, flow: Flow, definitions: list[Node], alias: str) -> Shape:
    value = flow.computed() if flow.transform is Transform.IDENTITY else Flow(flow.sources, flow.transform, flow.opaque)
    if definitions:
        named = [d["ColumnDef"].get("colname", "") for d in definitions if "ColumnDef" in d]
        return Shape(named, [value] * len(named))
    tag, body = only(call)
    schema, name = qualified(body.get("funcname")) if tag == "FuncCall" else ("", tag)
    if name in _POPULATING and schema in ("", "pg_catalog"):
        return _populated(walk, body, value)
    if schema in ("", "pg_catalog") and name in COLUMNS and name != "unnest":
        columns = COLUMNS[name]
        if len(columns) == 1:
            return Shape([alias or columns[0]] if columns[0] != "value" else ["value"], [value])
        return Shape(columns, [value] * len(columns))
    if schema in ("", "pg_catalog") and name == "unnest":
        count = len(body.get("args", ()))
        return Shape([alias or "unnest"] * count if count == 1 else ["unnest"] * count, [value] * count)
    if flow.row is not None:
        return flow.row
    returned = _declared_columns(walk, schema, name)
    if returned is not None:
        return Shape(returned, [value] * len(returned))
    from decision.analysis.postgres.columns import known_function
    from decision.analysis.postgres.effects import builtin_effects

    if tag == "FuncCall" and builtin_effects(name) is None and not known_function(walk, name):
        return Shape((), (), is_open=True)
    own = walk.catalog.functions.get(name, ()) if walk.catalog is not None else ()
    if any(_composite(function.return_type) for function in own):
        return Shape((), (), is_open=True)
    return Shape([alias or (name if tag == "FuncCall" else output_name(call))], [value])


_POPULATING = ("json_populate_record", "jsonb_populate_record", "json_populate_recordset", "jsonb_populate_recordset")


def _populated(walk: Walk, body: Node, value: Flow) -> Shape:
    """The columns of the row type that the first argument has, where it is a cast: `NULL::users`."""
    first = body["args"][0] if body.get("args") else {}
    schema, name = qualified(first.get("TypeCast", {}).get("typeName", {}).get("names"))
    if name and walk.catalog is not None:
        path = (schema,) if schema else walk.catalog.search_path()
        for place in path:
            entry = walk.catalog.entry(place, name)
            if entry is not None and not walk.state.made and not walk.state.altered and not walk.state.search_paths:
                return Shape(entry.shape.names, [value] * len(entry.shape.names))
    return Shape((), (), is_open=True)


def _composite(return_type: str) -> bool:
    """Whether a function of this result may have more than one column."""
    named = return_type.startswith("TABLE(") or "." in return_type
    return named or return_type.removeprefix("SETOF ") in ("record", "anyelement")


def _declared_columns(walk: Walk, schema: str, name: str) -> list[str] | None:
    """Columns of a function that the catalog knows to return a table or a relation's row; None if it does not."""
    if walk.catalog is None or schema == "pg_catalog":
        return None
    found: list[list[str]] = []
    for function in walk.catalog.functions.get(name, ()):
        if schema and function.schema != schema:
            continue
        columns = returned_columns(walk, function.return_type)
        if columns is None:
            return None
        found.append(columns)
    return found[0] if found and all(columns == found[0] for columns in found) else None


def function_columns(walk: Walk, call: Node) -> list[str] | None:
    """Columns of a function's row where they are known: `(f(x)).*`."""
    _, body = only(call)
    schema, name = qualified(body.get("funcname"))
    if schema in ("", "pg_catalog") and name in COLUMNS:
        return list(COLUMNS[name])
    return _declared_columns(walk, schema, name)


def returned_columns(walk: Walk, return_type: str) -> list[str] | None:
    """The column names in `TABLE(a integer, "B" text)` or of `SETOF schema.relation`."""
    from decision.analysis.session import parse_search_path

    if return_type.startswith("TABLE(") and return_type.endswith(")"):
        names, depth, start = [], 0, 0
        inner = return_type.removeprefix("TABLE(").removesuffix(")") + ","
        for position, char in enumerate(inner):
            depth += char in "([" and 1
            depth -= char in ")]" and 1
            if char == "," and depth == 0:
                part = inner[start:position].strip()
                start = position + 1
                quoted = part.startswith('"')
                names.append(parse_search_path(part)[0] if quoted else part.split(" ", 1)[0])
        return names
    parts = parse_search_path(return_type.removeprefix("SETOF ").replace(".", ","))
    if len(parts) == 2 and walk.catalog is not None:
        entry = walk.catalog.entry(parts[0], parts[1])
        if entry is not None:
            return list(entry.shape.names)
    return None


def body_row(walk: Walk, function: CatalogFunction, output: Shape | None) -> Shape | None:
    """The columns of a function's row, each with what the query that is its whole body puts into it; None where that
    is not known, or the function gives back one plain value."""
    if output is None or output.open or function.language != "sql":
        return None
    names = returned_columns(walk, function.return_type)
    if names is None:
        return None
    flows = output.flows
    if len(flows) == 1 and flows[0].row is not None and not flows[0].row.open:
        flows = flows[0].row.flows
    return Shape(names, [flow.computed() for flow in flows]) if len(flows) == len(names) else None


def called_row(found: Sequence[Flow], given: Flow) -> Shape | None:
    """The row of a call that may mean any of these functions; what it was given may reach every column."""
    rows = [flow.row for flow in found]
    first = rows[0] if rows else None
    if first is None or any(row is None or list(row.names) != list(first.names) for row in rows):
        return None
    columns = zip(*[row.flows for row in rows if row is not None], strict=True)
    return Shape(first.names, [merge([*flows, given]) for flows in columns])
