"""SQLAlchemy: inspection and reflection of the shop, then the ORM's everyday queries on what was reflected."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    joinedload,
    selectinload,
    subqueryload,
    with_loader_criteria,
)


def inspection(dsn: str) -> None:
    """Everything that an Inspector can be asked, as Alembic's autogenerate does it."""
    engine = _engine(dsn)
    found = sa.inspect(engine)
    found.get_schema_names()
    for table in found.get_table_names():
        found.get_columns(table)
        found.get_pk_constraint(table)
        found.get_foreign_keys(table)
        found.get_indexes(table)
        found.get_unique_constraints(table)
        found.get_check_constraints(table)
        found.get_table_comment(table)
    found.get_multi_columns()
    for view in found.get_view_names():
        found.get_view_definition(view)
    found.get_materialized_view_names()
    found.get_sequence_names()
    found.get_enums()
    found.get_domains()
    found.has_table("customers")
    found.has_index("orders", "orders_customer_id_idx")
    sa.MetaData().reflect(engine, views=True)
    engine.dispose()


def orm(dsn: str) -> None:
    """Loading in every eager way, aggregates, windows, CTEs, bulk inserts, upserts, deletes."""
    engine = _engine(dsn)
    base = automap_base()
    base.prepare(autoload_with=engine)
    with Session(engine) as session:
        _read(session, base.classes)
        _analytic(session, base.classes)
        _write(session, base.classes)
        session.rollback()
    engine.dispose()


def _engine(dsn: str) -> sa.Engine:
    return sa.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sa.pool.NullPool)


def _read(session: Session, m: object) -> None:
    customers, orders, items = m.customers, m.orders, m.order_items  # type: ignore[attr-defined]
    session.get(customers, 1)
    for load in (joinedload, selectinload, subqueryload):
        query = sa.select(customers).options(load(customers.orders_collection)).order_by(customers.id).limit(5)
        session.scalars(query).unique().all()
    first = session.scalars(sa.select(orders).order_by(orders.placed_at.desc()).limit(1)).one()
    assert first.customers.email and first.order_items_collection is not None  # loaded when they are asked for
    both = sa.select(orders).join(orders.customers).options(contains_eager(orders.customers))
    session.scalars(both.where(customers.country == "DE").limit(3)).all()
    session.scalars(
        sa.select(customers).where(customers.email.ilike("%example%"), customers.city.in_(["Berlin"]))
    ).all()
    session.scalars(sa.select(customers).where(customers.orders_collection.any(orders.total > 100))).all()
    session.scalars(sa.select(orders).where(~orders.payments_collection.any())).all()
    session.execute(sa.select(orders.id, items.line).join(items).where(items.quantity.between(2, 3)).offset(5).limit(5))
    session.scalars(sa.select(customers).options(with_loader_criteria(customers, customers.newsletter))).all()
    session.execute(sa.select(sa.func.count()).select_from(sa.select(customers.id).subquery())).scalar_one()
    session.scalars(sa.select(orders).where(orders.id == 1).with_for_update(skip_locked=True)).all()
    session.execute(sa.select(sa.exists().where(customers.email == "x"))).scalar_one()
    staff = m.employees  # type: ignore[attr-defined]
    boss = aliased(staff)
    session.execute(sa.select(staff.full_name, boss.full_name).outerjoin(boss, staff.manager_id == boss.id)).all()


def _analytic(session: Session, m: object) -> None:
    orders, items, products, staff = m.orders, m.order_items, m.products, m.employees  # type: ignore[attr-defined]
    month = sa.func.date_trunc("month", orders.placed_at).label("month")
    totals = sa.select(month, sa.func.sum(orders.total).label("total"), sa.func.count().label("n")).group_by(month)
    session.execute(totals.having(sa.func.count() > 1).order_by(month)).all()
    cte = totals.cte("monthly")
    before = sa.func.lag(cte.c.total).over(order_by=cte.c.month)
    session.execute(sa.select(cte.c.month, (cte.c.total - before).label("growth"))).all()
    rank = sa.func.row_number().over(partition_by=products.category, order_by=products.price.desc()).label("rank")
    best = sa.select(products.id, products.name, rank).subquery()
    session.execute(sa.select(best).where(best.c.rank <= 3)).all()
    tree = sa.select(staff.id, staff.full_name, sa.literal(0).label("depth")).where(staff.manager_id.is_(None))
    tree = tree.cte("tree", recursive=True)
    below = sa.select(staff.id, staff.full_name, tree.c.depth + 1).join(tree, staff.manager_id == tree.c.id)
    session.execute(sa.select(tree.union_all(below))).all()
    top = sa.select(items).where(items.order_id == orders.id).order_by(items.unit_price.desc()).limit(1).lateral()
    session.execute(sa.select(orders.id, top.c.product_id).join(top, sa.true()).limit(5)).all()
    size = sa.case((orders.total > 100, "large"), (orders.total > 10, "medium"), else_="small")
    session.execute(sa.select(size, sa.func.avg(orders.total)).group_by(size)).all()
    session.execute(sa.union(sa.select(products.category), sa.select(staff.department)).order_by("category")).all()
    tickets = m.support_tickets  # type: ignore[attr-defined]
    session.execute(sa.select(tickets.metadata_["channel"].astext if hasattr(tickets, "metadata_") else
                              tickets.subject, sa.func.count()).group_by(sa.text("1"))).all()  # fmt: skip
    session.execute(sa.select(sa.func.array_agg(sa.distinct(products.category)),
                              sa.func.percentile_cont(0.5).within_group(products.price))).all()  # fmt: skip


def _write(session: Session, m: object) -> None:
    customers, products, orders = m.customers, m.products, m.orders  # type: ignore[attr-defined]
    made = [{"sku": f"NEW-{n}", "name": "n", "category": "home", "price": n, "stock": 1} for n in range(50)]
    session.add_all([products(active=True, **row) for row in made[:5]])  # insertmanyvalues with RETURNING
    session.flush()
    session.execute(sa.insert(products), [{"active": True, **row} for row in made[5:]])
    upsert = insert(products).values(active=True, **made[0])
    session.execute(upsert.on_conflict_do_update(index_elements=["sku"], set_={"price": upsert.excluded.price}))
    session.execute(insert(products).values(active=True, **made[1]).on_conflict_do_nothing())
    one = session.scalars(sa.select(products).where(products.sku == "NEW-1")).one()
    one.stock += 1
    session.flush()
    session.execute(sa.update(products).where(products.sku.like("NEW-%")).values(stock=products.stock + 1)
                    .returning(products.id, products.stock)).all()  # fmt: skip
    with session.begin_nested():
        session.delete(one)
    session.execute(sa.delete(products).where(products.sku.like("NEW-%")))
    session.execute(sa.update(orders).where(orders.customer_id == customers.id, customers.country == "XX")
                    .values(note="x"))  # fmt: skip
    session.execute(sa.insert(m.payments).from_select(  # type: ignore[attr-defined]
        ["order_id", "method", "amount", "paid_at"],
        sa.select(orders.id, sa.literal("card"), orders.total, sa.func.now()).where(orders.id < 3)))  # fmt: skip
