"""Options that every long-running command has."""

from __future__ import annotations

import logging

import click

from ingest.priority import NICE

folder_option = click.option(
    "--data-dir", metavar="DIR", help="Journal, keys, certificates and analytics of this node (default: .airlock)."
)
listen_option = click.option(
    "--listen", metavar="HOST:PORT", help="Where PostgreSQL clients connect (default: 127.0.0.1:6432)."
)
grpc_option = click.option(
    "--grpc", metavar="HOST:PORT", help="Where the decision service listens (default: a free loopback port)."
)
console_option = click.option(
    "--console",
    metavar="HOST:PORT",
    help="Where the pages for people are, or off (default: 127.0.0.1:6480, a free port where that is taken).",
)
nice_option = click.option(
    "--nice",
    type=click.IntRange(0, 19),
    default=NICE,
    show_default=True,
    envvar="AIRLOCK_INGEST_NICE",
    help="How far to step back behind decisions when processors are short: 0 not at all, 19 the furthest.",
)


def _log(_: click.Context, __: click.Parameter, level: str) -> str:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return level


log_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    expose_value=False,
    callback=_log,
    help="What is written to standard error: this and what is worse.",
)
