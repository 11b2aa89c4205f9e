"""Where the console of `airlock up` is, and its process."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from airlock.host import Host
from airlock.runtime import Address
from airlock.settings import Settings, split_address
from decision.model.errors import SettingsError


def free_address(wanted: str) -> Address:
    """`wanted`, or a free port of the same host where that port is taken."""
    host, port = split_address(wanted, "console.listen")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (port, 0):
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, candidate))
            except OSError as error:
                if candidate and error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise SettingsError(
                    f"console.listen: {wanted} can't be listened on ({error.strerror})", hint="choose another address"
                ) from None
            return Address(host, int(trial.getsockname()[1]))
    raise AssertionError("port 0 is always free")


def console_address(settings: Settings, given: str | None) -> Address | None:
    """Where the console will listen: as asked for, else where there is room; None when it is not wanted.

    Raises SettingsError for where it may not, or can't, listen.
    """
    if given == "off":
        return None
    wanted = free_address(settings.console.listen)
    settings.console.check(wanted.host)
    if given is not None and str(wanted) != given and not given.endswith(":0"):
        raise SettingsError(f"--console: {given} is taken", hint="stop what listens there, or choose another port")
    return wanted


def keep_console(host: Host, settings: Settings, config: Path | None, address: Address | None) -> None:
    """In a process of its own: pages don't slow decisions down."""
    if address is None:
        return
    arguments = ["--data-dir", str(settings.data_dir), "--listen", str(address)]
    if config is not None:
        arguments += ["--config", str(config)]
    host.keep_child("console", *arguments, log_file=settings.data_dir / "console.log")


def address_of(settings: Settings, address: Address) -> str:
    """What to type into a browser."""
    return f"{'https' if settings.console.certificate_file else 'http'}://{address}/"
