"""The numbers of a process, shown to Prometheus at `/metrics`.

    with shown_metrics(settings, given, "relay", [relay, …]):      # in a long-running command
        …

A small HTTP server in threads of its own: a slow reader delays no decision, and no decision a scrape. It is off unless
`[metrics] listen` or `--metrics` gives an address. On loopback without a token only callers by a loopback name are
answered, so that no web page reads the numbers by rebinding its name.
"""

from __future__ import annotations

import hmac
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import click
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from airlock.metrics_collect import PartsCollector
from airlock.metrics_handed import FOLDER, Handing, write_handed
from airlock.metrics_settings import NODE, OFF, MetricsSettings
from airlock.runtime import Address
from airlock.settings import Settings, split_address
from decision.endpoint import is_loopback
from decision.model.errors import SettingsError
from decision.model.metrics import Measured, Sample, gauge

AT_ONCE = 8  # scrapes; one more is turned away
PATIENCE_S = 5.0  # for a reader that does not say what it wants, or does not take the answer

metrics_option = click.option(
    "--metrics",
    metavar="HOST:PORT",
    help="Where Prometheus reads this process' numbers, or off (default: listen in [metrics]).",
)
service_metrics_option = click.option(
    "--metrics",
    metavar="HOST:PORT",
    help="Where Prometheus reads this process' numbers, off, or node: shown by the node on the same data folder "
    "(default: listen in [metrics]).",
)


class Build:
    """What runs here."""

    def __init__(self, command: str) -> None:
        self._command = command

    def samples(self) -> Iterator[Sample]:
        yield gauge("build_info", "Always 1.", 1, version=version("airlock"), command=self._command)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = PATIENCE_S
    server_version = "airlock"
    sys_version = ""

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request.settimeout(PATIENCE_S)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        if not self.server.may_read(self.headers.get("Authorization", ""), self.headers.get("Host", "")):
            self._answer(401, b"show the token of [metrics] token_file\n", "text/plain")
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"the numbers are at /metrics\n", "text/plain")
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), content_type)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no news."""


class MetricsServer(ThreadingHTTPServer):
    """Listens from the beginning, serves after `start`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, address: Address, token: str, tls: ssl.SSLContext | None, build: Build, parts: Sequence[Measured]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.tls = tls
        self.registry = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.registry.register(PartsCollector(build, parts))
        self._token = token
        self._room = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((address.host, address.port), _Handler)
        host, port = self.socket.getsockname()[:2]
        self.address = Address(str(host), int(port))

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.2,), name="metrics", daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def may_read(self, authorization: str, host: str) -> bool:
        if self._token:
            return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return is_loopback(name)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away, or is none."""


@contextmanager
def shown_metrics(
    settings: Settings, given: str | None, name: str, parts: Sequence[Measured]
) -> Iterator[Address | None]:
    """Show the numbers of `parts` until the block ends. `given` is what `--metrics` said, None for what the settings
    say; `name` is the command's or service's; parts may be added to `parts` while it runs. Yields where, or None.
    Raises SettingsError."""
    wanted = given or settings.metrics.listen
    if wanted == OFF:
        yield None
        return
    if wanted == NODE:
        handing = Handing(settings.data_dir, name, parts)
        try:
            yield None
        finally:
            handing.close()
        return
    server = _listening(settings.metrics, wanted, Build(name), parts)
    server.start()
    said = write_handed(settings.data_dir, name, address=f"{'https' if server.tls else 'http'}://{server.address}")
    try:
        yield server.address
    finally:
        said.unlink(missing_ok=True)
        server.close()


def _listening(settings: MetricsSettings, wanted: str, build: Build, parts: Sequence[Measured]) -> MetricsServer:
    address = Address(*split_address(wanted, "metrics.listen"))
    settings.check(address.host)
    try:
        return MetricsServer(address, settings.token(), settings.tls(), build, parts)
    except OSError as error:
        raise SettingsError(
            f"metrics can't be shown on {address} ({error.strerror or error})",
            hint="choose another address; --metrics 127.0.0.1:0 takes a free port, --metrics off does without",
        ) from None


__all__ = ["FOLDER", "NODE", "OFF", "MetricsServer", "metrics_option", "service_metrics_option", "shown_metrics"]
