"""Where values come from: the flow of base columns into expressions, and the shapes (columns) of what a FROM names.

A `Flow` is the set of base columns that a value may be computed from. It over-approximates: a column may be listed that
never matters, but none that matters is left out unless the flow is `opaque`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from decision.model.facts import ColumnName, Transform

Key = tuple[str, str, str]  # schema, table, column; schema "pg_temp" for temporary tables
NONE: frozenset[Key] = frozenset()
TEMP_SCHEMA = "pg_temp"


class Flow:
    """Immutable by convention. `row` is the shape of a value known to be a row of it; `mixed`: some rows have it from
    elsewhere (of a set operation, of either side of a join), so that to sort by it compares columns or constants."""

    __slots__ = ("mixed", "named", "opaque", "row", "sources", "transform")

    def __init__(
        self,
        sources: frozenset[Key] = NONE,
        transform: Transform = Transform.EXPRESSION,
        opaque: bool = False,
        row: Shape | None = None,
    ) -> None:
        self.sources = sources
        self.transform = transform
        self.opaque = opaque
        self.row = row
        self.mixed = False
        self.named: tuple[ColumnName, ...] | None = None  # the sources in order, once asked for

    def columns(self) -> tuple[ColumnName, ...]:
        """The sources in order."""
        if self.named is None:
            self.named = tuple([ColumnName(*key) for key in sorted(self.sources)])
        return self.named

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Flow)
            and self.sources == other.sources
            and self.transform is other.transform
            and self.opaque == other.opaque
        )

    def __hash__(self) -> int:
        return hash((self.sources, self.transform, self.opaque))

    def computed(self) -> Flow:
        """The same sources after a computation."""
        if self.transform is Transform.IDENTITY or self.row is not None:
            transform = Transform.EXPRESSION if self.transform is Transform.IDENTITY else self.transform
            return Flow(self.sources, transform, self.opaque)
        return self


CONSTANT = Flow()
OPAQUE = Flow(opaque=True)


def merge(flows: Iterable[Flow], transform: Transform | None = None) -> Flow:
    """A value computed from all of `flows`; aggregates and whole rows inside stay visible in the transformation."""
    sources: frozenset[Key] = NONE
    opaque = False
    found = Transform.EXPRESSION
    for flow in flows:
        if flow.sources:
            sources = sources | flow.sources if sources else flow.sources
        opaque = opaque or flow.opaque
        if flow.transform is Transform.WHOLE_ROW or (
            flow.transform is Transform.AGGREGATE and found is Transform.EXPRESSION
        ):
            found = flow.transform
    if transform is None or found is Transform.WHOLE_ROW:
        transform = found
    if not sources and not opaque and transform is Transform.EXPRESSION:
        return CONSTANT
    return Flow(sources, transform, opaque)


class Shape:
    """Ordered columns with their flows. `open`: there may be more, unknown ones. Immutable by convention."""

    __slots__ = ("flows", "lookup", "names", "open")
    lookup: dict[str, Flow]  # by name, made when first asked for

    def __init__(self, names: Sequence[str], flows: Sequence[Flow], is_open: bool = False) -> None:
        self.names = names
        self.flows = flows
        self.open = is_open

    def __getattr__(self, attribute: str) -> dict[str, Flow]:
        """`lookup`, the first time: a slot that is set costs its readers no call."""
        if attribute != "lookup":
            raise AttributeError(attribute)
        table: dict[str, Flow] = {}
        for name, flow in zip(self.names, self.flows, strict=True):
            table[name] = either((table[name], flow)) if name in table else flow
        self.lookup = table
        return table

    def renamed(self, names: Sequence[str]) -> Shape:
        """With the leading columns renamed, as `AS t(a, b)` does."""
        if not names:
            return self
        if self.open:  # which column is the first is not known
            whole = merge([*self.flows, OPAQUE])
            return Shape([*names, *self.names], [whole] * (len(names) + len(self.names)), True)
        return Shape([*names[: len(self.names)], *self.names[len(names) :]], self.flows, self.open)

    def whole_row(self) -> Flow:
        sources: frozenset[Key] = frozenset().union(*(flow.sources for flow in self.flows))
        opaque = self.open or any(flow.opaque for flow in self.flows)
        return Flow(sources, Transform.WHOLE_ROW, opaque, self)


EMPTY = Shape((), ())


def either(flows: Sequence[Flow]) -> Flow:
    """A value that is one of `flows` (set operations, merged join columns): identity stays identity."""
    first = flows[0]
    if all(flow is first for flow in flows):
        return first
    sources: frozenset[Key] = frozenset().union(*(flow.sources for flow in flows))
    kinds = {flow.transform for flow in flows if flow.sources or flow.opaque}
    if Transform.WHOLE_ROW in kinds:
        transform = Transform.WHOLE_ROW
    elif len(kinds) == 1:
        transform = kinds.pop()
    else:
        transform = Transform.AGGREGATE if Transform.AGGREGATE in kinds else Transform.EXPRESSION
    united = Flow(sources, transform, any(flow.opaque for flow in flows))
    united.mixed = any(flow.mixed or flow.sources != sources for flow in flows)
    return united


class Item:
    """One entry of a FROM's namespace. `relation` is the base column keys' (schema, table) of a plain relation.

    `by_name`: qualified references reach it; `by_column`: unqualified ones and `*` do.
    """

    __slots__ = ("by_column", "by_name", "name", "relation", "schema", "shape", "whole")

    def __init__(
        self,
        name: str,
        shape: Shape,
        *,
        schema: str = "",
        relation: tuple[str, str] | None = None,
        by_name: bool = True,
        by_column: bool = True,
        whole: Flow | None = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self.shape = shape
        self.relation = relation
        self.by_name = by_name
        self.by_column = by_column
        self.whole = whole

    def row(self) -> Flow:
        """The whole-row value; of a function that returns a scalar, that scalar."""
        return self.whole if self.whole is not None else self.shape.whole_row()


class Scope:
    """What names mean at one place: the FROM's items, then the enclosing query's. `ctes` by name, None: in progress.

    `parameters`: the place is a function's body, where an unknown unqualified name is one of its parameters.
    """

    __slots__ = ("aliases", "ctes", "items", "parameters", "parent", "pinned")

    def __init__(self, parent: Scope | None = None, *, parameters: bool = False) -> None:
        self.parent = parent
        self.items: list[Item] = []
        self.ctes: dict[str, Shape] = {}
        self.pinned: dict[str, str] = {}  # columns (by the name used) that this query's WHERE holds to a text
        self.aliases: dict[str, Flow] = {}  # output names, for ORDER BY and GROUP BY
        self.parameters: bool = parameters or (parent is not None and parent.parameters)

    def cte(self, name: str) -> Shape | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.ctes.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None
