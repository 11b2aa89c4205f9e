"""`airlock demo`: the story against the running system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import click
import psycopg

from airlock.commands.common import connect_service, data_dir_option, show_rows
from airlock.commands.psql import conninfo
from airlock.demo.story import DAN, Person, Story
from airlock.issuer import DevelopmentIssuer
from airlock.runtime import Runtime, read_runtime
from analytics.query import CatalogMissing, CatalogReader
from decision.clock import SystemClock
from decision.model.errors import ServiceUnavailable, SettingsError
from decision.model.principal import PrincipalKind

START_S = 10.0


@click.command("demo")
@data_dir_option
def demo(data_dir: Path) -> None:
    """Play a story against the running `airlock up` and its demo database.

    A person reads; an agent reads, is masked, and tries to drop a table; a schema change waits for consent; the audit
    trail shows all of it. Every line is the real system's answer.
    """
    runtime = read_runtime(data_dir)
    if not runtime.databases[0].demo:
        raise SettingsError("the demo plays on the demo database only",
                            hint="start airlock up without --upstream and without [[database]]")  # fmt: skip
    issuer = DevelopmentIssuer(data_dir, SystemClock(), make=False)

    def token(person: Person) -> str:
        kind = PrincipalKind(person.kind)
        return issuer.issue(person.subject, kind, groups=person.groups, on_behalf_of=person.human, ttl_s=600)

    def approve(approval_id: str) -> None:
        async def voting() -> None:
            port = connect_service(data_dir)
            try:
                await port.resolve_approval(token(DAN), approval_id, grant=True, reason="reviewed in the demo")
            finally:
                await port.close()

        asyncio.run(voting())

    story = Story(
        connect=lambda person, intent: _session(runtime, person, token(person), intent),
        approve=approve,
        ask=lambda question: _ask(data_dir, question),
        say=_say,
        show=_show,
    )
    try:
        refused = story.play()
    except psycopg.OperationalError as error:
        raise ServiceUnavailable(f"no session through Airlock: {_first_line(error)}",
                                 hint="look at what airlock up says") from None  # fmt: skip
    click.echo(f"\n{refused} statements were refused, and every one of them is on record. Follow it live: airlock tail")


def _session(runtime: Runtime, person: Person, token: str, intent: str) -> psycopg.Connection:
    options = f"-c airlock.intent={intent.replace(' ', chr(92) + ' ')}"
    return psycopg.connect(
        conninfo(runtime, "", person.subject, tls=True), password=token, options=options, autocommit=True
    )


def _ask(data_dir: Path, question: str) -> tuple[Sequence[str], list[tuple[object, ...]]]:
    """Asks anew each time: a reader sees the store as it was when it was opened."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with CatalogReader(data_dir) as reader:
                answer = reader.ask(question)
                return answer.columns, answer.rows
        except CatalogMissing:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _show(columns: Sequence[str], rows: list[tuple[object, ...]]) -> None:
    show_rows(columns, [dict(zip(columns, row, strict=True)) for row in rows], "table")


def _say(text: str, style: str) -> None:
    bold = style == "bold"
    click.secho(text, bold=bold, fg=None if bold or not style else style)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
