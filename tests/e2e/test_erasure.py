"""Exact texts under erasable keys: kept, read by who may, erased, and the log still verifies."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from decision.journal.reader import SqliteJournalReader
from decision.model.events import KeysErased, StatementDecided, TextRevealed
from decision.wire.events import ProtobufEventCodec
from tests.e2e.support import AIRLOCK, ROOT, Running, environment, eventually, running, world_reachable_folder

SECRET = "zebra-4711-quartz"
STATEMENT = f"SELECT id FROM customers WHERE full_name = '{SECRET}'"
SETTINGS = {
    "AIRLOCK_TEXTS__STATEMENT_TEXT": "encrypted",
    "AIRLOCK_TEXTS__READERS": '["auditors"]',
    "AIRLOCK_TEXTS__ERASERS": '["privacy"]',
}
pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    folder = world_reachable_folder()
    try:
        with running(
            "--listen", "127.0.0.1:0", "--console", "off", data_dir=folder / "data", extra=SETTINGS
        ) as instance:
            yield instance
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def decision_id(up: Running) -> str:
    """Of a statement that alice ran, once analysts see it."""
    with psycopg.connect(up.conninfo(up.token("alice", groups="support")), autocommit=True) as connection:
        connection.execute(STATEMENT.encode())
    wanted = "select decision_id from decisions where statement like '%full_name%' and who = 'alice'"
    eventually(lambda: (up.data_dir / "analytics" / "catalog.duckdb").exists(), what="the audit store")
    return str(eventually(lambda: up.query(wanted), what="the decision")[0]["decision_id"])


def recorded(up: Running, kind: type) -> list[object]:
    events = SqliteJournalReader(up.data_dir / "journal", ProtobufEventCodec()).read(0, 10_000)
    return [event.payload for event in events if isinstance(event.payload, kind)]


def files_with(folder: Path, word: bytes) -> list[str]:
    """What holds the word anywhere, but for the demo database itself."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "demo" not in path.relative_to(folder).parts and word in path.read_bytes()
    ]


def test_the_event_keeps_the_text_sealed(up: Running, decision_id: str) -> None:
    """No file of the data folder holds the literal in clear, though the event has the whole text."""
    (decided,) = [one for one in recorded(up, StatementDecided) if one.decision_id == decision_id]  # type: ignore[attr-defined]
    assert len(decided.sealed_text) > len(STATEMENT)
    assert files_with(up.data_dir, SECRET.encode()) == []


def test_a_reader_sees_the_text_and_that_is_recorded(up: Running, decision_id: str) -> None:
    """Word by word, with an event that says who and why."""
    shown = up.airlock(
        "keys", "reveal", decision_id, "--reason", "incident 7", "--subject", "ann", "--groups", "auditors"
    )
    assert shown.stdout.strip() == STATEMENT
    (event,) = recorded(up, TextRevealed)
    assert (event.decision_id, event.principal.subject, event.reason) == (decision_id, "ann", "incident 7")  # type: ignore[attr-defined]


def test_nobody_else_reads_or_erases(up: Running, decision_id: str) -> None:
    """A reader may not erase, an eraser may not read, and others neither: each is told whom to ask."""
    for arguments in (
        ("reveal", decision_id, "--reason", "curious", "--groups", "privacy"),
        ("erase", "--principal", "alice", "--before", "2100-01", "--reason", "x", "--yes", "--groups", "auditors"),
        ("list", "--groups", "auditors"),
    ):
        done = up.airlock("keys", *arguments, "--subject", "mallory", check=False)
        assert done.returncode == 1
        assert "mallory may not" in done.stderr
        assert "texts." in done.stderr
    assert recorded(up, KeysErased) == []


def test_an_agent_may_not_even_in_the_group(up: Running, decision_id: str) -> None:
    """Reading texts is for people in person, not for what acts on their behalf."""
    token = up.token("agent-1", "agent", groups="auditors", on_behalf_of="ann")
    done = subprocess.run(
        [*AIRLOCK, "keys", "reveal", decision_id, "--reason", "x"],
        env=environment(up.data_dir, {"AIRLOCK_TOKEN": token}), cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "may not read" in done.stderr


def test_rotation_goes_unnoticed(up: Running, decision_id: str) -> None:
    """While the service runs: texts of before are read, new ones are kept."""
    assert "wrapped anew" in up.airlock("keys", "rotate", "--data-dir", str(up.data_dir)).stdout
    shown = up.airlock("keys", "reveal", decision_id, "--reason", "again", "--subject", "ann", "--groups", "auditors")
    assert shown.stdout.strip() == STATEMENT


def test_what_is_erased_is_gone_and_the_log_still_verifies(up: Running, decision_id: str) -> None:
    """The key goes after its event; the text is unreadable; the chain is whole."""
    erased = up.airlock(
        "keys", "erase", "--principal", "alice", "--before", "2100-01", "--reason", "her request", "--yes",
        "--subject", "pia", "--groups", "privacy",
    )  # fmt: skip
    assert "1 month of texts erased" in erased.stdout
    done = up.airlock(
        "keys", "reveal", decision_id, "--reason", "late", "--subject", "ann", "--groups", "auditors", check=False
    )
    assert done.returncode == 1
    assert "the text was erased" in done.stderr
    (event,) = recorded(up, KeysErased)
    assert (event.subject, event.before_month, event.principal.subject) == ("alice", "2100-01", "pia")  # type: ignore[attr-defined]
    assert up.airlock("verify", "--data-dir", str(up.data_dir)).returncode == 0
    left = up.airlock("keys", "list", "--groups", "privacy", "--format", "csv").stdout
    assert "alice" not in left


def test_her_next_text_has_a_key_of_its_own(up: Running) -> None:
    """After the erasure things go on; what is said from then on can be read."""
    with psycopg.connect(up.conninfo(up.token("alice", groups="support")), autocommit=True) as connection:
        connection.execute(b"SELECT 'after'")
    wanted = "select decision_id from decisions where who = 'alice' and statement not like '%full_name%'"
    newest = eventually(lambda: up.query(wanted), what="the decision")[0]["decision_id"]
    shown = up.airlock("keys", "reveal", str(newest), "--reason", "new", "--subject", "ann", "--groups", "auditors")
    assert shown.stdout.strip() == "SELECT 'after'"
