"""Where a name stands in a statement's text, for the caret under it. Asked for only once it is known to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decision.analysis.postgres.parse import Node, parse, strings
from decision.model.errors import AnalysisError


def position(text: str, schema: str, name: str, *, column: bool = False, target: bool = False) -> int:
    """The 1-based character position of the first relation (or column, or column that is written) of this name; 0 where
    the text itself has none, as when a view does."""
    try:
        statements = parse(text)
    except AnalysisError:
        return 0
    found = [
        int(node["location"])
        for node in _nodes(statements)
        if "location" in node and _names(node, schema, name, column=column, target=target)
    ]
    return len(text.encode()[: min(found)].decode("utf-8", "ignore")) + 1 if found else 0


def _names(node: Node, schema: str, name: str, *, column: bool, target: bool) -> bool:
    if target:
        return node.get("name") == name
    if not column:
        return node.get("relname") == name and (not schema or node.get("schemaname") == schema)
    fields = node.get("fields")
    if not isinstance(fields, list):
        return False
    words = strings(fields)
    wanted = name.split(".")
    return words[-len(wanted) :] == wanted or words[:-1] == wanted or ("A_Star" in fields[-1] and words == wanted)


def _nodes(tree: list[Node]) -> Iterator[Node]:
    """Every object of the tree, without recursion."""
    waiting: list[Any] = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
