"""What RETURNING may show of a written row: what the statement put in, what triggers, defaults and rules made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from decision.analysis.catalog import Entry
from decision.analysis.flow import CONSTANT, Flow, Key, Scope, Shape
from decision.analysis.postgres.closure import descendants
from decision.analysis.postgres.embedded import call_body
from decision.analysis.postgres.kept import filled
from decision.analysis.postgres.operators import stored_expression
from decision.analysis.postgres.walk import Walk
from decision.analysis.session import SessionState
from decision.model.catalog import CatalogFunction

_STATE = SessionState()
_FIELD = re.compile(r'\b(?:new|old)\s*\.\s*(?:(\w+)|"([^"]+)")', re.IGNORECASE)
_WHOLE = re.compile(r"(?<!return )\b(?:new|old)\b(?!\s*\.)", re.IGNORECASE)  # the row as one value


def new_row(walk: Walk, entry: Entry | None, shape: Shape, assigned: Sequence[tuple[Key, Flow]]) -> Shape:
    """The target's columns as the new row holds them. A column made from others holds what was put into those."""
    given: dict[Key, Flow] = {}
    for key, flow in assigned:
        if flow.sources or flow.opaque:
            given[key] = _with(given.get(key, CONSTANT), [flow])
    defaults = _defaults(walk, entry) if entry is not None else {}
    changed = _changed(walk, entry) if entry is not None else []
    if walk.state.filled:
        changed.append(filled(walk, None))  # a default or a trigger may read a setting
    mixed = _mixed(walk, entry, shape) if entry is not None else []
    if not given and not defaults and not changed and not mixed:
        return shape
    reached: list[list[Flow]] = []
    for name, flow in zip(shape.names, shape.flows, strict=True):
        into = [given[key] for key in flow.sources if key in given]
        reached.append([flow, *into, *([defaults[name]] if name in defaults else []), *changed])
    for names in mixed:
        together = [flow for name, flows in zip(shape.names, reached, strict=True) if name in names for flow in flows]
        for name, flows in zip(shape.names, reached, strict=True):
            if name in names:
                flows += together
    return Shape(shape.names, [_with(flows[0], flows[1:]) for flows in reached], shape.open)


def _with(flow: Flow, others: Iterable[Flow]) -> Flow:
    sources, opaque = flow.sources, flow.opaque
    for other in others:
        sources, opaque = sources | other.sources, opaque or other.opaque
    return Flow(sources, flow.transform, opaque)


def _defaults(walk: Walk, entry: Entry) -> dict[str, Flow]:
    """Defaults that read something, by column. Any may hold: DEFAULT may stand among the values of one row.

    Kept only when all of them were read: a message that runs out of work leaves nothing for the next one.
    """
    catalog = walk.catalog
    if catalog is None:
        return {}
    marker = ("defaults", entry.key)
    cached = catalog.closures.get(marker)
    if isinstance(cached, dict):
        return cached
    found = dict[str, Flow]()
    for column in entry.relation.columns:
        if column.expression and not column.generated:
            inner = Walk(catalog, _STATE, walk.budget.inner())
            flow = stored_expression(inner, Scope(), column.expression, entry.relation.name)
            if flow.sources or flow.opaque:
                found[column.name] = flow
    if not walk.budget.spent:
        catalog.closures[marker] = found
    return found


def _changed(walk: Walk, entry: Entry) -> list[Flow]:
    """What triggers may put into any column of the row, and that a rule may answer with rows of its own."""
    assert walk.catalog is not None
    found = [Flow(opaque=True)] if any(rule.instead for rule in entry.relation.rules) else []
    for function in _row_functions(walk, entry):
        inner = Walk(walk.catalog, walk.state, walk.budget.inner())
        inner.expanding = walk.expanding
        flow = call_body(inner, function)[1]
        if flow.sources or flow.opaque:
            found.append(flow)
    return found


def _row_functions(walk: Walk, entry: Entry) -> list[CatalogFunction]:
    """Functions of triggers that run before a row of the relation, or of its partitions, is written."""
    assert walk.catalog is not None
    return [
        function
        for member in (entry, *descendants(walk.catalog, entry))
        for trigger in member.relation.triggers
        if trigger.enabled and not trigger.after
        for function in walk.catalog.functions.get(trigger.function_name, ())
        if function.schema == trigger.function_schema
    ]


def _mixed(walk: Walk, entry: Entry, shape: Shape) -> list[frozenset[str]]:
    """Sets of columns between which a trigger may move values: those that its text names, or all where it handles
    the row as one (`NEW := f(NEW)`)."""
    found = []
    for function in _row_functions(walk, entry):
        fields = frozenset(quoted or plain.lower() for plain, quoted in _FIELD.findall(function.body))
        whole = _WHOLE.search(function.body) is not None
        names = frozenset(name for name in shape.names if whole or name in fields)
        if len(names) > 1:
            found.append(names)
    return found
