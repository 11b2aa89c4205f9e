"""`airlock serve` with Kafka: what it refuses to run on, and that it runs without a broker."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.kafka import Broker, free_port

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[[database]]
name = "shop"

[kafka]
bootstrap_servers = ["{bootstrap}"]
topic_prefix = "{prefix}"
partitions = 3
replication = 1
"""


@contextmanager
def serving(folder: Path, bootstrap: str, prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    """`airlock serve`; what it says is in `folder`/said."""
    config = folder / "airlock.toml"
    config.write_text(SETTINGS.format(bootstrap=bootstrap, prefix=prefix))
    command = [sys.executable, "-m", "airlock.main", "serve", "--grpc", "127.0.0.1:0"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRLOCK_")}
    with (folder / "said").open("wb") as out:
        process = subprocess.Popen(
            [*command, "--config", str(config), "--data-dir", str(folder / "data")],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.kafka
def test_topics_that_could_lose_events_end_it(kafka: Broker, tmp_path: Path) -> None:
    """A compacted approvals topic: it ends with an error that names the topic and the way out."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    kafka.create_topics(f"{prefix}.approvals.v1", configs={"cleanup.policy": "compact"})
    with serving(tmp_path, kafka.bootstrap, prefix) as process:
        assert process.wait(40) == 1
    said = (tmp_path / "said").read_text()
    assert f"the topic {prefix}.approvals.v1 is refused" in said
    assert "Traceback" not in said


@pytest.mark.kafka
def test_it_starts_without_a_broker(tmp_path: Path) -> None:
    """Ordinary decisions need none; it says that what needs an approval is denied, and ends when asked to."""
    with serving(tmp_path, f"127.0.0.1:{free_port()}", "nowhere") as process:
        eventually(lambda: "decision service on" in (tmp_path / "said").read_text(), 40)
        assert process.poll() is None
    assert process.returncode == 0
    assert "the approvals are not known yet" in (tmp_path / "said").read_text()
