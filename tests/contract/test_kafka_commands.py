"""`airlock kafka …`, `airlock doctor` and `airlock ingest relay` as an operator uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from airlock.main import run
from ingest.kafka_export import read_export
from ingest.relay_cursor import relayed_seq
from tests.support.eventually import eventually
from tests.support.journal_load import fill
from tests.support.kafka import Broker, free_port, settings_for
from tests.support.relay_chaos import RelayProcess
from tests.support.relaying import demand_all

pytestmark = pytest.mark.kafka

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def prefix() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def config(kafka: Broker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file for topics that are not there yet."""
    for name in [name for name in os.environ if name.startswith("AIRLOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "airlock.toml"
    path.write_text(
        f'data_dir = "{tmp_path / "data"}"\n[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\n'
        f'topic_prefix = "{prefix}"\npartitions = 3\nreplication = 1\n'
    )
    return path


def rows(capsys: Capture, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit status, and the rows by what they are about."""
    status = run([*arguments, "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    return status, {row.get("what") or row["check"]: row for row in found}


def test_topics_are_checked_made_and_exported(config: Path, prefix: str, capsys: Capture) -> None:
    """What is missing is bad and says how to mend it; made, all is good; the commands for others' hands are printed."""
    status, found = rows(capsys, "kafka", "check")
    assert status == 1
    assert found[f"{prefix}.events.v1"]["remedy"] == "airlock kafka topics create"
    assert found[f"{prefix}.signals.v1"]["found"] == found[f"{prefix}.firsts.v1"]["found"] == "it does not exist"
    assert run(["kafka", "topics", "create", "--print"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert f"--topic {prefix}.signals.v1 " in printed[4] and "--config retention.ms=259200000" in printed[4]
    assert f"--topic {prefix}.firsts.v1 " in printed[5] and "--config cleanup.policy=compact" in printed[5]
    assert "retention.ms=-1" in printed[0] and "--partitions 3 --replication-factor 1" in printed[0]
    assert run(["kafka", "topics", "create"]) == 0
    assert capsys.readouterr().out.count("made ") == 6
    assert run(["kafka", "topics", "create"]) == 0
    assert capsys.readouterr().out == "all topics are there, and as they must be\n"
    status, found = rows(capsys, "kafka", "check")
    assert (status, {row["state"] for row in found.values()}) == (0, {"good"})
    assert run(["kafka", "export", "-o", "trail.export"]) == 0
    with Path("trail.export").open("rb") as file:
        assert set(read_export(file).spans) == {f"{prefix}.events.v1"}
    assert not Path("trail.export.part").exists()


def test_doctor_says_how_far_the_journal_is_relayed(
    kafka: Broker, config: Path, prefix: str, tmp_path: Path, capsys: Capture
) -> None:
    """Durable, relayed and behind, before a relay ran, after it, and where the brokers are away."""
    events = fill(tmp_path / "data" / "journal", range(300))
    status, found = rows(capsys, "doctor")
    assert (found["relay"]["state"], status) == ("note", 1)
    assert found["relay"]["found"] == "300 durable, 0 relayed, 300 behind; no relay runs"
    assert found["Kafka"]["remedy"] == "airlock kafka topics create"
    settings = settings_for(kafka, prefix)
    relay = RelayProcess(tmp_path / "data", settings)
    relay.start()
    try:
        eventually(lambda: relayed_seq(tmp_path / "data" / "journal") == 300, 30)
        _, found = rows(capsys, "doctor")
        assert (found["relay"]["state"], found["relay"]["found"]) == ("good", "300 durable, 300 relayed, 0 behind")
        assert found["Kafka"]["state"] == "good"
    finally:
        assert relay.end(signal.SIGTERM) == 0
    demand_all(kafka, settings, events)
    config.write_text(config.read_text().replace(kafka.bootstrap, f"127.0.0.1:{free_port()}"))
    _, found = rows(capsys, "doctor")
    assert found["Kafka"]["state"] == "bad"
    assert "Connection refused" in found["Kafka"]["found"]


def test_a_relay_that_is_refused_ends_with_the_reason(config: Path, tmp_path: Path) -> None:
    """Alone it ends, so that whoever started it sees why."""
    fill(tmp_path / "data" / "journal", range(10))
    config.write_text(config.read_text() + "create_topics = false\n")
    done = subprocess.run(
        [sys.executable, "-m", "airlock.main", "ingest", "relay", "--config", str(config)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "it does not exist" in done.stderr
    assert "airlock kafka topics create" in done.stderr


def test_a_relay_ends_with_the_decision_service_that_keeps_it(config: Path, tmp_path: Path) -> None:
    """Where its parent was killed nobody else would end it, and a second one could not begin."""
    (tmp_path / "data").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys, os\n"
         "command = [sys.executable, '-m', 'airlock.main', 'ingest', 'relay', '--config', sys.argv[1]]\n"
         "child = subprocess.Popen([*command, '--parent', str(os.getpid())])\n"
         "print(child.pid, flush=True)\nchild.wait()", str(config)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    eventually(lambda: (tmp_path / "data" / "journal").exists(), 30)
    parent.kill()
    parent.wait()

    def gone() -> bool:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state == "Z"

    eventually(gone, 30, what="the relay without its parent")
