"""What the commands share: options, tables, and the way to the running instance."""

from __future__ import annotations

import asyncio
import csv
import getpass
import io
import json
import os
import sys
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    import psycopg

    from decision.client import GrpcDecisionPort

Row = Mapping[str, object]
T = TypeVar("T")


def default_data_dir() -> Path:
    """Where `airlock up` keeps its data when it is started here without --data-dir: what airlock.toml says, if there is
    one. What else is wrong with that file is for others to say."""
    try:
        given = tomllib.loads(Path("airlock.toml").read_text()).get("data_dir", ".airlock")
    except (OSError, ValueError):
        given = ".airlock"
    return Path(given if isinstance(given, str) else ".airlock")


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default="data_dir in airlock.toml, else .airlock",
    envvar="AIRLOCK_DATA_DIR",
    help="Where `airlock up` keeps its data.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file (default: airlock.toml here, if there is one).",
)
subject_option = click.option(
    "--subject", default=getpass.getuser, show_default="your account", help="Who you are (development issuer)."
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="A table for people, JSON or CSV for programs.",
)


def show_rows(columns: Sequence[str], rows: Sequence[Row], form: str, *, empty: str = "nothing found") -> None:
    """Print rows in the form asked for. Colours and box lines only on a terminal (and not with NO_COLOR)."""
    if form == "json":
        click.echo(json.dumps([{name: _json(row.get(name)) for name in columns} for row in rows], indent=2))
    elif form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows([_text(row.get(name)) for name in columns] for row in rows)
        click.echo(out.getvalue(), nl=False)
    elif not rows:
        click.echo(empty)
    else:
        _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(file=io.StringIO(), width=None if terminal else 160, force_terminal=terminal)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(name))) for name in columns))  # Text: nothing in it is markup
    with console.capture() as drawn:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().strip("\n").splitlines() if line.strip()))


def _json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, dict)) or value is None else str(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    text = str(value)
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def why_unreachable(error: psycopg.Error, dsn: str) -> str:
    """Why a database can't be reached, in libpq's words, without the password of `dsn` in any spelling."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        secret = str(conninfo_to_dict(dsn).get("password") or "")
    except ProgrammingError:  # its words may repeat any part of what was given
        return "that is no connection string: write postgresql://USER:PASSWORD@HOST:PORT/DB"
    said = " ".join(str(error).split()) or type(error).__name__
    return said.replace(secret, "***") if secret else said


def moment(unix_nano: int) -> datetime:
    """A time of an event, in UTC."""
    return datetime.fromtimestamp(unix_nano / 1e9, UTC)


def connect_service(data_dir: Path) -> GrpcDecisionPort:
    """A client of the decision service that runs on `data_dir`, with the local commands' token.

    Call it inside the event loop that uses it. Raises SettingsError when nothing runs or its token can't be read.
    """
    from airlock.runtime import read_runtime
    from decision.client import GrpcDecisionPort
    from decision.client_settings import ClientSettings
    from decision.model.errors import SettingsError

    runtime = read_runtime(data_dir)
    if runtime.grpc is None:
        raise SettingsError(f"the Airlock on {data_dir} has no decision service", hint="ask the machine that runs it")
    return GrpcDecisionPort(ClientSettings(target=str(runtime.grpc), token_file=Path(runtime.grpc_token_file)))


def own_token(data_dir: Path, subject: str, kind: str = "human", groups: Sequence[str] = (), human: str = "") -> str:
    """A short-lived token: AIRLOCK_TOKEN, when set; else one of the development issuer for `subject`."""
    given = os.environ.get("AIRLOCK_TOKEN", "")
    if given:
        return given
    from airlock.issuer import DevelopmentIssuer
    from decision.clock import SystemClock
    from decision.model.principal import PrincipalKind

    issuer = DevelopmentIssuer(data_dir, SystemClock(), make=False)
    return issuer.issue(subject, PrincipalKind(kind), groups=groups, on_behalf_of=human, ttl_s=3600)


def token_for(data_dir: Path, subject: str, groups: str) -> str:
    """`own_token` for options as people write them: groups with commas between."""
    return own_token(data_dir, subject, groups=[name.strip() for name in groups.split(",") if name.strip()])


def ask_service(data_dir: Path, question: Callable[[GrpcDecisionPort], Awaitable[T]]) -> T:
    """The answer of the decision service that runs on `data_dir`. Raises what `connect_service` and it raise."""

    async def asking() -> T:
        port = connect_service(data_dir)
        try:
            return await question(port)
        finally:
            await port.close()

    return asyncio.run(asking())
