"""The demo database: a web shop with customers, orders, payments, staff and secrets. All of it is made up.

The same size and seed give the same rows: values are hashes of row numbers, dates count from a fixed day. Emails are
of example domains, phone numbers of the range kept for fiction, national ids of an area that was never issued. What
it is made of lies beside this module in `shop.sql`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

SCHEMA = Path(__file__).with_name("shop.sql")
VERSION = "1"  # in the database's comment; another one is loaded afresh


@dataclass(frozen=True, slots=True)
class ShopSize:
    """How many rows the larger tables get; `seed` changes who buys what."""

    customers: int
    products: int
    orders: int
    employees: int
    tickets: int
    events: int
    seed: int = 7

    def numbers(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


FULL = ShopSize(customers=20_000, products=500, orders=50_000, employees=300, tickets=5_000, events=60_000)
DEV = ShopSize(customers=1_000, products=500, orders=2_000, employees=40, tickets=200, events=2_000, seed=11)
SMALL = ShopSize(customers=200, products=50, orders=500, employees=30, tickets=50, events=600)

# What the settings say of the database: tables that must not be dropped, and columns by what they hold.
SHOP_TAGS: dict[str, list[str]] = {
    "public.customers": ["critical"],
    "public.payments": ["critical"],
    "public.employees": ["critical"],
    "public.api_keys": ["critical"],
    "public.customers.full_name": ["pii.name"],
    "public.customers.email": ["pii.email"],
    "public.customers.phone": ["pii.phone"],
    "public.customers.street": ["pii.address"],
    "public.customers.postal_code": ["pii.address"],
    "public.customers.birth_date": ["pii.birthdate"],
    "public.payments.card_last_four": ["pii.card"],
    "public.payments.iban": ["pii.iban"],
    "public.employees.full_name": ["pii.name"],
    "public.employees.email": ["pii.email"],
    "public.employees.salary": ["pii.salary"],
    "public.employees.national_id": ["pii.national_id"],
    "public.api_keys.secret": ["secret.key"],
    "public.support_tickets.body": ["pii"],
    "public.support_tickets.metadata": ["pii"],
    **{f"public.events_{part}.ip": ["pii.ip"] for part in ("all", "2026_01", "2026_02", "2026_03", "later")},
}


def load_shop(admin: str, name: str, size: ShopSize = DEV, *, told: Callable[[str], object] = lambda line: None) -> str:
    """Make database `name` on the server that `admin` (a superuser's DSN) reaches, unless it is there; its DSN.

    It gets its name only when complete, so that a load that was interrupted starts again. `told` hears that it is
    loaded, before that begins.
    """
    loading = f"{name}_loading"
    target = make_conninfo(admin, dbname=name)
    comment = f"airlock demo {VERSION} {size.numbers()}"
    with psycopg.connect(admin, autocommit=True) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
        ).fetchone()
        if row is not None and row[0] == comment:
            return target
        told(f"loading the demo database {name} …")
        for old in (loading, name):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(loading)))
        with psycopg.connect(make_conninfo(admin, dbname=loading), autocommit=True) as inside:
            fill(inside, size)
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(loading), sql.Identifier(name))
        )
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(comment)))
    return target


def fill(connection: psycopg.Connection, size: ShopSize) -> None:
    """Run `shop.sql` with the size as settings that it reads, in one transaction, and gather statistics."""
    with connection.transaction():
        for key, value in size.numbers().items():
            connection.execute("SELECT set_config(%s, %s, true)", (f"shop.{key}", str(value)))
        connection.execute(SCHEMA.read_bytes())
    connection.execute("VACUUM ANALYZE")
