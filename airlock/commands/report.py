"""`airlock report NAME`: the standard questions as commands, with an option for each parameter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from airlock.commands.common import data_dir_option, format_option
from airlock.commands.query import failed, show
from analytics.query import LONGEST_S, CatalogReader
from analytics.questions import Question, question, questions
from decision.clock import SystemClock
from decision.model.errors import AirlockError

KINDS = {"TEXT": "TEXT", "NUMBER": "NUMBER", "TIME": "TIME", "TABLE": "[SCHEMA.]TABLE"}


def answer(data_dir: Path, name: str, given: dict[str, str], form: str, limit: int, timeout_s: float) -> None:
    """Ask a standard question and print the answer. Raises ClickException."""
    now = datetime.fromtimestamp(SystemClock().time_unix_nano() // 1_000_000_000, UTC)
    try:
        asked = question(name)
        values = asked.bind(given, now)
        with CatalogReader(data_dir) as reader:
            found = reader.ask(asked.sql, values, limit=limit, timeout_s=timeout_s)
    except AirlockError as error:
        raise failed(error) from error
    show(found.columns, found.rows, form)
    if found.truncated:
        click.echo(f"only the first {limit} rows: give a greater --limit to see more", err=True)


class Reports(click.Group):
    """A command for each question."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(questions())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = questions().get(cmd_name)
        return None if found is None else _command(found)


def _command(asked: Question) -> click.Command:
    names = {parameter.name: f"p_{parameter.name}" for parameter in asked.parameters}

    def run(data_dir: Path, form: str, limit: int, timeout: float, sql: bool, **given: str | None) -> None:
        if sql:
            click.echo(asked.sql)
            return
        chosen = {name: value for name, key in names.items() if (value := given[key]) is not None}
        answer(data_dir, asked.name, chosen, form, limit, timeout)

    run.__doc__ = (
        f"{asked.meaning}.\n\nTimes are in UTC: 2026-11-21, 2026-11-21T10:00, or 30d, 12h, 15m for so long ago."
    )
    command = click.command(asked.name, short_help=asked.meaning)(run)
    for parameter in reversed(asked.parameters):
        shown = "" if parameter.default is None else f" [default: {parameter.default}]"
        option = click.Option(
            [f"--{parameter.name}", names[parameter.name]],
            metavar=KINDS[parameter.kind],
            help=f"{parameter.meaning}{shown}" + ("" if parameter.default is not None else " [required]"),
        )
        command.params.insert(0, option)
    for decorate in (
        data_dir_option,
        format_option,
        click.option(
            "--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="The most rows."
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(0, LONGEST_S, min_open=True),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="How long it may take.",
        ),
        click.option("--sql", is_flag=True, help="Print the SQL instead, to be changed and run by airlock query."),
    ):
        command = decorate(command)
    return command


@click.group("report", cls=Reports)
def report() -> None:
    """The standard questions: who read a table, what someone did, denials, latencies, first accesses, enumeration …

    \b
      airlock report who-read --table public.customers --from 30d
      airlock report did --principal alice --from 2026-11-01 --to 2026-12-01
      airlock report denials-by-rule --from 7d --format csv
    """
