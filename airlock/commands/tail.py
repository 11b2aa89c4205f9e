"""`airlock tail`: the live feed of events, straight from the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from airlock.commands.common import data_dir_option, format_option
from airlock.commands.feed import Record, is_denial, line, record
from analytics.render import as_json_value, to_csv
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError
from decision.model.events import AuditEvent
from decision.model.ports import JournalReader
from decision.wire.events import ProtobufEventCodec

_BATCH = 500
_POLL_S = 0.1


@click.command("tail")
@data_dir_option
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what happens from now.")
@click.option("--denials", is_flag=True, help="Only what was refused.")
@click.option("--last", type=click.IntRange(0, 100_000), default=10, show_default=True, help="Begin so far back.")
@format_option
def tail(data_dir: Path, follow: bool, denials: bool, last: int, form: str) -> None:
    """Show events as they happen, newest last; Ctrl-C ends it. `--last` counts events, before `--denials` selects."""
    if not (data_dir / "journal").is_dir():
        raise click.ClickException(
            f"there is no journal in {data_dir}: start `airlock up`, or name its folder with --data-dir"
        )
    reader = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec())
    header = True
    try:
        for event in _events(reader, last, follow):
            if not denials or is_denial(event.payload):
                _print(record(event), form, header=header)
                header = False
    except KeyboardInterrupt:
        click.echo("", err=True)
    except AirlockError as error:
        raise click.ClickException(error.message + (f"\nHint: {error.hint}" if error.hint else "")) from error


def _events(reader: JournalReader, last: int, follow: bool) -> Iterator[AuditEvent]:
    after = max(0, reader.head()[0] - last)
    while True:
        events = reader.read(after, _BATCH)
        yield from events
        if events:
            after = events[-1].seq
        elif follow:
            time.sleep(_POLL_S)
        else:
            return


def _print(found: Record, form: str, *, header: bool) -> None:
    if form == "json":
        click.echo(json.dumps({key: as_json_value(value) for key, value in found.items()}, ensure_ascii=False))
    elif form == "csv":
        text = to_csv(tuple(found), [tuple(found.values())])
        click.echo(text if header else text.split("\r\n", 1)[1])
    else:
        text, colour = line(found)
        click.secho(text, fg=colour or None)  # click leaves colours out where there is no terminal
