"""The whole distributed form as processes of this machine, without containers: a broker, decision services, an
enforcement point, stream workers, the writer of the audit store and the sequencer, in front of the demo database.

Every part is the real program with the settings file that they share; a part that was killed is started again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from airlock.issuer import DevelopmentIssuer
from decision.clock import SystemClock
from decision.model.principal import PrincipalKind
from tests.support.eventually import eventually
from tests.support.kafka import Broker, free_port

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 20.0
SETTINGS = """\
[[database]]
name = "shop"
environment = "prod"
upstream = {upstream}

[[identity.issuers]]
issuer = {issuer}
audience = {audience}
algorithms = {algorithms}
jwks_file = {jwks_file}

[decision]
digest_key_file = {digest_key}

[kafka]
bootstrap_servers = [{broker}]
topic_prefix = "chaos"
partitions = 4
replication = 1

[proxy]
listen = "127.0.0.1:{proxy_port}"
decision_service = "127.0.0.1:{service_port}"
token_file = {token_file}
plaintext = "loopback"
{more}"""


@dataclass
class Part:
    """One program. `kills` counts those by `kill`; `starts` all starts."""

    name: str
    arguments: tuple[str, ...]
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    starts: int = 0
    ended: list[int] = field(default_factory=list)  # exit codes of those that ended by themselves

    def start(self) -> None:
        self.starts += 1
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRLOCK_")}
        with self.log.open("ab") as out:
            out.write(f"--- start {self.starts}\n".encode())
            out.flush()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airlock.main", *self.arguments],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, of this process alone: what it started has to notice by itself."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.kills += 1
            self.process = None

    def keep(self) -> None:
        """Start it again where it is gone."""
        if not self.running:
            if self.process is not None:
                self.ended.append(self.process.returncode)
            self.start()

    def stop(self) -> int:
        """SIGTERM, and kill where that is not obeyed. Its exit code; 0 where it did not run."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {line}" for line in text[-lines:])


class Composition:
    """`folder` gets everything. `upstream` is the DSN of the database behind; `more` is added to the settings."""

    def __init__(self, folder: Path, upstream: str, *, services: int = 2, workers: int = 2, more: str = "") -> None:
        self.folder = folder
        self.broker = Broker(folder / "broker")
        self.ports = [free_port() for _ in range(services)]
        self.proxy_port = free_port()
        self.config = folder / "airlock.toml"
        self._issuer = DevelopmentIssuer(folder / "issuer", SystemClock())
        self._upstream, self._more = upstream, more
        self.services = [
            self._part(f"decision-{n}", "serve", "--grpc", f"127.0.0.1:{port}")
            for n, port in enumerate(self.ports, start=1)
        ]
        self.proxy = self._part("proxy", "proxy")
        self.workers = [self._part(f"worker-{n}", "ingest", "worker") for n in range(1, workers + 1)]
        self.sink = self._part("sink", "ingest", "sink")
        self.sequencer = self._part("sequencer", "ingest", "sequencer")

    def _part(self, name: str, *command: str) -> Part:
        data_dir = self.folder / name
        data_dir.mkdir(mode=0o700, parents=True)
        arguments = (*command, "--config", str(self.config), "--data-dir", str(data_dir), "--log-level", "info")
        return Part(name, arguments, data_dir, self.folder / f"{name}.log")

    @property
    def parts(self) -> Sequence[Part]:
        return (*self.services, self.proxy, *self.workers, self.sink, self.sequencer)

    def token_file(self, number: int = 0) -> Path:
        """The bearer token of callers of a decision service."""
        return self.services[number].data_dir / "keys" / "grpc.token"

    def target(self, number: int = 0) -> str:
        return f"127.0.0.1:{self.ports[number]}"

    def credential(self, subject: str, kind: PrincipalKind = PrincipalKind.HUMAN, groups: Sequence[str] = ()) -> str:
        return self._issuer.issue(subject, kind, groups=groups)

    def _write_settings(self) -> None:
        believed = self._issuer.settings()
        values = {
            "upstream": self._upstream,
            "issuer": believed.issuer,
            "audience": list(believed.audience),
            "algorithms": list(believed.algorithms),
            "jwks_file": str(believed.jwks_file),
            "digest_key": str(self.folder / "digest.key"),
            "broker": self.broker.bootstrap,
            "token_file": str(self.token_file()),
        }
        digest_key = self.folder / "digest.key"
        digest_key.touch(mode=0o600)
        digest_key.write_bytes(os.urandom(32))
        written = {key: json.dumps(value) for key, value in values.items()}
        self.config.write_text(
            SETTINGS.format(**written, proxy_port=self.proxy_port, service_port=self.ports[0], more=self._more)
        )

    def start(self, deadline_s: float = 60.0) -> None:
        """Broker, topics, then all parts; done when clients are served."""
        self.broker.start()
        self._write_settings()
        self.airlock("kafka", "topics", "create", "--config", str(self.config))
        for part in (*self.services, self.sequencer, self.sink, *self.workers):
            part.start()
        for part, port in zip(self.services, self.ports, strict=True):
            eventually(partial(listening, port), deadline_s, what=f"{part.name} listens")
        self.proxy.start()
        eventually(partial(listening, self.proxy_port), deadline_s, what="the enforcement point listens")

    def airlock(self, *arguments: str, check: bool = True, timeout_s: float = 120.0) -> str:
        """What `airlock ARGUMENTS` prints. AssertionError with its complaint where it fails and `check`."""
        done = subprocess.run(
            [sys.executable, "-m", "airlock.main", *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"airlock {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def stop(self) -> dict[str, int]:
        """End everything, clients first. The exit codes by part."""
        ended = {}
        for part in (self.proxy, *self.services, *self.workers, self.sequencer, self.sink):
            ended[part.name] = part.stop()
        self.broker.stop()
        return ended

    def complaints(self) -> Iterator[str]:
        """Parts that do not run, with the end of their logs."""
        for part in self.parts:
            if not part.running:
                yield f"{part.name} is not running:\n{part.last_words()}"


def listening(port: int) -> bool:
    """Whether something accepts connections there."""
    import socket

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False
