"""What is said of columns by the name of their table is lost when the table is one no more: the facts tell whose."""

from __future__ import annotations

import pytest

from decision.analysis.analyzer import Analyzer
from decision.analysis.session import SessionState
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind, Usage

ID = CatalogColumn("id", 1, 23, "integer")
EMAIL = CatalogColumn("email", 2, 25, "text")
TAGGED = CatalogColumn("email", 2, 25, "text", tags=("pii.email",))
CATALOG = CatalogSnapshot(
    "app",
    180000,
    "v1",
    relations=(
        CatalogRelation(
            "public", "all_people", 1, RelationKind.PARTITIONED, (ID, TAGGED),
            children=(("public", "own"), ("public", "bare")),
        ),
        CatalogRelation("public", "own", 2, RelationKind.TABLE, (ID, TAGGED), parents=(("public", "all_people"),)),
        CatalogRelation("public", "bare", 3, RelationKind.TABLE, (ID, EMAIL), parents=(("public", "all_people"),)),
        CatalogRelation("public", "plain", 4, RelationKind.TABLE, (ID, EMAIL)),
    ),
)  # fmt: skip


def lost(text: str) -> set[str]:
    """The tagged columns that go on elsewhere."""
    facts = Analyzer().analyze(text.encode(), CATALOG, SessionState()).facts
    return {
        f"{column.table}.{column.column}"
        for statement in facts.statements
        for column in statement.columns
        if Usage.INNER in column.usage and column.tags
    }


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("ALTER TABLE own RENAME TO other", {"own.email"}),
        ("ALTER INDEX own RENAME TO other", {"own.email"}),
        ("ALTER TYPE own RENAME ATTRIBUTE email TO remark", {"own.email"}),
        ("ALTER TABLE all_people SET SCHEMA elsewhere", {"all_people.email"}),
        ("ALTER SCHEMA public RENAME TO elsewhere", {"all_people.email", "own.email"}),
        ("ALTER TABLE all_people DETACH PARTITION bare", {"all_people.email"}),
        ("ALTER TABLE all_people DETACH PARTITION bare CONCURRENTLY", {"all_people.email"}),
        ("ALTER TABLE bare NO INHERIT all_people", {"all_people.email"}),
        ("ALTER TABLE all_people DETACH PARTITION own", set()),
        ("ALTER TABLE own NO INHERIT all_people", set()),
        ("ALTER TABLE plain RENAME TO other", set()),
        ("ALTER TABLE plain SET SCHEMA elsewhere", set()),
        ("ALTER TYPE own RENAME ATTRIBUTE id TO number", set()),
        ("ALTER INDEX own_index RENAME TO other", set()),
        ("ALTER TABLE own RENAME CONSTRAINT a TO b", set()),
        ("COMMENT ON TABLE own IS 'x'", set()),
    ],
)
def test_columns_lose_what_is_said_of_them(text: str, want: set[str]) -> None:
    """Only those that are tagged, and only where their table's name or its parents are what the tags were said of."""
    assert lost(text) == want
