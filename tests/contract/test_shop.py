"""The demo database is complete, the same every time, and tagged by names that exist."""

from __future__ import annotations

import psycopg
import pytest

from airlock.demo.postgres import BundledPostgres
from airlock.demo.shop import SHOP_TAGS, SMALL, load_shop
from decision.config import DatabaseEntry
from tests.conftest import NewDatabase

pytestmark = pytest.mark.postgres


def one(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def test_it_has_the_rows_asked_for(shop: str) -> None:
    """As many customers and orders as the size says, and something in every table, view and partition."""
    assert one(shop, "select count(*) from customers") == SMALL.customers
    assert one(shop, "select count(*) from orders") == SMALL.orders
    names = one(shop, "select array_agg(relname::text) from pg_class "
                      "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')")  # fmt: skip
    assert isinstance(names, list) and len(names) >= 15
    assert [name for name in names if one(shop, f"select count(*) from {name}") == 0] == []


def test_the_same_size_and_seed_give_the_same_rows(postgres: BundledPostgres, shop: str) -> None:
    """Loaded again elsewhere, every customer and payment is equal."""
    again = load_shop(postgres.dsn("postgres"), "shop_again", SMALL)
    for table in ("customers", "payments", "api_keys"):
        digest = f"select md5(string_agg(t::text, ',' order by id)) from {table} t"
        assert one(shop, digest) == one(again, digest)


def test_it_is_loaded_once(postgres: BundledPostgres, shop: str) -> None:
    """A second call keeps the database and what was changed in it."""
    name = "shop_kept"
    dsn = load_shop(postgres.dsn("postgres"), name, SMALL)
    with psycopg.connect(dsn) as connection:
        connection.execute("update products set stock = 4711 where id = 1")
    assert load_shop(postgres.dsn("postgres"), name, SMALL) == dsn
    assert one(dsn, "select stock from products where id = 1") == 4711


def test_tags_name_columns_that_exist(shop: str) -> None:
    """Each key is a table or a column of it, in the form that the settings take."""
    assert DatabaseEntry(name="shop", tags=SHOP_TAGS).tags == SHOP_TAGS
    with psycopg.connect(shop) as connection:
        rows = connection.execute(
            "select table_schema || '.' || table_name, table_schema || '.' || table_name || '.' || column_name "
            "from information_schema.columns"
        ).fetchall()
    known = {name for row in rows for name in row}
    assert [key for key in SHOP_TAGS if key not in known] == []


def test_money_adds_up(shop: str) -> None:
    """An order's total is the sum of its items, and its payment is that."""
    wrong = one(shop, "select count(*) from orders o where total <> "
                      "(select sum(quantity * unit_price) from order_items i where i.order_id = o.id)")  # fmt: skip
    assert wrong == 0
    assert one(shop, "select count(*) from payments p join orders o on o.id = p.order_id where amount <> total") == 0


def test_ibans_are_well_formed(shop: str) -> None:
    """Their check digits are right, so that detectors have something real to find."""
    bad = one(shop, "select count(*) from payments where iban is not null and "
                    "(substr(iban, 5) || '1314' || substr(iban, 3, 2))::numeric % 97 <> 1")  # fmt: skip
    assert bad == 0


def test_a_test_gets_a_database_of_its_own(new_database: NewDatabase, shop: str) -> None:
    """A copy of the shop that may be spoilt."""
    own = new_database(template="shop")
    with psycopg.connect(own) as connection:
        connection.execute("truncate payments")
    assert one(own, "select count(*) from payments") == 0
    assert one(shop, "select count(*) > 0 from payments") is True
