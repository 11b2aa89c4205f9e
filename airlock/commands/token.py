"""`airlock token`: a token of the development issuer."""

from __future__ import annotations

import re
from pathlib import Path

import click

from airlock.commands.common import data_dir_option
from airlock.issuer import DevelopmentIssuer
from decision.clock import SystemClock
from decision.model.errors import SettingsError
from decision.model.principal import PrincipalKind

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(_: click.Context, __: click.Parameter, value: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration: write 90s, 15m, 8h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name for part in value.split(",") if (name := part.strip()))


@click.command("token")
@data_dir_option
@click.option("--subject", required=True, help="Who asks: a name, or an agent's or a job's id.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in PrincipalKind]),
    default="human",
    show_default=True,
    help="What the subject is: a person, an AI agent, or a program such as a CI job.",
)
@click.option("--groups", default="", callback=_names, metavar="G,…", help="The subject's groups.")
@click.option("--email", default="", help="The subject's e-mail address.")
@click.option("--on-behalf-of", default="", metavar="HUMAN", help="The human that an agent or a job acts for.")
@click.option("--on-behalf-of-groups", default="", callback=_names, metavar="G,…", help="That human's groups.")
@click.option("--ttl", default="8h", show_default=True, callback=_seconds, help="How long it holds: 90s, 15m, 8h, 1d.")
@click.option("--create", is_flag=True, help="Make the issuer where there is none, before anything runs there.")
def token(
    data_dir: Path,
    subject: str,
    kind: str,
    groups: tuple[str, ...],
    email: str,
    on_behalf_of: str,
    on_behalf_of_groups: tuple[str, ...],
    ttl: int,
    create: bool,
) -> None:
    """Print a token of the local development issuer, for use as a password.

    An agent that acts for a human has both in its token and may only do what both may. Since clocks differ, a token and
    the sessions that it opened hold 30 seconds longer than it says.
    """
    issuer = DevelopmentIssuer(data_dir, SystemClock(), make=create)
    try:
        issued = issuer.issue(
            subject,
            PrincipalKind(kind),
            groups=groups,
            email=email,
            on_behalf_of=on_behalf_of,
            on_behalf_of_groups=on_behalf_of_groups,
            ttl_s=ttl,
        )
    except OSError as error:
        raise SettingsError(f"{data_dir} can't be used ({error.strerror})", hint="choose another --data-dir") from None
    click.echo(issued)
