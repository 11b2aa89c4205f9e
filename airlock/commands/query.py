"""`airlock query`: ask the audit store."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from airlock.commands.common import data_dir_option, format_option
from analytics.query import LONGEST_S, CatalogReader
from analytics.render import to_csv, to_json, to_table
from decision.model.errors import AirlockError


def _terminal_width() -> int:
    return shutil.get_terminal_size((160, 24)).columns


def show(columns: tuple[str, ...], rows: list[tuple[object, ...]], form: str) -> None:
    if form == "json":
        click.echo(to_json(columns, rows))
    elif form == "csv":
        click.echo(to_csv(columns, rows))
    else:
        click.echo(to_table(columns, rows, _terminal_width()))


@click.command("query")
@click.argument("sql", required=False, default="")
@data_dir_option
@format_option
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="The most rows.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, LONGEST_S, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take.",
)
@click.option("--list", "list_views", is_flag=True, help="List the views and the standard questions instead.")
@click.option("--describe", metavar="VIEW", default="", help="List the columns of a view instead.")
@click.option("--question", metavar="NAME", default="", help="Ask a standard question instead.")
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A value for the question's $KEY.")
def query(
    sql: str,
    data_dir: Path,
    form: str,
    limit: int,
    timeout: float,
    list_views: bool,
    describe: str,
    question: str,
    params: tuple[str, ...],
) -> None:
    """Ask the audit store in SQL (DuckDB's dialect); `-` reads the question from standard input.

    It can only be read. Start with:

    \b
      airlock query --list
      airlock query "select * from denials order by time desc limit 5"
      airlock query "select who, count(*) from table_access where table_name = 'customers' group by all"
      airlock query --question who-read --param table=customers --param from=30d
    """
    if question:
        from airlock.commands.report import answer

        answer(data_dir, question, _pairs(params), form, limit, timeout)
        return
    if not (sql or list_views or describe):
        raise click.UsageError("give a question in SQL, or --list to see what can be asked")
    if sql == "-":
        sql = sys.stdin.read()
    try:
        with CatalogReader(data_dir) as reader:
            if list_views:
                show(("name", "kind", "holds"), _listed(reader), form)
            elif describe:
                view = reader.describe(describe)
                rows: list[tuple[object, ...]] = [(c.name, c.type, c.comment) for c in view.columns]
                show(("column", "type", "holds"), rows, form)
            else:
                found = reader.ask(sql, _pairs(params), limit=limit, timeout_s=timeout)
                show(found.columns, found.rows, form)
                if found.truncated:
                    click.echo(f"only the first {limit} rows: give a greater --limit to see more", err=True)
    except AirlockError as error:
        raise failed(error) from error


def _pairs(params: tuple[str, ...]) -> dict[str, str]:
    pairs = [param.partition("=") for param in params]
    if wrong := [key for key, equals, _ in pairs if not equals or not key]:
        raise click.UsageError(f"--param {wrong[0]}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _listed(reader: CatalogReader) -> list[tuple[object, ...]]:
    from analytics.questions import questions

    rows: list[tuple[object, ...]] = [(view.name, "view", view.comment) for view in reader.list_views()]
    for one in questions().values():
        keys = ", ".join(p.name if p.default is None else f"[{p.name}]" for p in one.parameters)
        rows.append((one.name, "question", f"{one.meaning} ({keys})"))
    return rows


def failed(error: AirlockError) -> click.ClickException:
    """The error as the command line shows it, with the way out."""
    return click.ClickException(error.message + (f"\nHint: {error.hint}" if error.hint else ""))
