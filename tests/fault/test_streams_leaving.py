"""A worker that is told to end while its broker is away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.kafka import running_broker


def test_it_ends_without_a_word_of_the_libraries(tmp_path: Path) -> None:
    """Status 0, and no traceback of a client that finds no broker to say good-bye to."""
    with running_broker() as broker, (tmp_path / "log").open("w+") as said:
        (tmp_path / "airlock.toml").write_text(
            f'[kafka]\nbootstrap_servers = ["{broker.bootstrap}"]\npartitions = 3\nreplication = 1\n'
        )
        command = [sys.executable, "-m", "airlock.main", "ingest", "worker", "--data-dir", str(tmp_path)]
        worker = subprocess.Popen([*command, "--config", str(tmp_path / "airlock.toml")], stdout=said, stderr=said)
        try:
            eventually(lambda: any(_partitions(tmp_path)), 60, what="the worker has its partitions")
            broker.stop()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
        said.seek(0)
        assert "Traceback" not in (text := said.read()) and "destroyed" not in text, text


def _partitions(data_dir: Path) -> list[object]:
    """The partitions of each topic that the workers of this folder say they have."""
    states = [json.loads(path.read_text()) for path in (data_dir / "workers").glob("*.json")]
    return [ours for state in states for ours in state["partitions"].values()]
