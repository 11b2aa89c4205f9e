"""WITH RECURSIVE: the order in which its queries can be looked at."""

from __future__ import annotations

from decision.analysis.postgres.parse import Node


def referred_first(entries: list[Node]) -> list[Node]:
    """In an order in which each stands after those that it refers to, as the server has it: any may refer to any
    other, in a circle never. A name inside counts as a reference, even where a nearer WITH hides it."""
    by_name = {entry.get("ctename", ""): entry for entry in entries}
    inside = {name: _names(entry["ctequery"]) & by_name.keys() for name, entry in by_name.items()}
    ordered: list[Node] = []
    placed: set[str] = set()
    while len(ordered) < len(entries):
        ready = [n for n in by_name if n not in placed and inside[n] <= placed | {n}]
        for name in ready or [n for n in by_name if n not in placed][:1]:
            placed.add(name)
            ordered.append(by_name[name])
        if len(placed) == len(by_name):
            break
    return ordered


def _names(node: Node) -> set[str]:
    """Relation names without a schema, anywhere inside."""
    found: set[str] = set()
    todo: list[object] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            plain = part.get("RangeVar")
            if isinstance(plain, dict) and "schemaname" not in plain:
                found.add(str(plain.get("relname", "")))
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return found
