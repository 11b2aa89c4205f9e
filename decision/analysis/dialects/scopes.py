"""What names mean at one place of a query: the sources of its FROM, then the enclosing query's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from decision.analysis.flow import OPAQUE, Flow, Key, either
from decision.model.facts import Transform


class Source:
    """One entry of a FROM. `columns` in order, with the names as shown; `open`: there may be more. `relation`: the
    base relation's (schema, name), whose unknown columns are columns of its own."""

    def __init__(
        self,
        name: str,
        columns: Sequence[tuple[str, Flow]],
        *,
        is_open: bool = False,
        relation: tuple[str, str] | None = None,
        schema: str = "",
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name.casefold()
        self.schema = schema.casefold()
        self.columns = list(columns)
        self.open = is_open
        self.relation = relation
        self.hidden = hidden
        self.aliases: frozenset[Key] = frozenset()  # columns that a hidden one may be another name of
        self.lookup: dict[str, Flow] = {}
        for label, flow in self.columns:
            key = label.casefold()
            self.lookup[key] = either((self.lookup[key], flow)) if key in self.lookup else flow

    def find(self, name: str) -> Flow | None:
        """The column's flow; for a name that only an open source may have, one that is opaque."""
        key = name.casefold()
        found = self.lookup.get(key)
        if found is not None:
            return found
        if key in self.hidden and self.relation is not None:
            return Flow(self.aliases | {(*self.relation, key)}, Transform.IDENTITY)
        if not self.open:
            return None
        sources: frozenset[Key] = frozenset()
        if self.relation is not None:
            sources = frozenset({(*self.relation, name)})
        return Flow(sources | self.row().sources if self.relation is None else sources, Transform.IDENTITY, True)

    def row(self) -> Flow:
        return union((flow for _, flow in self.columns), Transform.WHOLE_ROW, opaque=self.open)

    def renamed(self, names: Sequence[str]) -> Source:
        shown = [*names[: len(self.columns)], *(label for label, _ in self.columns[len(names) :])]
        columns = [(label, flow) for label, (_, flow) in zip(shown, self.columns, strict=True)]
        if self.open and names:
            columns += [(name, self.row()) for name in names[len(columns) :]]
        return Source(self.name, columns, is_open=self.open, schema=self.schema)


def union(flows: Iterable[Flow], transform: Transform = Transform.EXPRESSION, *, opaque: bool = False) -> Flow:
    """A value computed from all of `flows`."""
    sources: set[Key] = set()
    for flow in flows:
        sources |= flow.sources
        opaque = opaque or flow.opaque
        if flow.transform is Transform.AGGREGATE and transform is Transform.EXPRESSION:
            transform = Transform.AGGREGATE
    return Flow(frozenset(sources), transform, opaque)


class Scope:
    """`ctes` by folded name; `merged`: the FROM has USING or NATURAL, so that the order of `*` is the server's."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.sources: list[Source] = []
        self.ctes: dict[str, list[tuple[str, Flow]]] = {}
        self.open_ctes: set[str] = set()
        self.aliases: dict[str, Flow] = {}
        self.merged = False

    def cte(self, name: str) -> Source | None:
        key = name.casefold()
        scope: Scope | None = self
        while scope is not None:
            if key in scope.ctes:
                return Source(key, scope.ctes[key], is_open=key in scope.open_ctes)
            scope = scope.parent
        return None

    def source(self, name: str, schema: str = "") -> Source | None:
        scope: Scope | None = self
        while scope is not None:
            for source in scope.sources:
                if source.name == name.casefold() and (not schema or source.schema in ("", schema.casefold())):
                    return source
            scope = scope.parent
        return None

    def column(self, name: str) -> Flow | None:
        """An unqualified name: a column of the innermost FROM that has it, or an output's name."""
        found: list[Flow] = []
        scope: Scope | None = self
        while scope is not None:
            closed = [f for s in scope.sources if not s.open and (f := s.find(name)) is not None]
            opened = [f for s in scope.sources if s.open and (f := s.find(name)) is not None]
            sure = [s for s in scope.sources if s.open and name.casefold() in s.lookup]
            found += closed + opened
            alias = scope.aliases.get(name.casefold())
            if alias is not None:
                found.append(alias)
            if closed or alias is not None or sure:
                break
            scope = scope.parent
        if not found:
            return None
        return found[0] if len(found) == 1 else either(found)


__all__ = ["OPAQUE", "Scope", "Source", "union"]
