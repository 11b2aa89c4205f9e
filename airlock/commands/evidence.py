"""`airlock evidence`: what can be given to somebody who trusts neither us nor our software."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from airlock.commands.common import data_dir_option
from airlock.commands.verify import check_bundle, progress
from decision.journal.tiles import FOLDER
from decision.model.errors import ChainBroken

_DAY = timedelta(days=1)


@click.group("evidence")
def evidence() -> None:
    """Events as evidence, for auditors and courts."""


@evidence.command("bundle")
@data_dir_option
@click.option("--log", "log_dir", type=click.Path(path_type=Path, file_okay=False), help="Another log's folder.")
@click.option("--from", "since", required=True, help="A day or a time: 2026-11-01, 2026-11-01T08:00 (UTC), …+01:00.")
@click.option("--to", "until", help="The same, not included; a day alone is included whole (default: to the newest).")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The zip file.")
def bundle(data_dir: Path, log_dir: Path | None, since: str, until: str | None, output: Path) -> None:
    """Write the events of some time as one zip file that proves itself.

    It holds the exact events, the hash tiles that lead to the signed checkpoint, the checkpoint, and how to check all
    of it with Airlock, with Go's own packages, or by hand. The events are without a hole from the first to the last of
    that time. It is checked once it is written.

    \b
      airlock evidence bundle --from 2026-10-01 --to 2026-10-31 -o october.zip
      airlock verify --bundle october.zip --verifier "$(cat log.vkey)"
    """
    from analytics.evidence_bundle import write_bundle
    from analytics.verify_log import custody_of

    folder = log_dir or data_dir / FOLDER
    start, end = moment(since, "--from"), _end(until)
    if start >= end:
        raise click.UsageError("--to must be later than --from")
    with progress() as told:
        made = write_bundle(output, folder, custody_of(folder, None), start, end, told("events"))
        report = check_bundle(output, None, told)
    if report.finding is not None:
        raise ChainBroken(
            f"the log that it was made from does not verify: {report.finding}", hint="airlock verify says more"
        )
    click.secho(f"{made.events} events, leaves {made.first} to {made.end - 1} of {made.size}: {output}", fg="green")
    click.echo("give it together with the log's verifier key, by another way: airlock log verifier")


def moment(given: str, option: str) -> int:
    """Nanoseconds since 1970; UTC where the text names no other offset."""
    try:
        when = datetime.fromisoformat(given)
    except ValueError:
        raise click.UsageError(f"{option}: {given!r} is no time; write 2026-11-01 or 2026-11-01T08:00") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return round(when.timestamp()) * 1_000_000_000


def _end(until: str | None) -> int:
    if until is None:
        return 1 << 62
    whole_day = len(until) == len("2026-11-01")
    return moment(until, "--to") + (round(_DAY.total_seconds()) * 1_000_000_000 if whole_day else 0)
