"""Options that every long-running command has."""

from __future__ import annotations

import logging

import click

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
