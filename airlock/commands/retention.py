"""`airlock retention`: what the audit store keeps how long, and legal holds."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, date, datetime
from pathlib import Path

import click

from airlock.commands.common import config_option, format_option, show_rows
from airlock.commands.query import failed
from analytics import retention as rules
from analytics.live import StoreBusy
from analytics.query import CatalogMissing, CatalogReader
from analytics.retention_keeper import Outcome, outcome, request, withdraw
from analytics.retention_ledger import Hold, Ledger, RetentionError, named
from analytics.segments import Segment
from analytics.settings import RetentionSettings
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.model.errors import AirlockError

DAY = click.DateTime(formats=["%Y-%m-%d"])
ANSWER_S = 900.0
EVIDENCE_DAYS = 400

data_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="AIRLOCK_DATA_DIR",
    help="Where Airlock keeps its data (default: data_dir in the settings).",
)
by_option = click.option("--by", default="", metavar="NAME", help="Who does it (default: the account's name).")


@click.group("retention")
def retention() -> None:
    """How long the audit store keeps each class of data, and legal holds.

    \b
      airlock retention show
      airlock retention plan
      airlock retention hold add --principal alice --reason "case 4711"
      airlock retention apply
    """


def _settings(config: Path | None, data_dir: Path | None) -> tuple[RetentionSettings, Path]:
    from airlock.settings import load_settings

    settings = load_settings(config, data_dir=data_dir)
    return settings.retention, settings.data_dir.resolve()


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().time_unix_nano() // 1_000_000_000, UTC)


def _published(data_dir: Path) -> tuple[list[Segment], Path]:
    """The published segments and their folder."""
    root = (data_dir / FOLDER / "segments").resolve()
    with CatalogReader(data_dir) as reader:
        rows = reader.ask("SELECT table_name, path, day, rows, bytes FROM meta.segments", limit=1_000_000).rows
    found = [Segment(str(t), str(Path(str(p)).relative_to(root)), d, n, b, 0, 0) for t, p, d, n, b in rows]
    return found, root


@retention.command("show")
@config_option
@data_option
@format_option
def show(config: Path | None, data_dir: Path | None, form: str) -> None:
    """What is kept how long, and from when on it is complete."""
    try:
        settings, folder = _settings(config, data_dir)
        with CatalogReader(folder) as reader:
            found = {
                str(row[0]): row[1:]
                for row in reader.ask(
                    "SELECT class, complete_since, oldest, expired_rows, expired_at, held_days FROM retention"
                ).rows
            }
    except AirlockError as error:
        raise failed(error) from error
    names = ("complete_since", "oldest", "expired_rows", "expired_at", "held_days")
    rows = [
        {"class": name, "days": getattr(settings, name) or "for ever", **dict(zip(names, found[name], strict=True))}
        for name in rules.CLASSES
    ]
    show_rows(("class", "days", *names), rows, form)
    short = [name for name in rules.CLASSES if 0 < getattr(settings, name) < EVIDENCE_DAYS]
    if short:
        click.echo(
            f"kept for less than {EVIDENCE_DAYS} days, so that a yearly audit may lack them: {', '.join(short)}",
            err=True,
        )


@retention.command("plan")
@config_option
@data_option
@format_option
def plan(config: Path | None, data_dir: Path | None, form: str) -> None:
    """What `airlock retention apply` would remove now, and what holds keep; nothing is changed."""
    try:
        settings, folder = _settings(config, data_dir)
        _show_plan(_plan(settings, folder), form)
    except AirlockError as error:
        raise failed(error) from error


def _plan(settings: RetentionSettings, data_dir: Path) -> rules.Plan:
    segments, root = _published(data_dir)
    floors = rules.floors_of(settings, _now())
    return rules.make_plan(floors, Ledger(data_dir / FOLDER).read(), segments, root, settings)


def _show_plan(made: rules.Plan, form: str) -> None:
    rows = [
        {
            "class": share.name,
            "days": share.days or "for ever",
            "keeps_from": share.before,
            "days_to_go": share.gone_days,
            "rows": share.rows,
            "bytes": share.size,
            "days_held": share.held,
            "holds": share.holds,
        }
        for share in made.shares
    ]
    show_rows(("class", "days", "keeps_from", "days_to_go", "rows", "bytes", "days_held", "holds"), rows, form)


@retention.command("apply")
@config_option
@data_option
@by_option
@click.option("--yes", is_flag=True, help="Don't ask.")
def apply(config: Path | None, data_dir: Path | None, by: str, yes: bool) -> None:
    """Remove from the audit store what is older than its class is kept for, except what a legal hold keeps.

    A running Airlock does it itself; it is only asked to. Files go some 15 minutes later, for readers that are at them.
    """
    try:
        settings, folder = _settings(config, data_dir)
        made = _plan(settings, folder)
        if made.gone and not yes:
            _show_plan(made, "table")
            click.confirm(f"Remove {made.rows} rows?", abort=True)
        rows, segments = _apply(folder, settings, by or getpass.getuser())
    except AirlockError as error:
        raise failed(error) from error
    if rows:
        click.echo(f"{rows} rows in {segments} segments have expired")
        return
    held = Ledger(folder / FOLDER).read().active
    click.echo("nothing is older than it is kept for" + (f", but for what {named(held)} may keep" if held else ""))


def _apply(data_dir: Path, settings: RetentionSettings, by: str) -> tuple[int, int]:
    """(rows, segments) that went. Raises AirlockError."""
    floors, folder = rules.floors_of(settings, _now()), data_dir / FOLDER
    try:
        store = AnalyticsStore(folder, SystemClock(), Uuid7Source())
    except StoreBusy:
        done = _ask_writer(folder, floors, by)
        return done.rows, done.segments
    with store:
        made = rules.apply_now(store, floors, SystemClock(), by)
    return made.rows, len(made.gone)


def _ask_writer(folder: Path, floors: dict[str, date], by: str) -> Outcome:
    asked = request(folder, floors, Uuid7Source(), by)
    deadline = time.monotonic() + ANSWER_S
    while (answer := outcome(folder, asked)) is None:
        if time.monotonic() > deadline:
            withdraw(folder)
            raise RetentionError(
                f"the process that writes the audit store did not answer within {ANSWER_S:.0f} s",
                hint="is it of this version? `airlock doctor` says whether it runs; with it stopped this works too",
            )
        time.sleep(0.05)
    if answer.error:
        raise RetentionError(
            f"retention was not applied to its end: {answer.error}", hint="mend that and apply it again: it goes on"
        )
    return answer


@retention.group("hold")
def hold() -> None:
    """Set and release legal holds."""


@hold.command("add")
@config_option
@data_option
@click.option("--reason", required=True, help="Why, e.g. the case's number.")
@click.option("--principal", default="", metavar="SUBJECT", help="What this principal did, itself or through an agent.")
@click.option("--database", default="", metavar="NAME", help="What was done in this database entry.")
@click.option("--from", "first", type=DAY, metavar="DAY", help="From this UTC day on.")
@click.option("--to", "last", type=DAY, metavar="DAY", help="Up to this UTC day.")
@click.option("--everything", is_flag=True, help="Everything there is and will be.")
@by_option
def hold_add(
    config: Path | None,
    data_dir: Path | None,
    reason: str,
    principal: str,
    database: str,
    first: datetime | None,
    last: datetime | None,
    everything: bool,
    by: str,
) -> None:
    """Keep what is covered, whatever its age, until the hold is released. All that is given must apply.

    \b
      airlock retention hold add --principal alice --from 2026-01-01 --to 2026-03-31 --reason "case 4711"
    """
    if everything == bool(principal or database or first or last):
        raise click.UsageError("say what to keep: --principal, --database, --from, --to, or else --everything")
    try:
        _, folder = _settings(config, data_dir)
        if not (folder / FOLDER).is_dir():
            raise CatalogMissing(f"there is no audit store in {folder}", hint="name its folder with --data-dir")
        with Ledger(folder / FOLDER).changing() as writer:
            made = writer.add_hold(
                _now(),
                by or getpass.getuser(),
                reason,
                principal=principal,
                database=database,
                first=first.date() if first else None,
                last=last.date() if last else None,
            )
            floors = writer.book.floors()
    except AirlockError as error:
        raise failed(error) from error
    click.echo(f"{made.id} keeps: {made.scope()}")
    gone = sorted(f"{name} before {day}" for name, day in floors.items() if made.first is None or made.first < day)
    if gone:
        click.echo(
            f"expired earlier, so not held: {'; '.join(gone)} (`airlock rebuild` brings back what the journal has)",
            err=True,
        )


@hold.command("release")
@config_option
@data_option
@click.argument("hold_id")
@click.option("--reason", required=True, help="Why it ends.")
@by_option
def hold_release(config: Path | None, data_dir: Path | None, hold_id: str, reason: str, by: str) -> None:
    """End a legal hold: what it kept beyond its time goes when retention is applied next."""
    try:
        _, folder = _settings(config, data_dir)
        with Ledger(folder / FOLDER).changing() as writer:
            released = writer.release_hold(_now(), by or getpass.getuser(), reason, hold_id)
    except AirlockError as error:
        raise failed(error) from error
    click.echo(f"{released.id} is released; it kept: {released.scope()}")


@retention.command("holds")
@config_option
@data_option
@format_option
@click.option("--all", "all_of_them", is_flag=True, help="Released ones too.")
def holds(config: Path | None, data_dir: Path | None, form: str, all_of_them: bool) -> None:
    """The legal holds in force, who set them and why."""
    try:
        _, folder = _settings(config, data_dir)
        book = Ledger(folder / FOLDER).read()
    except AirlockError as error:
        raise failed(error) from error
    shown = [_row(one) for one in (book.holds if all_of_them else book.active)]
    columns = ["id", "keeps", "reason", "set_by", "set_at"]
    if all_of_them:
        columns += ["released_by", "released_at", "released_reason"]
    show_rows(columns, shown, form, empty="no legal hold is in force")


def _row(one: Hold) -> dict[str, object]:
    return {
        "id": one.id,
        "keeps": one.scope(),
        "reason": one.reason,
        "set_by": one.set_by,
        "set_at": one.set_at,
        "released_by": one.released_by,
        "released_at": one.released_at,
        "released_reason": one.released_reason,
    }
