"""The walk over one statement's tree: what its parts share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlglot import exp
from sqlglot.errors import SqlglotError

from decision.analysis.dialects.record import Output, Record
from decision.analysis.flow import Flow
from decision.analysis.limits import Budget
from decision.model.errors import AnalysisError
from decision.model.facts import Access

Spellings = dict[tuple[str, str], tuple[tuple[str, str], ...]]
Parse = Callable[[str], list[exp.Expr]]
_PLAIN = re.compile(r"[\w$#]{1,128}")


class Walk:
    """`parse` gives the trees of a text of the same dialect, under the same lexical guard. `statement` is set by
    decision.analysis.dialects.statements."""

    def __init__(self, record: Record, dialect: str, parse: Parse, spellings: Spellings) -> None:
        self.record = record
        self.dialect = dialect
        self.parse = parse
        self.spellings = spellings
        self.assigned: list[Flow] = []  # what the statement writes, and so may give back
        self.double: frozenset[str] = frozenset()  # what the text has in double quotes

    @property
    def budget(self) -> Budget:
        return self.record.budget

    def see(self, *nodes: exp.Expr | None) -> None:
        """These nodes are accounted for."""
        self.record.seen.update(id(node) for node in nodes if node is not None)

    @contextmanager
    def level(self) -> Iterator[None]:
        self.budget.charge(1)
        self.budget.enter()
        try:
            yield
        finally:
            self.budget.leave()

    def shown(self, name: str) -> str:
        """A name that may stand in facts: what isn't made like one may be a literal."""
        return name if _PLAIN.fullmatch(name) else "a quoted name"

    def view(self, definition: str) -> Output | None:
        """The outputs of a view's query; None where it can't be read."""
        from decision.analysis.dialects.queries import query
        from decision.analysis.dialects.scopes import Scope

        try:
            trees = self.parse(definition)
        except (AnalysisError, SqlglotError):
            return None
        tree = trees[0] if len(trees) == 1 else None
        if isinstance(tree, exp.Create):
            tree = tree.expression
        if not isinstance(tree, exp.Query):
            return None
        output, is_open = query(self, tree, Scope(), output=False)
        unseen(self, tree)
        return None if is_open else output


def unseen(walk: Walk, tree: exp.Expr) -> None:
    """Whatever names or calls something and wasn't visited is unresolved: the walk must not overlook a place."""
    seen = walk.record.seen
    for node in tree.walk():
        if id(node) in seen or not isinstance(node, exp.Table | exp.Column | exp.Query | exp.Anonymous):
            continue
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            from decision.analysis.dialects.names import relation

            relation(walk, node, Access.READ)
        walk.record.unresolved(type(node).__name__, "it stands in a place that is not analysed")
