"""The pages of the audit trail: the feed, one decision, the overview."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web

from analytics.query import CatalogMissing
from console import questions
from console.access import auditor, now
from console.audit import Question, Row
from console.chart import draw
from console.live import AUDIT
from console.pages import page
from console.questions import EFFECTS, PAGE, WINDOWS, Filters


async def answers(request: web.Request, asked: dict[str, Question]) -> dict[str, list[Row]]:
    """The rows of each question; none while there is no audit store yet."""
    try:
        found = await request.app[AUDIT].ask(*asked.values())
    except CatalogMissing:
        return {name: [] for name in asked}
    return dict(zip(asked, found, strict=True))


async def feed(request: web.Request) -> web.StreamResponse:
    """What was decided, newest first; with `part=rows` only the rows, for the page that is already there."""
    me = auditor(request)
    filters = Filters.of(request.query)
    found = await answers(
        request, {"rows": questions.feed(filters, now(request)), "databases": questions.DATABASES}
    )  # fmt: skip
    rows = found["rows"]
    older = None
    if len(rows) > PAGE:
        rows = rows[:PAGE]
        older = filters.address(before=getattr(rows[-1]["time"], "isoformat", str)())
    values: dict[str, Any] = {
        "me": me, "here": "feed", "rows": rows, "older": older, "filters": filters, "effects": EFFECTS,
        "windows": tuple(WINDOWS), "databases": found["databases"], "today": now(request).date(),
    }  # fmt: skip
    return page(request, "feed_rows.html" if request.query.get("part") == "rows" else "feed.html", **values)


async def decision(request: web.Request) -> web.StreamResponse:
    """Everything about one decision."""
    me = auditor(request)
    found = await answers(request, questions.decision(request.match_info["decision_id"]))
    if not found["decision"]:
        return page(
            request, "refused.html", status=404, me=me, title="No such decision",
            message="The audit store holds no decision of that id.",
            hint="One that was just made is here within a second: load the page again.",
        )  # fmt: skip
    tables: dict[tuple[object, object], list[Row]] = {}
    for column in found["columns"]:
        tables.setdefault((column["schema_name"], column["table_name"]), []).append(column)
    known = {(table["schema_name"], table["table_name"]) for table in found["tables"]}
    others = [
        {"schema_name": schema, "table_name": table, "kind": "", "access": [], "via": [], "tags": []}
        for schema, table in tables
        if (schema, table) not in known
    ]
    sources = {source for one in found["masked"] for source in (one["sources"] or ())}  # type: ignore[attr-defined]
    values: dict[str, Any] = {
        **found, "decision": found["decision"][0], "tables": found["tables"] + others, "columns_of": tables,
        "masked_sources": sources, "session": found["session"][0] if found["session"] else None,
    }  # fmt: skip
    return page(request, "decision.html", me=me, here="feed", **values)


async def overview(request: web.Request) -> web.StreamResponse:
    """The last day at a glance."""
    me = auditor(request)
    moment = now(request)
    found = await answers(request, questions.overview(moment))
    first = (moment - timedelta(hours=questions.HOURS - 1)).replace(minute=0, second=0, microsecond=0)
    counts = {
        name: {int(str(row["hour"])): int(str(row["n"])) for row in found[name]} for name in ("denials", "masked")
    }
    chart = draw(first, questions.HOURS, counts["denials"], counts["masked"])
    figures = found["figures"][0] if found["figures"] else None
    return page(
        request, "overview.html", me=me, here="overview", chart=chart, figures=figures,
        rules=found["rules"], principals=found["principals"],
    )  # fmt: skip
