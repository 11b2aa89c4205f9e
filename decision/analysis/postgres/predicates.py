"""What a WHERE really restricts: columns pinned to one value, rows bounded. Never complete, always careful."""

from __future__ import annotations

from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.folder import Folder
from decision.analysis.postgres.folding import (
    UNKNOWN,
)
from decision.analysis.postgres.parse import Node
from decision.analysis.postgres.pins import bound_value, covers_key, is_value, pins, rows_of
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Kind, Predicate


def predicate_of(walk: Walk, scope: Scope, where: Node | None, target: Item | None, limit: int | None) -> Predicate:
    """The predicate on `target`'s rows; pinned values are put on the walk."""
    if where is None:
        return Predicate(limit=limit)
    if "CurrentOfExpr" in where:
        return _current(walk, where["CurrentOfExpr"].get("cursor_name", ""))
    folder = Folder(walk, scope, target)
    folded = folder.fold(where)
    always = folded is True or (folded is UNKNOWN and not folder.depends(where))
    pinned: dict[str, None] = {}
    if target is not None and target.relation is not None:
        pins(folder, where, pinned)
        changes = walk.dml > 0 and Kind.MERGE not in walk.kinds
        bound = rows_of(folder, where) if changes else None
        limit = bound if limit is None else limit if bound is None else min(limit, bound)
    return Predicate(True, always, tuple(pinned), covers_key(walk, target, pinned), limit)


def _current(walk: Walk, cursor: str) -> Predicate:
    """WHERE CURRENT OF: the row that was fetched last, of a cursor of this session or of the code that is walked."""
    if walk.root is None and not any(known.name == cursor for known in walk.state.cursors):
        walk.unresolved("CURRENT OF", "no cursor of this name was declared in this session")
    return Predicate(True, limit=1)


def weakest(predicates: list[Predicate]) -> Predicate:
    """What holds for all of several DML statements in one: a promise only where every one keeps it."""
    if len(predicates) == 1:
        return predicates[0]
    common = [name for name in predicates[0].pinned if all(name in p.pinned for p in predicates)]
    limits = [p.limit for p in predicates]
    return Predicate(
        present=all(p.present for p in predicates),
        always_true=any(p.always_true for p in predicates),
        pinned=tuple(common),
        pins_key=all(p.pins_key for p in predicates),
        limit=None if None in limits else max(limit for limit in limits if limit is not None),
    )


__all__ = ["bound_value", "is_value", "predicate_of", "weakest"]
