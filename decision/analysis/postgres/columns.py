"""Column references, as PostgreSQL resolves them: innermost query first, columns before whole rows before functions."""

from __future__ import annotations

from decision.analysis.catalog import SYSTEM_COLUMNS
from decision.analysis.flow import CONSTANT, OPAQUE, Flow, Item, Scope, either
from decision.analysis.postgres.parse import Node
from decision.analysis.postgres.walk import EXPRESSIONS, Walk
from decision.model.facts import Transform


def column_ref(walk: Walk, scope: Scope, body: Node) -> Flow:
    names: list[str] = []
    for field in body.get("fields", ()):
        if "A_Star" in field:
            return star_row(walk, scope, names)
        names.append(field["String"].get("sval", ""))
    return column(walk, scope, names)


def column(walk: Walk, scope: Scope, names: list[str]) -> Flow:
    if len(names) == 1:
        return _unqualified(walk, scope, names[0])
    if len(names) > 4:
        walk.unresolved(names[-1], "too many dotted names")
        return OPAQUE
    if len(names) == 4:
        walk.flags.add("catalog_qualified")
    schema = names[-3] if len(names) > 2 else ""
    item = find_item(walk, scope, schema, names[-2])
    if item is not None:
        found = item_column(walk, item, names[-1])
        if found is OPAQUE and known_function(walk, names[-1]):  # of a relation whose columns aren't all known
            return either([found, _called(walk, item.row(), names[-1], None)])
        return found if found is not None else _notation(walk, scope, item.row(), names[-1])
    if len(names) == 2:
        # a column of composite type, or a function's parameter with a field
        holder = _lookup(walk, scope, names[0])
        if holder is not None:
            return field_of(walk, holder, names[1])
        if scope.parameters:
            return _of_parameter(walk, names)
    walk.unresolved(".".join(names[-2:]), "no such column here")
    return OPAQUE


def _of_parameter(walk: Walk, names: list[str]) -> Flow:
    """`p.f` in a body: a field of a parameter, or a function of one argument. Those that only compute are left out."""
    from decision.analysis.postgres.effects import builtin_effects

    users = walk.catalog is not None and names[1] in walk.catalog.functions
    called = names[0] not in ("new", "old") and (users or builtin_effects(names[1]))
    return field_of(walk, CONSTANT, names[1]) if called else CONSTANT


def _unqualified(walk: Walk, scope: Scope, name: str) -> Flow:
    found = _lookup(walk, scope, name)
    if found is not None and found is not OPAQUE:
        return found
    item = find_item(walk, scope, "", name)
    if item is not None:
        return item.row() if found is None else either([found, item.row()])
    if found is not None:
        return found
    if scope.parameters:
        return CONSTANT
    if _open_item(scope):
        return OPAQUE  # said to be unresolved where its relation was
    walk.unresolved(name, "no such column here")
    return OPAQUE


def _open_item(scope: Scope) -> bool:
    current: Scope | None = scope
    while current is not None:
        if any(item.shape.open for item in current.items):
            return True
        current = current.parent
    return False


def _lookup(walk: Walk, scope: Scope, name: str) -> Flow | None:
    current: Scope | None = scope
    while current is not None:
        items = current.items
        walk.budget.charge(len(items) + 1)
        matches = []
        is_open = False
        for item in items:
            if item.by_column:
                shape = item.shape
                found = shape.lookup.get(name)
                if found is not None:
                    matches.append(found)
                if shape.open:
                    is_open = True
        if matches:
            if is_open:
                return either([*matches, OPAQUE])  # a column that is not known may be the one
            return matches[0] if len(matches) == 1 else either(matches)
        if name in SYSTEM_COLUMNS:
            for item in items:
                if item.relation is not None:
                    return Flow(frozenset({(*item.relation, name)}), Transform.IDENTITY)
        if is_open:
            return OPAQUE
        current = current.parent
    return None


def find_item(walk: Walk, scope: Scope, schema: str, name: str) -> Item | None:
    current: Scope | None = scope
    while current is not None:
        walk.budget.charge(len(current.items) + 1)
        for item in current.items:
            if item.by_name and item.name == name and (not schema or item.schema == schema):
                return item
        current = current.parent
    return None


def item_column(walk: Walk, item: Item, name: str) -> Flow | None:
    found = item.shape.lookup.get(name)
    if found is not None:
        return found
    if item.relation is not None and name in SYSTEM_COLUMNS:
        return Flow(frozenset({(*item.relation, name)}), Transform.IDENTITY)
    if item.shape.open:
        return OPAQUE
    return None


def _notation(walk: Walk, scope: Scope, row: Flow, name: str) -> Flow:
    """`u.to_jsonb` means `to_jsonb(u)` when u has no such column."""
    handler = EXPRESSIONS["FuncCall"]
    if row.row is None or known_function(walk, name):
        return handler(walk, scope, {"funcname": [{"String": {"sval": name}}], "_flows": [row]})
    if scope.parameters:
        return row.computed()
    walk.unresolved(name, "no such column here")
    return OPAQUE


def known_function(walk: Walk, name: str) -> bool:
    from decision.analysis.postgres.effects import builtin_effects

    return builtin_effects(name) is not None or (walk.catalog is not None and name in walk.catalog.functions)


def field_of(walk: Walk, value: Flow, name: str, node: Node | None = None) -> Flow:
    """`(value).name`: exact where the row's shape is known, else everything that the value may hold. What is no field
    is a call of the function of that name, a built-in one too; `node` is the value's own, where there is one."""
    if value.row is not None:
        found = value.row.lookup.get(name)
        if found is not None:
            return found
        if value.row.open:
            return either([OPAQUE, _called(walk, value, name, node)])
    if not known_function(walk, name) and name not in walk.state.functions:
        return value.computed()
    return either([value.computed(), _called(walk, value, name, node)])


def _called(walk: Walk, value: Flow, name: str, node: Node | None) -> Flow:
    call = {"funcname": [{"String": {"sval": name}}], "_flows": [value]}
    return EXPRESSIONS["FuncCall"](walk, Scope(), call if node is None else {**call, "args": [node]})


def star_row(walk: Walk, scope: Scope, names: list[str]) -> Flow:
    """`u.*` or `*` where one value is wanted (count(u.*), row(u.*))."""
    if not names:
        flows = [flow for item in scope.items if item.by_column for flow in item.shape.flows]
        return either(flows) if flows else CONSTANT
    if len(names) > 2:
        walk.flags.update({"catalog_qualified"} if len(names) > 2 else ())
    item = find_item(walk, scope, names[-2] if len(names) > 1 else "", names[-1])
    if item is not None:
        return item.row()
    found = _lookup(walk, scope, names[-1])
    if found is None:
        if not scope.parameters:
            walk.unresolved(names[-1], "no such relation here")
        return CONSTANT if scope.parameters else OPAQUE
    return found


EXPRESSIONS["ColumnRef"] = column_ref
