"""Templates, and the few words that they share. Everything put into a page is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent / "templates"
_KEPT = frozenset("\n\t")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` without what people can't see but screens obey: control characters, changes of the writing direction."""
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSEEN and c not in _KEPT else c for c in text
    )


def _finalize(value: object) -> object:
    if value is None:
        return ""
    return visible(value) if type(value) is str else value


def clock(value: object) -> str:
    """A time of today, to the second, in UTC."""
    return value.astimezone(UTC).strftime("%H:%M:%S") if isinstance(value, datetime) else ""


def day(value: object) -> str:
    return value.astimezone(UTC).strftime("%-d %b") if isinstance(value, datetime) else ""


def full(value: object) -> str:
    """A time in full, in UTC, to the millisecond."""
    if not isinstance(value, datetime):
        return ""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def nano(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1e9, UTC)


def duration(ms: object) -> str:
    """A duration in milliseconds as people say it."""
    if not isinstance(ms, int | float):
        return ""
    if ms < 1:
        return f"{ms * 1000:.0f} µs"
    if ms < 1000:
        return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 60_000:.0f} min"


def number(value: object) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if isinstance(value, int) else ""


def reason(message: object, rules: object) -> str:
    """What a person was told, without the words that only repeat the rule, which stands beside it."""
    text = str(message or "")
    head, colon, rest = text.partition(": ")
    named = rules[0] if isinstance(rules, list) and rules else None
    return rest if colon and named and head in (f"denied by {named}", f"held by {named}") else text


def distinct(values: Iterable[object] | None) -> list[object]:
    return sorted(set(values or ()), key=str)


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clock=clock, day=day, full=full, nano=nano, duration=duration, number=number, distinct=distinct, reason=reason
    )
    return made


TEMPLATES = web.AppKey("templates", Environment)


def page(request: web.Request, name: str, *, status: int = 200, **values: object) -> web.Response:
    """Template `name`, filled in."""
    values.setdefault("me", None)
    values.setdefault("here", "")
    text = request.app[TEMPLATES].get_template(name).render(values)
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)
