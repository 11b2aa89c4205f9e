"""`airlock export`: events for other systems, restartable."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from airlock.commands.common import data_dir_option
from airlock.commands.node import log_option
from analytics.catalog import CATALOG
from analytics.exports.context import Contexts
from analytics.exports.lines import LINES, renderer
from analytics.exports.ocsf import OcsfMapper
from analytics.exports.reading import CatalogSource, JournalSource, Source
from analytics.exports.run import Cursor, Export, LineSink, Sink, opened
from analytics.exports.telemetry import Telemetry, TelemetryMapper
from analytics.questions import moment
from analytics.store import FOLDER
from decision.clock import SystemClock
from decision.model.errors import SettingsError
from decision.model.events import AuditEvent
from decision.wire.events import ProtobufEventCodec, event_type

if TYPE_CHECKING:
    from analytics.exports.otlp import OtlpSender

DEFAULT_OTLP = "http://127.0.0.1:4318"


class OtlpSink:
    """Spans and log records of a batch, in two requests."""

    def __init__(self, sender: OtlpSender, mapper: TelemetryMapper) -> None:
        self._sender = sender
        self._mapper = mapper

    def write(self, events: Sequence[AuditEvent]) -> None:
        telemetry = Telemetry()
        for event in events:
            self._mapper.take(event, event_type(event.payload), telemetry)
        self._sender.send(telemetry)


@click.command("export")
@click.option("--format", "form", type=click.Choice([*LINES, "otel"]), required=True, help="What is written.")
@data_dir_option
@click.option("--from", "since", metavar="TIME", help="From this time on: 2026-11-21, 2026-11-21T10:00, or 30d ago.")
@click.option("--to", "until", metavar="TIME", help="To before this time.")
@click.option("--after", metavar="POSITION", default="", help="Go on behind a position that an export printed.")
@click.option(
    "--cursor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that keeps the position: started again, the export goes on where it was.",
)
@click.option("--follow", is_flag=True, help="Go on with what happens from now, until told to stop.")
@click.option(
    "--source",
    type=click.Choice(["auto", "catalog", "journal"]),
    default="auto",
    show_default=True,
    help="The audit store (all producers, and alerts) or this node's journal; auto: the store where there is one.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    show_default=True,
    metavar="FILE",
    help="Where lines are added; - is standard output.",
)
@click.option(
    "--otlp", metavar="URL", envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
    help=f"The collector's base URL, for --format otel (default: {DEFAULT_OTLP}).",
)  # fmt: skip
@log_option
def export(
    form: str,
    data_dir: Path,
    since: str | None,
    until: str | None,
    after: str,
    cursor: Path | None,
    follow: bool,
    source: str,
    output: str,
    otlp: str | None,
) -> None:
    """Write events as OCSF 1.7, CloudEvents or JSON, a line each, or send them as OpenTelemetry traces and logs.

    Each record has its event's id, so that one that comes twice (after a kill) is seen to be the same. Records hold no
    literals; --format jsonl and cloudevents hold the events as they were stored.

    \b
      airlock export --format ocsf --from 7d -o week.jsonl
      airlock export --format ocsf --follow --cursor siem.cursor | vector --config vector.toml
      airlock export --format otel --follow --cursor otel.cursor --otlp http://127.0.0.1:4318
    """
    if form == "otel" and output != "-":
        raise click.UsageError("--format otel sends to --otlp; -o is for lines")
    if after and cursor is not None and cursor.exists():
        raise click.UsageError(f"--after and the cursor {cursor} both say where to begin: give one of them")
    now = datetime.now(UTC)
    begin, end = (0 if since is None else _nanos(since, now)), (1 << 63 if until is None else _nanos(until, now))
    kept = None if cursor is None else Cursor(cursor)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as stack:
        if kept is not None:
            stack.enter_context(kept.held())
        position = after or ("" if kept is None else kept.read())
        chosen = chosen_source(data_dir, source, position)
        if not position and since is not None:
            chosen.seek(begin)
        contexts = Contexts()
        sink = stack.enter_context(_sink(form, output, otlp, contexts))
        work = Export(chosen, sink, contexts, kept, begin, end, follow, patient=follow)
        try:
            work.run(lambda seconds: stopping.wait(seconds) if seconds else stopping.is_set())
        except BrokenPipeError:  # whoever read has seen enough
            sys.stderr.close()
            sys.exit(1)
        note = f", {work.unread} could not be read" if work.unread else ""
        click.echo(f"{work.written} events{note}; go on with --after '{chosen.position}'", err=True)


def _nanos(text: str, now: datetime) -> int:
    return round(moment(text, now).timestamp() * 1_000_000) * 1_000


def chosen_source(data_dir: Path, name: str, position: str) -> Source:
    """The audit store or the journal, as asked for or as the position says. Raises SettingsError."""
    kind = position.partition(":")[0]
    if name == "auto":
        name = kind if kind in (CatalogSource.NAME, JournalSource.NAME) else ""
        name = name or ("catalog" if (data_dir / FOLDER / CATALOG).exists() else "journal")
    codec = ProtobufEventCodec()
    if name == "catalog":
        return CatalogSource(data_dir, codec, SystemClock(), position, on_gap=_missing)
    if not (data_dir / "journal" / "journal.db").exists():
        raise SettingsError(
            f"there are no events in {data_dir}", hint="start `airlock up`, or name its folder with --data-dir"
        )
    return JournalSource(data_dir / "journal", codec, position)


def _missing(producer: str, first: int, last: int) -> None:
    click.echo(f"warning: events {first} to {last} of {producer} are missing; see airlock verify", err=True)


@contextmanager
def _sink(form: str, output: str, otlp: str | None, contexts: Contexts) -> Iterator[Sink]:
    """Raises SettingsError for a file that can't be written or libraries that are not there."""
    if form == "otel":
        try:
            from analytics.exports.otlp import OtlpSender
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"OpenTelemetry is not installed ({error.name})", hint="pip install 'airlock[exports]'"
            ) from None
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what it would say, our own error says
        sender = OtlpSender(otlp or DEFAULT_OTLP, version("airlock"))
        try:
            yield OtlpSink(sender, TelemetryMapper(OcsfMapper(version("airlock"), contexts)))
        finally:
            sender.close()
        return
    with _file(output) as file:
        yield LineSink(file, renderer(form, version("airlock"), contexts))


@contextmanager
def _file(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        return
    try:
        file = opened(Path(output))
    except OSError as error:
        raise SettingsError(f"{output} can't be written ({error.strerror})", hint="choose another file") from None
    with file:
        yield file
