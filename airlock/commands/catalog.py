"""`airlock catalog`: what analysis knows of a database beyond a statement's text."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import psycopg

from airlock.commands.common import why_unreachable
from decision.analysis.snapshot_json import dump as to_json
from decision.model.errors import SettingsError
from enforcement.catalog import read_catalog
from enforcement.masking.classify import classify


@click.group("catalog")
def catalog() -> None:
    """Dump what analysis knows of a database."""


@catalog.command("dump")
@click.argument("dsn")
@click.option("--name", default="", help="The database's name in the settings (default: its own).")
@click.option("--tags/--no-tags", default=True, show_default=True, help="With the tags that the detectors find.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of standard output.")
def dump(dsn: str, name: str, tags: bool, output: Path | None) -> None:
    """Write the catalog snapshot of the database at DSN as JSON, for `airlock analyze --catalog`.

    It holds names, types, definitions and statistics of the planner's kind, but no row.
    """
    try:
        known = name or str(psycopg.conninfo.conninfo_to_dict(dsn).get("dbname") or "")
        snapshot = asyncio.run(read_catalog(dsn, known))
    except psycopg.Error as error:
        raise SettingsError(
            f"the catalog can't be read: {why_unreachable(error, dsn)}",
            hint="try the same DSN with psql; any role that may connect will do",
        ) from None
    text = to_json(classify(snapshot) if tags else snapshot)
    if output is not None:
        output.write_bytes(text)
        click.echo(f"{len(snapshot.relations)} relations, {len(snapshot.functions)} functions in {output}", err=True)
    else:
        sys.stdout.buffer.write(text)
