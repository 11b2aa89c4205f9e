"""The log for tests: leaves from a story, a sequencer in a folder, and Go's own reader and witness of logs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from decision.clock import SystemClock
from decision.journal.log_settings import LogSettings
from decision.model.events import AuditEvent
from ingest.sequencer import Leaf, Sequencer
from ingest.sequencer_publisher import ALONE, Outside
from tests.support.require import require
from tests.support.toolchains import CACHE

SOURCES = Path(__file__).parents[1] / "clients" / "tlog"
AT_ONCE = LogSettings(origin="log.example/test", interval_s=0.001)


class Ticking:
    """A clock that goes on by a second each time it is asked."""

    def __init__(self, start_s: int = 1_790_000_000) -> None:
        self.now_s = start_s

    def time_unix_nano(self) -> int:
        self.now_s += 1
        return self.now_s * 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.time_unix_nano()


def counted(size: int) -> bytes:
    """Random bytes for keys that are the same in every run."""
    return bytes(range(size))


def leaves(events: Sequence[AuditEvent]) -> list[Leaf]:
    return [Leaf(event.producer_id, event.epoch, event.seq, event.raw) for event in events]


def sequencer(
    data_dir: Path, settings: LogSettings = AT_ONCE, source: str = "journal", outside: Outside = ALONE
) -> Sequencer:
    """A sequencer of the log in `data_dir`; its first key is the same in every test."""
    key = data_dir / "keys" / "log.key"
    return Sequencer(data_dir / "log", key, source, settings, SystemClock(), counted, outside)


def published(data_dir: Path, batches: Sequence[Sequence[AuditEvent]]) -> list[bytes]:
    """A log in `data_dir` with a checkpoint after each batch: the checkpoints."""
    found = []
    log = sequencer(data_dir)
    for batch in batches:
        log.take(leaves(batch), {"journal": batch[-1].seq})
        checkpoint = log.publish()
        assert checkpoint is not None
        found.append(checkpoint)
    log.close()
    return found


def go_program(go: Path, folder: Path) -> Path:
    """tests/clients/tlog, compiled into `folder`."""
    built = folder / "tlog"
    done = subprocess.run(
        [str(go), "build", "-o", str(built), "."], cwd=SOURCES, env=_environment(), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    found = built if done.returncode == 0 else None
    return require("golang.org/x/mod (a Go module)", found, "give Go (1.26 or later) a network once: `make fetch`")


def _environment() -> dict[str, str]:
    caches = {"GOMODCACHE": str(CACHE / "go" / "mod"), "GOCACHE": str(CACHE / "go" / "build")}
    return {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", **caches}


def output(program: Path, *arguments: object) -> list[str]:
    """The lines that the Go program says. AssertionError where it finds something wrong."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def refusal(program: Path, *arguments: object) -> str:
    """What the Go program finds wrong."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


@contextmanager
def witness(program: Path, name: str, log_key: str, *options: str) -> Iterator[tuple[str, str]]:
    """(verifier key, URL) of a running witness of the log."""
    process = subprocess.Popen(
        [str(program), "witness", name, log_key, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield process.stdout.readline().strip(), process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
