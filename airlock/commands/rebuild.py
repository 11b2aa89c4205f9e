"""`airlock rebuild`: make the audit store again from the journal."""

from __future__ import annotations

from pathlib import Path

import click

from airlock.commands.common import data_dir_option
from airlock.commands.query import failed
from analytics.rebuild import rebuild as rebuild_store
from analytics.store import FOLDER
from decision.clock import SystemClock, Uuid7Source
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError
from decision.wire.events import ProtobufEventCodec
from ingest.reading import WitnessCodec, read_batch


@click.command("rebuild")
@data_dir_option
def rebuild(data_dir: Path) -> None:
    """Make the audit store again from the journal; `airlock up` must not be running on the same data.

    Analysts see the old store until the new one is complete.
    """
    if not (data_dir / "journal").is_dir():
        raise click.ClickException(f"there is no journal in {data_dir}: name its folder with --data-dir")
    witness = WitnessCodec(ProtobufEventCodec())
    reader = SqliteJournalReader(data_dir / "journal", witness)
    try:
        if reader.head()[0] == 0:
            raise click.ClickException(
                f"the journal in {data_dir} holds no events: the audit store stays as it is; look at journal/journal.db"
            )
        count = rebuild_store(
            data_dir / FOLDER,
            lambda after, limit: read_batch(reader, after, limit, witness),
            SystemClock(),
            Uuid7Source(),
        )
    except AirlockError as error:
        raise failed(error) from error
    click.echo(f"{count} events were projected again")
