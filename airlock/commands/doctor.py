"""`airlock doctor`: looks for what is missing or wrong on this machine, and says the remedy."""

from __future__ import annotations

import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from airlock.commands.common import config_option, format_option, show_rows
from airlock.commands.psql import find_psql
from airlock.runtime import read_runtime
from airlock.settings import Settings, load_settings
from decision.model.errors import AirlockError, SettingsError

COLUMNS = ("check", "state", "found", "remedy")
GOOD, NOTE, BAD = "good", "note", "bad"
LEAST_FREE_BYTES = 1 << 30
ALMOST = 0.9  # of the quota
_LATE_S = 5.0
_SILENT_S = 30.0  # ten times as long as the projection is ever silent on a busy machine


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is good, note (works, could be better) or bad."""

    state: str
    found: str
    remedy: str = ""


Check = Callable[[Settings], Finding]


@click.command("doctor")
@config_option
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Instead of the settings' one.")
@format_option
def doctor(config: Path | None, data_dir: Path | None, form: str) -> None:
    """Look for what is missing or wrong on this machine. Exit status 1 if something is bad."""
    settings = load_settings(config, data_dir=data_dir)
    rows = [{"check": name, **vars_of(finding)} for name, finding in findings(settings)]
    show_rows(COLUMNS, rows, form)
    if any(row["state"] == BAD for row in rows):
        click.get_current_context().exit(1)


def vars_of(finding: Finding) -> dict[str, str]:
    return {"state": finding.state, "found": finding.found, "remedy": finding.remedy}


def findings(settings: Settings) -> Iterator[tuple[str, Finding]]:
    """Every check in turn; one that raises is a finding itself."""
    for name, check in CHECKS.items():
        try:
            yield name, check(settings)
        except AirlockError as error:
            yield name, Finding(BAD, error.message, error.hint)


def _python(_: Settings) -> Finding:
    return Finding(GOOD, f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}")


def _compiled(_: Settings) -> Finding:
    from decision.compiled import GROUPS, state_of

    states = {group: state_of(group) for group in GROUPS}
    if not any(states.values()):
        return Finding(GOOD, ", ".join(states))
    found = ", ".join(f"{group} ({state or 'compiled'})" for group, state in states.items())
    return Finding(NOTE, f"interpreted, which is slower: {found}", "install a C compiler and run: make compile")


def _policy(settings: Settings) -> Finding:
    from decision.policy.bundle import load_bundle

    bundle = load_bundle(settings.policy.bundle)
    return Finding(GOOD, f"{settings.policy.bundle}, revision {bundle.revision[:12]}, engine {settings.policy.engine}")


def _settings(settings: Settings) -> Finding:
    from airlock.checks import mistakes

    found = list(mistakes(settings))
    if found:
        more = f" (and {len(found) - 1} more: airlock config check)" if len(found) > 1 else ""
        return Finding(BAD, found[0].message + more, found[0].hint)
    return Finding(GOOD, "files, tokens and certificates that they name are in order")


def _databases(settings: Settings) -> Finding:
    if not settings.database:
        return Finding(NOTE, "none: airlock up starts the demo", "add [[database]] to airlock.toml")
    for database in settings.database:
        database.upstream_database()
    return Finding(GOOD, ", ".join(f"{one.name} ({one.environment.value})" for one in settings.database))


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        return Finding(NOTE, f"{folder} is not there yet", "airlock up makes it")
    for private in ("keys", "journal", "issuer"):
        path = folder / private
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            return Finding(BAD, f"{path} can be entered by others", f"chmod 700 {path}")
    return Finding(GOOD, f"{folder}, keys and journal closed to others")


def _space(settings: Settings) -> Finding:
    place = next(
        path for path in [settings.data_dir.absolute(), *settings.data_dir.absolute().parents] if path.exists()
    )
    free = shutil.disk_usage(place).free
    journal, database = settings.journal, settings.data_dir / "journal" / "journal.db"
    used = database.stat().st_size if database.exists() else 0
    wanted = journal.quota_bytes + journal.ballast_bytes - used
    found = f"{free / 2**30:.1f} GiB free, the journal has {used / 2**30:.1f} of its {journal.quota_bytes / 2**30:.1f}"
    if free < LEAST_FREE_BYTES or used > journal.quota_bytes * ALMOST:
        return Finding(BAD, found, "soon every statement is denied: free space, or raise [journal] quota_bytes")
    if free < wanted:
        return Finding(NOTE, found, f"the journal may grow by {wanted / 2**30:.1f} GiB; on a full disk all is denied")
    return Finding(GOOD, found)


def _running(settings: Settings) -> Finding:
    try:
        runtime = read_runtime(settings.data_dir)
    except SettingsError as error:
        return Finding(NOTE, error.message, error.hint)
    clients = f", clients on {runtime.proxy}" if runtime.proxy else ""
    return Finding(GOOD, f"airlock {runtime.command}, process {runtime.pid}{clients}")


def _journal(settings: Settings) -> Finding:
    from decision.journal.verify import verify_journal
    from decision.wire.events import ProtobufEventCodec

    folder = settings.data_dir / "journal"
    if not (folder / "journal.db").exists():
        return Finding(NOTE, "there is none yet", "airlock up makes it")
    return Finding(GOOD, f"{verify_journal(folder, ProtobufEventCodec()).events} events verified")


def _store(settings: Settings) -> Finding:
    from analytics.store import FOLDER
    from ingest.status import read_status

    status = read_status(settings.data_dir / FOLDER)
    if status is None and settings.kafka.enabled:
        return Finding(NOTE, "none here: airlock ingest sink writes it in a data folder of its own")
    if status is None:
        return Finding(NOTE, "nothing projected yet", "airlock up does it")
    if status.error:
        return Finding(BAD, status.error, "look at ingest.log in the data folder; airlock rebuild makes it again")
    if _is_up(settings) and (silent := time.time() - status.time_unix_nano / 1e9) > _SILENT_S:
        return Finding(
            BAD, f"the projection has said nothing for {silent:.0f} s", "look at ingest.log in the data folder"
        )
    if status.missing:
        return Finding(BAD, f"{status.missing} events are missing", 'airlock query "select * from gaps"')
    found = f"{status.events} events, {status.lag_events} behind"
    if status.lag_s > _LATE_S:
        return Finding(
            NOTE,
            f"{found}; the oldest has waited {status.lag_s:.1f} s",
            "it steps back behind decisions and catches up when there is time: give it processors, or a lower --nice",
        )
    return Finding(GOOD, f"{found}; the last took {status.last_lag_s:.1f} s to be seen" if status.last_lag_s else found)


def _log(settings: Settings) -> Finding:
    from decision.journal.tiles import FOLDER
    from ingest.sequencer_state import load_state
    from ingest.sequencer_thread import STANDING_STILL

    folder = settings.data_dir / FOLDER
    state = load_state(folder)
    if state is None and settings.kafka.enabled:
        return Finding(NOTE, "none here: airlock ingest sequencer keeps it in a data folder of its own")
    if state is None:
        return Finding(NOTE, "there is none yet", "airlock up keeps one")
    try:
        why = (folder / STANDING_STILL).read_text(encoding="utf-8").strip()
    except OSError:
        return Finding(GOOD, f"{state.size} events, {state.checkpoints} checkpoints")
    return Finding(BAD, f"the log stands still at event {state.size}: {why}", "airlock log says more")


def _kafka(settings: Settings) -> Finding:
    from airlock.relaying import kafka_said

    return Finding(*kafka_said(settings))


def _relay(settings: Settings) -> Finding:
    from airlock.relaying import relay_said

    return Finding(*relay_said(settings, running=_is_up(settings)))


def _is_up(settings: Settings) -> bool:
    try:
        read_runtime(settings.data_dir)
    except SettingsError:
        return False
    return True


def _client(_: Settings) -> Finding:
    program, tls = find_psql()
    if not tls:
        return Finding(NOTE, f"{program}, which can't do TLS", "install postgresql-client for connections beyond here")
    return Finding(GOOD, program)


CHECKS: dict[str, Check] = {
    "Python": _python,
    "policy": _policy,
    "settings": _settings,
    "databases": _databases,
    "data folder": _folder,
    "disk": _space,
    "running": _running,
    "journal": _journal,
    "Kafka": _kafka,
    "relay": _relay,
    "log": _log,
    "audit store": _store,
    "compiled": _compiled,
    "psql": _client,
}
