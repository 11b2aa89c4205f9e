"""Facts drawn for people, plain text: what a statement does, what it touches and why, what comes out and from where."""

from __future__ import annotations

from decision.model.facts import Facts, OutputColumn, Predicate, RelationUse, Statement


def explain(facts: Facts) -> str:
    """Several lines; the last one ends with a line break."""
    lines = [] if facts.statements else ["an empty message"]
    for number, statement in enumerate(facts.statements, 1):
        if facts.multi_statement:
            lines.append(f"── statement {number} of {len(facts.statements)} ──")
        lines += _statement(statement)
    if not facts.complete:
        lines.append("INCOMPLETE: not everything could be known; such a statement is denied unless a rule allows it")
    return "\n".join(lines) + "\n"


def _statement(statement: Statement) -> list[str]:
    lines = [statement.normalized_text, f"  does       {', '.join(statement.kinds) or 'nothing'}{_extent(statement)}"]
    for operation in statement.operations:
        objects = ", ".join(_name(o.schema, o.name) for o in operation.objects)
        extra = f" ({', '.join(operation.options)})" if operation.options else ""
        lines.append(f"  operation  {operation.verb} {operation.object_type} {objects}".rstrip() + extra)
    lines += _block("relation", [_relation(use) for use in statement.relations])
    lines += _block("output", [_output(column) for column in statement.output])
    uses = [f"{_name(c.schema, c.table)}.{c.column}: {', '.join(c.usage)}{_tags(c.tags)}" for c in statement.columns]
    lines += _block("column", uses)
    lines += _block("function", _functions(statement))
    if statement.predicate is not None:
        lines.append(f"  rows       {_predicate(statement.predicate, statement.estimated_rows)}")
    for label, values in (
        ("setting", statement.settings),
        ("file", statement.files),
        ("program", statement.programs),
        ("flag", statement.flags),
    ):
        if values:
            lines.append(f"  {label:<10} {', '.join(values)}")
    lines += _block("unknown", [f"{u.what}: {u.why}" for u in statement.unresolved])
    return lines


def _extent(statement: Statement) -> str:
    parameters = statement.parameter_count
    said = f"; {parameters} parameter{'s' if parameters > 1 else ''}" if parameters else ""
    return said + ("; returns rows" if statement.returns_rows else "")


def _functions(statement: Statement) -> list[str]:
    """Those with effects one by one, all others in one line."""
    acting = [f"{_name(f.schema, f.name)}: {', '.join(f.effects)}" for f in statement.functions if f.effects]
    computing = ", ".join(_name(f.schema, f.name) for f in statement.functions if not f.effects)
    return [*acting, *([f"{computing}: no effect"] if computing else [])]


def _block(label: str, texts: list[str]) -> list[str]:
    return [f"  {label if number == 0 else '':<10} {text}" for number, text in enumerate(texts)]


def _name(schema: str, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _tags(tags: tuple[str, ...]) -> str:
    return f"  [{', '.join(tags)}]" if tags else ""


def _relation(use: RelationUse) -> str:
    why = "" if use.via.value == "direct" else f" via {use.via.value}"
    return f"{_name(use.schema, use.name)} ({use.kind.value}): {', '.join(use.access)}{why}{_tags(use.tags)}"


def _output(column: OutputColumn) -> str:
    sources = ", ".join(f"{_name(s.schema, s.table)}.{s.column}" for s in column.sources) or "no column"
    doubt = ", and what can't be known" if column.opaque else ""
    return f"{column.ordinal}. {column.name} <- {sources}{doubt} ({column.transform.value}){_tags(column.tags)}"


def _predicate(predicate: Predicate, estimate: int | None) -> str:
    parts = []
    if not predicate.present:
        parts.append("no WHERE")
    elif predicate.always_true:
        parts.append("a WHERE that does not restrict")
    elif predicate.pins_key:
        parts.append(f"a whole key is pinned ({', '.join(predicate.pinned)})")
    elif predicate.pinned:
        parts.append(f"pinned: {', '.join(predicate.pinned)}")
    else:
        parts.append("restricted by a WHERE")
    if predicate.limit is not None:
        parts.append(f"at most {predicate.limit}")
    if estimate is not None:
        parts.append(f"about {estimate} or fewer")
    return "; ".join(parts)
