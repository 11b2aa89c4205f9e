"""How many rows a statement changes at most, as far as the catalog knows."""

from __future__ import annotations

from decision.analysis.postgres.closure import descendants
from decision.analysis.postgres.names import Relation
from decision.analysis.postgres.walk import Walk
from decision.model.facts import Predicate, RelationKind


def known_rows(walk: Walk, relation: Relation) -> int | None:
    """The catalog's count; of a partitioned table that has none of its own, the sum of its partitions'."""
    if relation.entry is None or walk.catalog is None:
        return None
    own = relation.entry.relation
    if own.kind is RelationKind.PARTITIONED:
        parts = [child.relation for child in descendants(walk.catalog, relation.entry)]
        counts = [part.estimated_rows for part in parts if part.kind is not RelationKind.PARTITIONED]
        if counts and min(counts) >= 0:
            return sum(counts)
    return own.estimated_rows if own.estimated_rows >= 0 else None


def estimate(walk: Walk, relation: Relation, predicate: Predicate) -> None:
    """An upper bound of the rows changed, from the catalog: one for a whole key, else the table's rows."""
    rows: int | None = None
    if predicate.pins_key:
        rows = 1
    else:
        rows = known_rows(walk, relation)
        if predicate.limit is not None and rows is not None:
            rows = min(rows, predicate.limit)
    if rows is not None:
        walk.estimate = rows if walk.estimate is None else walk.estimate + rows
