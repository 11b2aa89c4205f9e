"""`airlock verify`: the journal's hash chain, offline."""

from __future__ import annotations

from pathlib import Path

import click

from airlock.commands.common import data_dir_option, format_option, show_rows
from decision.journal.verify import verify_journal
from decision.model.errors import ChainBroken
from decision.wire.events import ProtobufEventCodec

COLUMNS = ("producer_id", "epoch", "events", "first_seq", "last_seq", "head_hash")


@click.command("verify")
@data_dir_option
@click.option("--journal", type=click.Path(path_type=Path, file_okay=False), help="Another journal's folder.")
@format_option
def verify(data_dir: Path, journal: Path | None, form: str) -> None:
    """Check every event of the journal against its hash chain. It may be in use meanwhile.

    Exit status 1, and the first bad event's number, when an event was changed, left out or put in. The head's hash,
    written down elsewhere, later shows that nothing before it was rewritten.
    """
    folder = journal or data_dir / "journal"
    try:
        report = verify_journal(folder, ProtobufEventCodec())
    except ChainBroken as error:
        where = f"first bad event: seq {error.seq} of epoch {error.epoch}" if error.seq else ""
        raise ChainBroken(f"{error.message}" + (f" ({where})" if where else ""),
                          hint="keep the folder as evidence; restore from a copy") from error  # fmt: skip
    row = {
        "producer_id": report.producer_id,
        "epoch": report.epoch,
        "events": report.events,
        "first_seq": report.base_seq + 1 if report.events else 0,
        "last_seq": report.head_seq,
        "head_hash": report.head_hash.hex(),
    }
    if form == "table":
        click.secho(f"{report.events} events verified, none changed, missing or added", fg="green")
    show_rows(COLUMNS, [row], form)
