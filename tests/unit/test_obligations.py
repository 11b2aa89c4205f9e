"""Mask rules become masks of output columns and guards of base columns."""

from __future__ import annotations

from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.decision import MaskMethod, MaskRule
from decision.model.facts import (
    Access,
    ColumnName,
    Facts,
    Kind,
    OutputColumn,
    RelationKind,
    RelationUse,
    Statement,
    Transform,
)
from decision.obligations import TagIndex, resolve, tag_matches

CUSTOMERS = CatalogRelation(
    "public", "customers", 4711, RelationKind.TABLE,
    (CatalogColumn("id", 1, 23, "int4"), CatalogColumn("email", 2, 25, "text", tags=("pii.email",))),
)  # fmt: skip
INDEX = TagIndex(CatalogSnapshot("shop", 180000, "v1", relations=(CUSTOMERS,)))
EMAIL = MaskRule("masking.pii", MaskMethod.EMAIL, tag="pii.email")
FULL = MaskRule("masking.all", MaskMethod.FULL, tag="pii")


def facts(*outputs: OutputColumn, relation: str = "customers") -> Facts:
    use = RelationUse("public", relation, RelationKind.TABLE, (Access.READ,), oid=4711)
    statement = Statement("f", "SELECT", (Kind.SELECT,), relations=(use,), output=outputs, returns_rows=True)
    return Facts("postgres", "18", "v1", (statement,))


ID = OutputColumn(1, "id", (ColumnName("public", "customers", "id"),), Transform.IDENTITY)
MAIL = OutputColumn(2, "mail", (ColumnName("public", "customers", "email"),), Transform.IDENTITY, ("pii.email",))


def test_an_output_with_the_tag_is_masked() -> None:
    """Lineage finds the column under its alias."""
    (obligation,) = resolve(facts(ID, MAIL), INDEX, [EMAIL])
    assert [(m.ordinal, m.method) for m in obligation.masks] == [(2, MaskMethod.EMAIL)]
    assert obligation.output_count == 2


def test_the_strongest_mask_wins() -> None:
    """Two rules on one column: the one that shows less."""
    (obligation,) = resolve(facts(ID, MAIL), INDEX, [FULL, EMAIL])
    assert [m.method for m in obligation.masks] == [MaskMethod.FULL]


def test_the_tables_masked_columns_are_guarded_even_if_lineage_missed_them() -> None:
    """RowDescription is checked against every masked column of every table that the statement touches."""
    (obligation,) = resolve(facts(ID), INDEX, [EMAIL])
    assert [(g.table_oid, g.number) for g in obligation.guards] == [(4711, 2)]
    assert obligation.tables == (4711,)
    assert not obligation.other_tables


def test_a_table_outside_the_snapshot_is_said_to_be_there() -> None:
    """Its columns can't be checked by RowDescription."""
    (obligation,) = resolve(facts(MAIL, relation="tmp"), INDEX, [EMAIL])
    assert obligation.other_tables


def test_opaque_output_is_scanned() -> None:
    """What lineage can't resolve is named for the scanner."""
    opaque = OutputColumn(1, "f", (), Transform.EXPRESSION, opaque=True)
    (obligation,) = resolve(facts(opaque), INDEX, [EMAIL])
    assert obligation.scan_text == (1,)


def test_without_mask_rules_nothing_is_asked_of_the_enforcement_point() -> None:
    """The common case costs nothing."""
    assert resolve(facts(ID, MAIL), INDEX, []) == ()


def test_a_tag_covers_what_is_below_it_and_not_its_neighbours() -> None:
    """`pii` covers `pii.email`, not `piison`; `pii.email` does not cover `pii`."""
    assert tag_matches("pii.email", "pii")
    assert not tag_matches("piison", "pii")
    assert not tag_matches("pii", "pii.email")


def test_a_family_rule_leaves_special_tags_to_their_own_rule() -> None:
    """A rule for `pii` except `pii.email` does not turn an email mask into a full one, but covers other tags."""
    family = MaskRule("masking.pii", MaskMethod.FULL, tag="pii", except_tags=("pii.email",))
    mixed = OutputColumn(1, "both", MAIL.sources, Transform.EXPRESSION, ("pii.email", "pii.phone"))
    assert [m.method for m in resolve(facts(ID, MAIL), INDEX, [family, EMAIL])[0].masks] == [MaskMethod.EMAIL]
    assert [m.method for m in resolve(facts(mixed), INDEX, [family, EMAIL])[0].masks] == [MaskMethod.FULL]


def test_what_is_computed_or_of_the_session_covers_its_nulls() -> None:
    """The column itself keeps them; a temporary table's column may hold something computed."""
    computed = OutputColumn(3, "m", MAIL.sources, Transform.EXPRESSION, MAIL.tags)
    opaque = OutputColumn(4, "o", MAIL.sources, Transform.IDENTITY, MAIL.tags, opaque=True)
    kept = OutputColumn(5, "t", (ColumnName("pg_temp", "t", "e"), *MAIL.sources), Transform.IDENTITY, MAIL.tags)
    (obligation,) = resolve(facts(ID, MAIL, computed, opaque, kept), INDEX, [EMAIL])
    assert [(mask.ordinal, mask.covers_null) for mask in obligation.masks] == [
        (2, False),
        (3, True),
        (4, True),
        (5, True),
    ]
