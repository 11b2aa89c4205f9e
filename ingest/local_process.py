"""The embedded runner as a child process, so that folding and publishing never delay the caller's event loop.

python -m ingest.local_process --data-dir D        until SIGTERM or SIGINT, or until --parent PID is gone
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from ingest.local import run_local
from ingest.priority import NICE, step_back

log = logging.getLogger(__name__)


class LocalProcess:
    """`run_local` in a child."""

    def __init__(self, data_dir: Path, nice: int = NICE) -> None:
        self._data_dir = data_dir
        self._nice = nice
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "ingest.local_process",
            "--data-dir",
            str(self._data_dir),
            "--parent",
            str(os.getpid()),
            "--nice",
            str(self._nice),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        """The child's process id; 0 when there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_s: float = 20.0) -> int:
        """Let it take and publish the rest, then end; killed after `timeout_s`. Returns its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def main(arguments: list[str]) -> int:
    """The child process. Exit code 0 after a signal, 1 when another process projects into the folder."""
    import argparse

    from decision.model.errors import AirlockError

    parser = argparse.ArgumentParser(
        prog="python -m ingest.local_process", description="Project the journal into analytics."
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, default=0, help="end when this is no longer the parent process")
    parser.add_argument("--nice", type=int, default=NICE, help="how far to step back behind other processes")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s ingest: %(message)s")
    step_back(chosen.nice)
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        run_local(chosen.data_dir, stop, alive=lambda: not chosen.parent or os.getppid() == chosen.parent)
    except AirlockError as error:
        log.error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
