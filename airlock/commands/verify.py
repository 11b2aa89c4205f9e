"""`airlock verify`: whether anything in the audit trail was changed, left out, put in, reordered or cut, offline."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airlock.commands.common import config_option, data_dir_option, format_option, show_rows
from decision.model.errors import ChainBroken, JournalUnavailable

if TYPE_CHECKING:
    from airlock.verification import Sources, Told
    from analytics.verify_entries import Report
    from decision.journal.notes import VerifierKey
    from decision.journal.trust import TrustPolicy

COLUMNS = ("store", "events", "copies", "producers", "vouched", "beyond", "result")
JSON_COLUMNS = (
    *COLUMNS[:-1],
    "where",
    "result",
    "message",
    "producer_id",
    "epoch",
    "seq",
    "event_id",
    "place",
    "notes",
)

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("verify")
@data_dir_option
@config_option
@click.option("--journal", type=_FOLDER, help="This journal's folder alone.")
@click.option("--log", type=_FOLDER, help="This log's folder (checkpoint and tiles).")
@click.option("--parquet", type=_FOLDER, help="This analytics folder, or one of Parquet segments of events.")
@click.option("--kafka-export", "export", type=_FILE, help="This file, which `airlock kafka export` made.")
@click.option("--kafka", is_flag=True, help="The events topic of the settings' Kafka, read from end to end.")
@click.option("--rows", is_flag=True, help="Make the analysts' tables again from the events, too, and compare them.")
@click.option("--bundle", type=_FILE, help="This evidence bundle (`airlock evidence bundle`), which stands for itself.")
@click.option("--proof", type=_FILE, help="This proof (`airlock prove`) that an event is in the log.")
@click.option("--event", type=_FILE, help="The event's exact bytes, where the proof does not hold them.")
@click.option("--verifier", help="The log's key that you trust, or a file that holds it: NAME+ID+KEY.")
@click.option("--policy", "policy_file", type=_FILE, help="Whom you trust, witnesses too (C2SP tlog-policy), instead.")
@click.option("--checkpoint", "kept", type=_FILE, help="A checkpoint that you kept: the log must go on from it.")
@format_option
def verify(
    data_dir: Path, config: Path | None, journal: Path | None, log: Path | None, parquet: Path | None,
    export: Path | None, kafka: bool, rows: bool, bundle: Path | None, proof: Path | None, event: Path | None,
    verifier: str | None, policy_file: Path | None, kept: Path | None, form: str,
) -> None:  # fmt: skip
    """Check that nothing in the audit trail was edited, dropped, inserted, reordered, forked or cut.

    Without an option: everything in the data folder, which may be in use meanwhile. The log is made again from its
    entries up to the signed checkpoint; then the journal and the analytics store are each checked and held against it,
    event by event. Stores that are named with options are checked and held against each other in the same way.

    Exit status 1, the first bad event and what is wrong with it, when there is one. `vouched` events are covered by the
    signed checkpoint (without a log: by the journal); those `beyond` it are newer.
    """
    for file in (export, bundle, proof, event, policy_file, kept):
        if file is not None and not file.is_file():
            raise click.UsageError(f"there is no file {file}")
    trusted = None if verifier is None else read_verifier(verifier)
    policy = None if policy_file is None else read_policy(policy_file)
    if event is not None and proof is None:
        raise click.UsageError("--event goes with --proof")
    if proof is not None:
        prove(proof, event, trusted, policy, data_dir, form)
        return
    with progress() as told:
        if bundle is not None:
            reports = [check_bundle(bundle, trusted, told, policy)]
        else:
            sources = chosen(data_dir, config, journal, log, parquet, export, kafka)
            older = None if kept is None else kept.read_bytes()
            sources = replace(sources, rows=rows, trusted=trusted, policy=policy, kept=older)
            reports = quickly(sources, told) or thoroughly(sources, told)
    show(reports, form)


def read_verifier(given: str) -> VerifierKey:
    """A verifier key as text, or the first one in a file."""
    from decision.journal.notes import VerifierKey

    try:
        text = Path(given).read_text("utf-8").split()[0] if Path(given).is_file() else given
    except (OSError, UnicodeDecodeError, IndexError):
        text = given
    return VerifierKey.parse(text)


def read_policy(path: Path) -> TrustPolicy:
    from decision.journal.trust import parse_policy

    return parse_policy(path.read_bytes())


def chosen(
    data_dir: Path, config: Path | None, journal: Path | None, log: Path | None, parquet: Path | None,
    export: Path | None, kafka: bool,
) -> Sources:  # fmt: skip
    from airlock.verification import Sources, found_in

    settings = None
    if kafka:
        from airlock.settings import load_settings

        settings = load_settings(config, data_dir=str(data_dir)).kafka
        settings.demand()
    if any(given is not None for given in (journal, log, parquet, export)) or kafka:
        return Sources(log=log, journal=journal, parquet=parquet, export=export, broker=settings)
    found = found_in(data_dir)
    if (found.log, found.journal, found.parquet) == (None, None, None):
        raise JournalUnavailable(
            f"there is nothing to verify in {data_dir}", hint="name what is, with --data-dir, --journal, --log …"
        )
    return found


def quickly(sources: Sources, told: Told) -> list[Report]:
    """A whole journal alone, without a scratch file; nothing where there is more, where it was pruned, or where
    something is wrong with it: then the thorough way names that."""
    if sources.journal is None or any((sources.log, sources.parquet, sources.export, sources.broker)):
        return []
    from analytics.verify_entries import Report
    from decision.journal.verify import verify_journal
    from decision.wire.events import ProtobufEventCodec

    try:
        found = verify_journal(sources.journal, ProtobufEventCodec(), told("journal"))
    except ChainBroken:
        return []
    if found.base_seq:
        return []
    notes = (f"head: event {found.head_seq} of {found.producer_id!r}, hash {found.head_hash.hex()}",)
    return [Report("journal", str(sources.journal), found.events, 0, min(1, found.events), notes=notes)]


def thoroughly(sources: Sources, told: Told) -> list[Report]:
    from airlock.verification import verify as verified
    from decision.clock import SystemClock

    return verified(sources, SystemClock().time_unix_nano(), told)


def check_bundle(path: Path, trusted: VerifierKey | None, told: Told, policy: TrustPolicy | None = None) -> Report:
    from airlock.verification import verify_bundle

    return verify_bundle(path, trusted, told("bundle"), policy)


def prove(
    proof: Path, event: Path | None, trusted: VerifierKey | None, policy: TrustPolicy | None, data_dir: Path, form: str
) -> None:
    """Check a proof, and show the event that it is of."""
    from airlock.verification import CODEC
    from analytics.verify_log import custody_of, policy_custody
    from decision.journal.custody import Custody
    from decision.journal.proofs import parse_proof, verify_proof

    if trusted is not None:
        custody = Custody.of(trusted)
    else:
        custody = policy_custody(policy) if policy is not None else custody_of(data_dir / "log", None)
    raw = None if event is None else event.read_bytes()
    found = verify_proof(parse_proof(proof.read_bytes()), custody, raw)
    if policy is not None:
        policy.check(found.opened.note)
    draft, producer_id, epoch, seq, _ = CODEC.decode(found.raw)
    row = {
        "event_id": draft.id, "type": type(draft.payload).__name__, "producer_id": producer_id, "epoch": epoch,
        "seq": seq, "leaf": found.index, "tree_size": found.opened.checkpoint.size,
        "signed_by": found.opened.signed[0].key.encode(),
    }  # fmt: skip
    if form == "table":
        click.secho("the event is in the log, under a checkpoint that its key signed", fg="green")
        if trusted is None and policy is None:
            click.echo(f"the key is the one that {data_dir / 'log'} itself names: give --verifier to trust nobody")
    show_rows(tuple(row), [row], form)


@contextmanager
def progress() -> Iterator[Told]:
    """A line for each store on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def told(store: str) -> object:
            task = bar.add_task(store, total=None)
            return lambda done, total: bar.update(task, completed=done, total=max(total, done) or None)

        yield told  # type: ignore[misc]


def show(reports: Sequence[Report], form: str) -> None:
    """The table of stores; then what is known of each; then the first bad event as an error."""
    rows = []
    for report in reports:
        finding = report.finding
        rows.append({
            "store": report.store, "where": report.where, "events": report.events, "copies": report.copies,
            "producers": report.producers, "vouched": report.vouched, "beyond": report.beyond,
            "result": "good" if finding is None else str(finding.what), "notes": list(report.notes),
            "message": finding and finding.message, "producer_id": finding and finding.producer_id,
            "epoch": finding and finding.epoch, "seq": finding and finding.seq,
            "event_id": finding and finding.event_id, "place": finding and finding.where,
        })  # fmt: skip
    show_rows(JSON_COLUMNS if form == "json" else COLUMNS, rows, form)
    bad = [(report, report.finding) for report in reports if report.finding is not None]
    if form == "table":
        for report in reports:
            for note in report.notes:
                click.echo(f"{report.store}: {note}")
        for report, finding in bad[1:]:
            click.secho(f"{report.store}: {finding}", fg="red")
        if not bad:
            count = max((report.events for report in reports if report.store != "tables"), default=0)
            click.secho(f"{count} events verified, none changed, missing or added", fg="green")
    if bad:
        report, finding = bad[0]
        raise ChainBroken(
            f"{report.store}: {finding}", hint="keep it as evidence; restore from a copy that verifies",
            producer_id=finding.producer_id, epoch=finding.epoch, seq=finding.seq,
        )  # fmt: skip
