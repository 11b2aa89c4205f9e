"""Django: inspectdb makes the shop's models; migrations, the admin's pages and the ORM's queries run on them.

`python -m tests.support.everyday.orm_django DSN` does it all in a process of its own, since Django is set up once in a
process.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

APPS = ("auth", "contenttypes", "sessions", "messages", "admin")
ADMIN = """
from django.contrib import admin
from django.urls import path
from shop import models

@admin.register(models.Customers)
class Customers(admin.ModelAdmin):
    list_display = ("id", "full_name", "email", "city")
    list_filter = ("country", "segment", "newsletter")
    search_fields = ("full_name", "email")
    date_hierarchy = "created_at"
    list_editable = ("city",)

@admin.register(models.Orders)
class Orders(admin.ModelAdmin):
    list_display = ("id", "customer", "status", "total")
    list_select_related = ("customer",)
    search_fields = ("customer__email", "=id")
    ordering = ("-placed_at",)
    raw_id_fields = ("customer",)

urlpatterns = [path("admin/", admin.site.urls)]
"""


def set_up(dsn: str, folder: Path) -> None:
    """A project with one app whose models inspectdb writes, and the admin over it."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    parts = conninfo_to_dict(dsn)
    app = folder / "shop"
    app.mkdir()
    (app / "__init__.py").write_text("")
    (app / "models.py").write_text("from django.db import models\n")
    (folder / "pages.py").write_text(ADMIN)
    sys.path.insert(0, str(folder))
    message, session = "django.contrib.messages.middleware.MessageMiddleware", "django.contrib.sessions.middleware."
    processors = [f"django.{p}" for p in ("template.context_processors.request", "contrib.auth.context_processors.auth",
                                          "contrib.messages.context_processors.messages")]  # fmt: skip
    settings.configure(
        SECRET_KEY="for this run only",
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"],
                               "USER": parts["user"], "PASSWORD": parts["password"], "HOST": parts["host"],
                               "PORT": parts["port"]}},
        INSTALLED_APPS=[f"django.contrib.{app}" for app in APPS] + ["shop"],
        MIDDLEWARE=[f"{session}SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware", message],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                    "OPTIONS": {"context_processors": processors}}],
        ROOT_URLCONF="pages", ALLOWED_HOSTS=["*"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
        STATIC_URL="/static/", DEBUG_PROPAGATE_EXCEPTIONS=True,
    )  # fmt: skip
    os.environ["DJANGO_COLORS"] = "nocolor"
    written = io.StringIO()
    settings.INSTALLED_APPS = settings.INSTALLED_APPS[:-1]
    django.setup()
    call_command("inspectdb", "--include-views", "--include-partitions", stdout=written)
    (app / "models.py").write_text(written.getvalue())
    from django.apps import apps

    apps.set_installed_apps([*settings.INSTALLED_APPS, "shop"])
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)  # nothing left to do
    call_command("showmigrations", stdout=io.StringIO())


def pages() -> None:
    """What somebody does in the admin: sign in, list, filter, search, page, change, delete."""
    from django.contrib.auth.models import User
    from django.test import Client

    User.objects.create_superuser("ada", "ada@example.com", "secret")
    client = Client()
    assert client.login(username="ada", password="secret")
    for address in (
        "", "shop/customers/", "shop/customers/?q=ann+berlin", "shop/customers/?country__exact=DE&newsletter__exact=1",
        "shop/customers/?o=-2.3&p=1", "shop/customers/?created_at__year=2023", "shop/customers/1/change/",
        "shop/orders/", "shop/orders/?q=example.com", "shop/orders/1/change/", "shop/orders/1/delete/", "auth/user/",
        "auth/group/add/", "auth/user/1/change/", "shop/customers/1/history/",
    ):  # fmt: skip
        assert client.get(f"/admin/{address}").status_code == 200, address
    client.post("/admin/auth/group/add/", {"name": "readers", "permissions": ["1", "2"]})
    client.logout()


def queries(m: Any) -> None:
    """The ORM's queries that web applications are made of."""
    from django.db import connection, transaction
    from django.db.models import (
        Avg,
        Case,
        Count,
        Exists,
        F,
        OuterRef,
        Prefetch,
        Q,
        Subquery,
        Sum,
        TextField,
        Value,
        When,
        Window,
    )
    from django.db.models.functions import Coalesce, Concat, Lower, RowNumber, TruncMonth

    everything = list
    everything(m.Customers.objects.filter(Q(city="Berlin") | Q(email__icontains="example"), newsletter=True)[:10])
    everything(m.Customers.objects.exclude(country__in=["DE", "FR"]).values("country").annotate(n=Count("id")))
    everything(m.Orders.objects.select_related("customer").order_by("-placed_at")[:20])
    everything(m.Orders.objects.prefetch_related(Prefetch("payments_set"), "orderitems_set")[:5])
    spent = Coalesce(Sum("orders__total"), 0, output_field=m.Orders._meta.get_field("total"))
    everything(m.Customers.objects.annotate(spent=spent).filter(spent__gt=100).order_by("-spent")[:5])
    everything(m.Orders.objects.annotate(month=TruncMonth("placed_at")).values("month").annotate(n=Count("id")))
    last = m.Orders.objects.filter(customer=OuterRef("pk")).order_by("-placed_at").values("total")[:1]
    everything(m.Customers.objects.annotate(last=Subquery(last), has=Exists(last))[:5])
    everything(m.Products.objects.annotate(rank=Window(RowNumber(), partition_by="category", order_by="price")))
    everything(m.Products.objects.annotate(kind=Case(When(price__gt=100, then=Value("dear")), default=Value("fair"))))
    label = Concat(Lower("full_name"), Value(" "), "city", output_field=TextField())
    everything(m.Customers.objects.annotate(label=label).values_list("label"))
    everything(m.SupportTickets.objects.filter(metadata__channel="email", subject__regex="^R")[:5])
    everything(m.Products.objects.values("category").union(m.Employees.objects.values("department")))
    everything(
        m.Orders.objects.filter(customer__email__endswith=".com").distinct("customer").order_by("customer", "id")
    )
    everything(m.Orders.objects.raw("SELECT id, total FROM orders WHERE total > %s", [100]))
    everything(m.Orders.objects.order_by("id").iterator(chunk_size=100))
    everything(m.CustomerOverview.objects.filter(country="DE")[:3])
    m.Orders.objects.aggregate(Avg("total"), n=Count("customer", distinct=True))
    m.Orders.objects.filter(pk=1).exists(), m.Orders.objects.count(), m.Orders.objects.only("id").first()
    m.Customers.objects.in_bulk([1, 2, 3]), m.Orders.objects.dates("placed_at", "month")
    with transaction.atomic():
        m.Orders.objects.select_for_update(skip_locked=True).get(pk=1)
        new = [m.Products(sku=f"D-{n}", name="n", category="home", price=n, stock=1, active=True) for n in range(20)]
        m.Products.objects.bulk_create(new)
        m.Products.objects.bulk_create(
            [m.Products(sku="D-1", name="n", category="home", price=2, stock=1, active=True)], update_conflicts=True,
            unique_fields=["sku"], update_fields=["price"])  # fmt: skip
        m.Products.objects.bulk_update(m.Products.objects.filter(sku__startswith="D-"), ["stock"])
        m.Products.objects.filter(sku__startswith="D-").update(stock=F("stock") + 1)
        m.Products.objects.get_or_create(sku="D-99", defaults={"name": "n", "category": "c", "price": 1, "stock": 1,
                                                               "active": True})  # fmt: skip
        m.Products.objects.update_or_create(sku="D-99", defaults={"price": 3})
        one = m.Products.objects.get(sku="D-2")
        one.price = 9
        one.save()
        one.delete()
        m.Products.objects.filter(sku__startswith="D-").delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM orders GROUP BY status")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="airlock-django-") as folder:
        set_up(sys.argv[1], Path(folder))
        pages()
        from shop import models

        queries(models)


if __name__ == "__main__":
    main()
