"""`airlock log`: the tamper-evident log: what it covers, who signs it, who cosigns it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from airlock.commands.common import config_option, data_dir_option, format_option, moment, show_rows
from decision.journal.algorithms import COSIGNATURE, ED25519, ML_DSA_44
from decision.journal.log_keys import KEY_FILE, load_keys, save_keys
from decision.journal.notes import Note, VerifierKey, find_signed
from decision.journal.proving import newest_checkpoint, read_custody
from decision.journal.tiles import FOLDER, TileFolder, TileNodes
from decision.journal.trust import parse_policy
from decision.model.errors import LogUnavailable, SettingsError
from ingest.sequencer_state import load_state
from ingest.sequencer_thread import STANDING_STILL

DAY_S = 86_400
NAMES = {ED25519: "Ed25519", COSIGNATURE: "Ed25519 cosignature", ML_DSA_44: "ML-DSA-44"}
log_dir_option = click.option(
    "--log", "log_dir", type=click.Path(path_type=Path, file_okay=False), help="Another log's folder."
)


@click.group("log")
def log() -> None:
    """The tamper-evident log over all events: what it covers, who signs it, who cosigns it.

    Its folder (DATA_DIR/log) can be copied or served as it is; `airlock verify` checks it, `airlock prove` makes the
    proof of one event.
    """


@log.command("show")
@data_dir_option
@log_dir_option
@format_option
def show(data_dir: Path, log_dir: Path | None, form: str) -> None:
    """Say what the newest checkpoint covers and who signed it; and why it is not followed by others, if so."""
    folder = TileFolder(log_dir or data_dir / FOLDER)
    why = folder.root / STANDING_STILL
    if why.exists():
        click.secho(f"the log stands still: {why.read_text().strip()}", fg="red", err=True)
    data = newest_checkpoint(folder)
    custody = read_custody(folder)
    opened = custody.open(data)
    state = load_state(folder.root)
    published = (folder.root / "checkpoint").stat().st_mtime_ns
    known = {(one.key.name, one.key.key_id): one for one in opened.signed}
    row = {
        "origin": custody.origin,
        "events": opened.checkpoint.size,
        "root": opened.checkpoint.root.hex(),
        "published": moment(published),
        "not_yet_published": max(0, state.size - opened.checkpoint.size) if state is not None else None,
        "source": state.source if state is not None else "",
        "keys": len(custody.generations),
        "signatures": len(known),
        "others": [one.name for one in opened.note.signatures if (one.name, one.key_id) not in known],
    }
    show_rows(tuple(row), [row], form)


@log.command("verifier")
@data_dir_option
@log_dir_option
@click.option("--all", "every", is_flag=True, help="Also the keys before the newest.")
@format_option
def verifier(data_dir: Path, log_dir: Path | None, every: bool, form: str) -> None:
    """Print the log's verifier key: give it to whoever is to check the log, by a way of its own."""
    custody = read_custody(TileFolder(log_dir or data_dir / FOLDER))
    listed = custody.generations if every else custody.generations[-1:]
    if form == "table" and not every:
        for key in custody.newest.verifiers:
            click.echo(key.encode())
        return
    rows = [
        {"from_size": one.from_size, "algorithm": NAMES[key.algorithm], "verifier": key.encode()}
        for one in listed
        for key in one.verifiers
    ]
    show_rows(("from_size", "algorithm", "verifier"), rows, form)


@log.command("rotate-key")
@data_dir_option
@click.option(
    "--overlap-days", type=click.FloatRange(0, 3650), default=30.0, show_default=True,
    help="How long the old key goes on to sign beside the new one.",
)  # fmt: skip
def rotate_key(data_dir: Path, overlap_days: float) -> None:
    """Make a new signing key, which the old one endorses with the next checkpoint.

    Both sign every checkpoint for the time of the overlap. Who trusts the old key finds the new one in the log's
    keys.json and can verify on; give them the new key (`airlock log verifier`) within that time all the same.
    """
    path = data_dir / KEY_FILE
    keys = load_keys(path).rotated(round(overlap_days * DAY_S), time.time_ns() // 1_000_000_000, os.urandom)
    save_keys(path, keys)
    click.echo(f"the new key signs from the next checkpoint on: {keys.newest.ed25519.verifier.encode()}")
    click.echo(f"keep a backup of {path}: without it the log can't go on", err=True)


@log.command("witness")
@data_dir_option
@log_dir_option
@config_option
@click.option(
    "--witness", "witnesses", nargs=2, multiple=True, metavar="NAME+KEY URL",
    help="Its verifier key and submission prefix (default: those of [[log.witnesses]]).",
)  # fmt: skip
@click.option(
    "--policy", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A C2SP tlog-policy: its witnesses that have a URL, and how many are enough.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0.1, 60), default=10.0, show_default=True, metavar="SECONDS",
    help="How long they may take together.",
)  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write the cosigned checkpoint.")
@format_option
def witness(
    data_dir: Path, log_dir: Path | None, config: Path | None, witnesses: tuple[tuple[str, str], ...],
    policy: Path | None, timeout: float, output: Path | None, form: str,
) -> None:  # fmt: skip
    """Ask witnesses to cosign the newest checkpoint now, to see whether they do.

    A witness has to be told the log's verifier key first (`airlock log verifier`).
    """
    from decision.journal.witness import Witness, WitnessClient

    trust = parse_policy(policy.read_bytes()) if policy is not None else None
    if trust is not None:
        asked = [Witness(one.url.rstrip("/"), (one.key,)) for one in trust.witnesses.values() if one.url]
    else:
        asked = [Witness(url.rstrip("/"), (VerifierKey.parse(key),)) for key, url in witnesses or _configured(config)]
    if not asked:
        raise SettingsError("there is no witness to ask", hint="--witness NAME+KEY URL, or [[log.witnesses]]")
    folder = TileFolder(log_dir or data_dir / FOLDER)
    opened = read_custody(folder).open(newest_checkpoint(folder))
    client = WitnessClient(asked, timeout)
    try:
        found = client.cosign(opened.note, opened.checkpoint, TileNodes(folder, opened.checkpoint.size))
    finally:
        client.close()
    made = Note(opened.note.text, (*(one.signature for one in opened.signed), *found))
    keys = [key for one in asked for key in one.keys]
    times = {one.key: one.time_s for one in find_signed(made, keys)}
    rows = [
        {"witness": key.name, "cosigned": key in times, "time": moment(times[key] * 10**9) if key in times else None}
        for key in keys
    ]
    show_rows(("witness", "cosigned", "time"), rows, form)
    if output is not None:
        output.write_bytes(made.encode())
    if trust is not None:
        trust.check(made)
    elif len(times) < len(rows):
        raise LogUnavailable(
            f"{len(rows) - len(times)} of {len(rows)} witnesses did not cosign", hint="the lines above say why"
        )


def _configured(config: Path | None) -> list[tuple[str, str]]:
    from airlock.settings import load_settings

    return [(one.key, one.url) for one in load_settings(config).log.witnesses]
