"""Where the console of `airlock up` is, and its process.

The parent listens and hands the socket down: the address is known before the process runs, nobody can take it in
between, and browsers that call while the process starts again wait instead of being refused.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from airlock.host import Host
from airlock.runtime import Address
from airlock.settings import Settings, split_address
from decision.model.errors import SettingsError

BACKLOG = 128


def listening(wanted: str, *, exactly: bool) -> socket.socket:
    """A socket that listens on `wanted`; unless `exactly`, on a free port of that host where the port is taken.

    Raises SettingsError.
    """
    host, port = split_address(wanted, "console.listen")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (port,) if exactly else (port, 0):
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, candidate))
            made.listen(BACKLOG)
        except OSError as error:
            made.close()
            if error.errno != errno.EADDRINUSE or candidate == 0 or exactly:
                raise SettingsError(
                    f"the console can't listen on {wanted} ({error.strerror})",
                    hint="choose another address; --console 127.0.0.1:0 takes a free port, --console off does without",
                ) from None
        else:
            return made
    raise AssertionError("a free port is always found")


def bound(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(str(host), int(port))


def begin_pages(host: Host, settings: Settings, config: Path | None, given: str | None) -> Address | None:
    """Run the console in a process of its own, so that pages don't slow decisions down.

    `given` is what the command line asks for: HOST:PORT, `off`, or None for what the settings say. Raises
    SettingsError for where it may not, or can't, listen.
    """
    if given == "off":
        return None
    settings.console.check(split_address(settings.console.listen, "console.listen")[0])
    listener = listening(settings.console.listen, exactly=given is not None)
    host.stack.callback(listener.close)
    address = bound(listener)
    arguments = ["--data-dir", str(settings.data_dir), "--listen", str(address), "--socket", str(listener.fileno())]
    if config is not None:
        arguments += ["--config", str(config)]
    log_file = settings.data_dir / "console.log"
    host.keep_child("console", *arguments, log_file=log_file, pass_fds=(listener.fileno(),))
    return address


def address_of(settings: Settings, address: Address) -> str:
    """What to type into a browser."""
    return f"{'https' if settings.console.certificate_file else 'http'}://{address}/"
