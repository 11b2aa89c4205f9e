"""`airlock alerts`: what the detections raised, from the audit store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from airlock.commands.common import data_dir_option, format_option, show_rows
from airlock.commands.query import failed
from analytics.query import CatalogMissing, CatalogReader
from analytics.render import as_json_value, to_csv
from decision.model.errors import AirlockError

SEVERITIES = ("low", "medium", "high", "critical")
COLUMNS = ("time", "severity", "rule", "principal", "database", "observed", "threshold", "title", "alert_id")
_COLOURS = {"medium": "yellow", "high": "red", "critical": "red"}
_POLL_S = 0.5
_MOST = 1_000

Found = dict[str, object]

severity_option = click.option(
    "--severity", type=click.Choice(SEVERITIES), default="low", show_default=True, help="This and what is worse."
)
rule_option = click.option("--rule", default="", metavar="ID", help="Only of this rule.")
principal_option = click.option("--principal", default="", metavar="SUBJECT", help="Only about this one.")


@click.group("alerts")
def alerts() -> None:
    """List, show and follow what was detected: mass reads, bursts of denials, enumeration, gaps …

    An alert that goes on is raised again and replaces itself; the rules and their thresholds are in [detections].
    """


@alerts.command("list")
@data_dir_option
@severity_option
@rule_option
@principal_option
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=24.0, show_default=True, help="So far back.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The most rows.")
@format_option
def list_(data_dir: Path, severity: str, rule: str, principal: str, hours: float, limit: int, form: str) -> None:
    """The alerts of the last hours, the newest first."""
    since = datetime.now(UTC) - timedelta(hours=hours)
    found = _find(data_dir, severity, rule, principal, "time >= ?", [since], "time DESC", limit)
    show_rows(COLUMNS, found, form, empty=f"no alerts in the last {hours:g} hours")


@alerts.command("show")
@click.argument("alert_id")
@data_dir_option
@format_option
def show(alert_id: str, data_dir: Path, form: str) -> None:
    """Everything about one alert: its window, its evidence, and what to do. The beginning of its id is enough."""
    found = _find(data_dir, "low", "", "", "starts_with(alert_id, ?)", [alert_id], "time DESC", 2)
    if not found:
        raise click.ClickException(f"there is no alert {alert_id!r}\nHint: airlock alerts list --hours 720")
    if len(found) > 1 and found[0]["alert_id"] != alert_id:
        raise click.ClickException(f"more than one alert begins with {alert_id!r}\nHint: give more of its id")
    one = found[0]
    if form == "table":
        evidence = one.pop("evidence")
        fields = {**one, **(evidence if isinstance(evidence, dict) else {})}
        show_rows(("field", "value"), [{"field": name, "value": value} for name, value in fields.items()], form)
    else:
        show_rows(tuple(one), [one], form)


@alerts.command("tail")
@data_dir_option
@severity_option
@rule_option
@principal_option
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what is raised from now.")
@click.option("--last", type=click.IntRange(0, _MOST), default=10, show_default=True, help="Begin with so many.")
@format_option
def tail(data_dir: Path, severity: str, rule: str, principal: str, follow: bool, last: int, form: str) -> None:
    """Show alerts as they are raised, and again as they grow; newest last; Ctrl-C ends it."""
    known: dict[object, object] = {}
    header = True
    found = _find(data_dir, severity, rule, principal, "true", [], "time DESC", _MOST)
    for one in found[last:]:
        known[one["alert_id"]] = _form(one)
    try:
        while True:
            for one in reversed(found):
                if known.get(one["alert_id"]) != _form(one):
                    known[one["alert_id"]] = _form(one)
                    _print(one, form, header=header)
                    header = False
            if not follow:
                return
            time.sleep(_POLL_S)
            found = _find(data_dir, severity, rule, principal, "true", [], "time DESC", _MOST)
    except KeyboardInterrupt:
        click.echo("", err=True)


def _find(
    data_dir: Path,
    severity: str,
    rule: str,
    principal: str,
    where: str,
    given: Sequence[object],
    order: str,
    limit: int,
) -> list[Found]:
    """The alerts as rows by name; none where nothing was ever stored. Raises ClickException."""
    worse = SEVERITIES[SEVERITIES.index(severity) :]
    conditions = [where, f"severity IN ({', '.join('?' * len(worse))})"]
    values = [*given, *worse]
    for column, value in (("rule", rule), ("principal", principal)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    sql = f"SELECT * FROM alerts WHERE {' AND '.join(conditions)} ORDER BY {order}, alert_id"
    try:
        with CatalogReader(data_dir) as reader:
            answer = reader.ask(sql, values, limit=limit)
    except CatalogMissing as error:
        raise failed(error) from error
    except AirlockError as error:
        raise failed(error) from error
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _form(one: Mapping[str, object]) -> tuple[object, ...]:
    """What changes when an alert is raised again."""
    return one.get("observed"), one["time"], one["window_end"]


def _print(one: Mapping[str, object], form: str, *, header: bool) -> None:
    if form == "json":
        click.echo(json.dumps({name: as_json_value(value) for name, value in one.items()}, ensure_ascii=False))
    elif form == "csv":
        text = to_csv(COLUMNS, [tuple(one.get(name) for name in COLUMNS)])
        click.echo(text if header else text.split("\r\n", 1)[1])
    else:
        when = one["time"].strftime("%H:%M:%S") if isinstance(one["time"], datetime) else ""
        about = " on ".join(str(one[name]) for name in ("principal", "database") if one.get(name))
        figures = f"{one.get('observed')} (threshold {one.get('threshold')})"
        text = f"{when} {one['severity']:<8} {one['rule']} {about}: {one['title']}, {figures}  {one['alert_id']}"
        click.secho(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text),
            fg=_COLOURS.get(str(one["severity"])),
        )
