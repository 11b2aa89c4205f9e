"""A running OPA server for tests. The binary comes from the fixture `opa_binary`."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OpaServer:
    """One `opa run --server` on loopback; `stop` and `start` restart it empty on the same port."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["run", "--server", "--addr", f"127.0.0.1:{self.port}", "--log-level", "error"]
        self._process = subprocess.Popen(
            [self._binary, *arguments, "--disable-telemetry"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise RuntimeError("OPA did not start") from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@contextmanager
def opa_server(binary: Path) -> Iterator[OpaServer]:
    server = OpaServer(binary)
    server.start()
    try:
        yield server
    finally:
        server.stop()
