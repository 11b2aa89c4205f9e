"""`airlock prove`: the proof that an event is in the log, as a file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from airlock.commands.common import data_dir_option
from analytics.query import CatalogMissing, CatalogReader
from decision.journal.proofs import SUFFIX
from decision.journal.proving import find_event, find_leaf, make_proof, newest_checkpoint, read_custody
from decision.journal.tiles import FOLDER, TileFolder
from decision.model.errors import AirlockError, LogUnavailable

_EVENT = "SELECT raw, seq FROM fact.events WHERE event_id = ?"
_DECISION = """SELECT e.raw, e.seq FROM fact.decisions d JOIN fact.events e
ON e.time = d.time AND e.correlation_id = d.session_id AND e.type = 'StatementDecided' WHERE d.decision_id = ?"""
_TOLD_EVERY = 100_000


@click.command("prove")
@click.argument("event_id", required=False, default="")
@data_dir_option
@click.option("--log", "log_dir", type=click.Path(path_type=Path, file_okay=False), help="Another log's folder.")
@click.option(
    "--event", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="The event's exact bytes instead."
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help=f"The file to write (default: EVENT_ID{SUFFIX}).",
)  # fmt: skip
@click.option("--separate", is_flag=True, help="Keep the event beside the proof, in FILE.event, instead of inside it.")
def prove(
    event_id: str, data_dir: Path, log_dir: Path | None, event: Path | None, output: Path | None, separate: bool
) -> None:
    """Write the proof that an event is in the log, against the newest checkpoint.

    The file (C2SP tlog-proof) holds the event, the way from it to the tree's root, and the signed checkpoint. Whoever
    has the log's verifier key (`airlock log verifier`) can check it offline: `airlock verify --proof FILE`. A
    decision's id, as clients are told it, stands for its event where the audit store is at hand.

    \b
      airlock query "select decision_id from denials order by time desc limit 1"
      airlock prove 01a2b3c4-…-… -o denial.tlog-proof
    """
    if bool(event_id) == bool(event):
        raise click.UsageError("give an event's id, or its bytes by --event")
    folder = TileFolder(log_dir or data_dir / FOLDER)
    checkpoint = newest_checkpoint(folder)
    custody = read_custody(folder)
    size = custody.open(checkpoint).checkpoint.size
    index, raw = _found(folder, size, event_id, data_dir) if event is None else _leaf(folder, size, event.read_bytes())
    proof = make_proof(folder, custody, checkpoint, index, raw)
    if separate:
        proof = replace(proof, extra=None)
    if str(output) == "-":
        sys.stdout.buffer.write(proof.encode())
        return
    path = output or Path(f"{event_id or (event.stem if event else 'event')}{SUFFIX}")
    path.write_bytes(proof.encode())
    if separate:
        beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}.event")
        beside.write_bytes(raw)
        click.echo(f"the event: {beside}")
    click.echo(f"{path}: leaf {index} of {size} of the log {custody.origin}")
    click.echo(f"check it: airlock verify --proof {path} --verifier '{custody.newest.ed25519.encode()}'")


def _found(folder: TileFolder, size: int, event_id: str, data_dir: Path) -> tuple[int, bytes]:
    """By the audit store, which knows the bytes; without one, by reading the log."""
    try:
        with CatalogReader(data_dir) as reader:
            rows = reader.ask(_EVENT, [event_id]).rows or _decided(reader, event_id)
    except CatalogMissing:
        rows = []
    for raw, seq in rows:
        if isinstance(raw, bytes) and isinstance(seq, int):
            return _leaf(folder, size, raw, seq - 1)
    found = find_event(folder, size, event_id, _told)
    if found is None:
        raise _missing(f"the event {event_id}", size)
    return found


def _decided(reader: CatalogReader, decision_id: str) -> list[tuple[object, ...]]:
    """The event of a decision, told by its bytes from others of its session and microsecond."""
    rows = reader.ask(_DECISION, [decision_id]).rows
    return [row for row in rows if isinstance(row[0], bytes) and decision_id.encode() in row[0]]


def _leaf(folder: TileFolder, size: int, raw: bytes, hint: int = -1) -> tuple[int, bytes]:
    index = find_leaf(folder, size, raw, hint, _told)
    if index is None:
        raise _missing("the event", size)
    return index, raw


def _told(done: int, size: int) -> None:
    if done // _TOLD_EVERY != (done - 256) // _TOLD_EVERY:
        click.echo(f"looking through the log: {done:,} of {size:,} events …", err=True)


def _missing(what: str, size: int) -> AirlockError:
    return LogUnavailable(
        f"{what} is not among the {size} that the newest checkpoint covers",
        hint="what happened just now is covered some seconds later: try again; else check the id",
    )
