"""Up to where all have taken a journal: never further than is certain, nor by the word of another journal's readers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airlock.pruning import taken_by_all
from airlock.settings import Settings
from analytics.store import FOLDER as ANALYTICS
from decision.journal.log_settings import LogSettings
from decision.journal.reader import SqliteJournalReader
from ingest.relay_cursor import CursorFile, RelayCursor, RelayTarget
from ingest.status import IngestStatus, write_status
from tests.support.journal_load import CODEC, fill

TARGET = RelayTarget("cluster", (("a", "1", 3),))
STATUS = IngestStatus(1, 2, 0, 0, 0, 0.0, 0.0, 0, 0, 0, 0, 0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A node whose journal has forty events."""
    fill(tmp_path / "journal", range(40))
    (tmp_path / ANALYTICS).mkdir()
    return Settings(data_dir=tmp_path, log=LogSettings(enabled=False))


def keep_cursor(settings: Settings, seq: int, hashed: bytes | None = None) -> None:
    folder = settings.data_dir / "journal"
    found = SqliteJournalReader(folder, CODEC).hash_at(seq) or b""
    CursorFile(folder).save(RelayCursor("node-1", seq, found if hashed is None else hashed, TARGET))


def keep_status(settings: Settings, position: int, error: str = "") -> None:
    write_status(settings.data_dir / ANALYTICS, replace(STATUS, position=position, error=error))


def test_with_kafka_it_is_the_relays_cursor(settings: Settings) -> None:
    """Nothing without one; nothing by one that is not of this chain, as after a restored backup."""
    assert taken_by_all(settings, relayed=True) == 0
    keep_cursor(settings, 25)
    assert taken_by_all(settings, relayed=True) == 25
    keep_cursor(settings, 25, b"\\x01" * 32)
    assert taken_by_all(settings, relayed=True) == 0
    keep_cursor(settings, 99)
    assert taken_by_all(settings, relayed=True) == 0
    (settings.data_dir / "journal" / "relay.json").write_text(json.dumps({"format": 9}))
    assert taken_by_all(settings, relayed=True) == 0


def test_alone_it_is_the_audit_stores_position(settings: Settings) -> None:
    """Nothing while it fails, nor where it is beyond this journal's end: then it was another's."""
    assert taken_by_all(settings, relayed=False) == 0
    keep_status(settings, 30)
    assert taken_by_all(settings, relayed=False) == 30
    keep_status(settings, 30, "the journal can't be read")
    assert taken_by_all(settings, relayed=False) == 0
    keep_status(settings, 41)
    assert taken_by_all(settings, relayed=False) == 0


def test_a_log_that_has_not_begun_holds_everything_back(settings: Settings) -> None:
    """Where a log is wanted, what it lacks stays."""
    keep_status(settings, 30)
    assert taken_by_all(settings.model_copy(update={"log": LogSettings()}), relayed=False) == 0


def test_without_a_journal_nothing_was_taken(tmp_path: Path) -> None:
    """Before the first start."""
    assert taken_by_all(Settings(data_dir=tmp_path), relayed=True) == 0
