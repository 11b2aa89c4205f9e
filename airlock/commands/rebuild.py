"""`airlock rebuild`: make the audit store again from the journal or from Kafka."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from airlock.commands.common import config_option, data_dir_option
from airlock.commands.query import failed
from airlock.settings import load_settings
from analytics.rebuild import Feed
from analytics.rebuild import rebuild as rebuild_store
from analytics.store import FOLDER
from decision.clock import SystemClock, Uuid7Source
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError
from decision.wire.events import ProtobufEventCodec
from ingest.alerts import Detecting
from ingest.rebuilding import JournalFeed

_SAY_S = 2.0


@click.command("rebuild")
@config_option
@data_dir_option
@click.option(
    "--from",
    "source",
    type=click.Choice(["journal", "kafka"]),
    help="Where the events are read (default: kafka where [kafka] bootstrap_servers is set and there is no journal).",
)
@click.option("--accept-loss", is_flag=True, help="From Kafka: take what is there, although records are gone.")
def rebuild(config: Path | None, data_dir: Path, source: str | None, accept_loss: bool) -> None:
    """Make the audit store again from all events; nothing else may write it meanwhile (`airlock up`, `ingest sink`).

    Analysts see the old store until the new one is complete. What was pruned from the journal is read from the
    tamper-evident log beside it; what retention has expired stays expired.
    """
    try:
        settings = load_settings(config, data_dir=str(data_dir))
        has_journal = (data_dir / "journal").is_dir()
        kafka = source == "kafka" or (source is None and settings.kafka.enabled and not has_journal)
        if not kafka and not has_journal:
            raise click.ClickException(f"there is no journal in {data_dir}: name its folder with --data-dir")
        feed: Feed
        if kafka:
            from ingest.kafka_clients import quiet
            from ingest.sink_rebuild import KafkaFeed

            quiet()
            feed = KafkaFeed(settings.kafka.demand(), accept_loss=accept_loss, said=_progress())
        else:
            reader = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec())
            if reader.head()[0] == 0:
                raise click.ClickException(
                    f"the journal in {data_dir} holds no events: the audit store stays as it is; look at "
                    "journal/journal.db"
                )
            feed = JournalFeed(data_dir, reader, Detecting(settings.detections, SystemClock()), _progress())
        count = rebuild_store(data_dir / FOLDER, feed, SystemClock(), Uuid7Source())
    except AirlockError as error:
        raise failed(error) from error
    click.echo(f"{count} events were projected again")


def _progress() -> Callable[[int, int], None]:
    """Says now and then how far it is, to a person."""
    told = time.monotonic()

    def say(done: int, of: int) -> None:
        nonlocal told
        if sys.stderr.isatty() and time.monotonic() - told >= _SAY_S:
            told = time.monotonic()
            click.echo(f"{done:,} of {of:,} events", err=True)

    return say
