"""A log's folder restored from an old copy, and others' words of its checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from decision.journal.chain import GENESIS
from decision.journal.checkpoints import Checkpoint
from decision.journal.custody import KEYS, Custody
from decision.journal.notes import new_key, sign_note
from decision.journal.tiles import TileFolder
from decision.model.errors import LogDamaged
from decision.model.events import AuditEvent, CheckpointSigned, EventDraft
from ingest.kafka_settings import KafkaSettings
from tests.contract.test_log_kafka import EVENTS, kept, opened, send
from tests.support.analytics_story import CODEC
from tests.support.eventually import eventually

pytestmark = pytest.mark.kafka


def newest(data_dir: Path) -> CheckpointSigned:
    data = TileFolder(data_dir / "log").checkpoint()
    found = Custody.parse((data_dir / "log" / KEYS).read_bytes()).open(data).checkpoint
    return CheckpointSigned(found.origin, found.size, found.root, data.decode())


def event(payload: CheckpointSigned, seq: int = 1) -> AuditEvent:
    """As the sequencer's own journal would relay it."""
    draft = EventDraft(f"checkpoint-{seq}", EVENTS[0].draft.time_unix_nano, "log", "log", payload)
    raw = CODEC.encode(draft, "log-1", 1, seq, GENESIS)
    return AuditEvent(draft, "log-1", 1, seq, GENESIS, b"", raw)


def test_a_folder_restored_from_an_old_copy_signs_no_second_history(
    tmp_path: Path, kafka_settings: KafkaSettings
) -> None:
    """Its own later checkpoint comes back from Kafka: it stands still, and has published nothing beside it."""
    data_dir = tmp_path / "log"
    send(kafka_settings, EVENTS[:100])
    kept(data_dir, kafka_settings, 100)
    shutil.copytree(data_dir, tmp_path / "copy")
    send(kafka_settings, EVENTS[100:250])
    kept(data_dir, kafka_settings, 250)
    signed = newest(data_dir)
    send(kafka_settings, [event(signed), *EVENTS[250:]])
    shutil.rmtree(data_dir)
    shutil.move(tmp_path / "copy", data_dir)
    for _ in range(2):  # and again, when it is started again
        keeper = opened(data_dir, kafka_settings)
        try:
            with pytest.raises(LogDamaged, match="restored from an old copy"):
                eventually(lambda: not keeper.step() and False, 10)  # noqa: B023 - ends within the turn
        finally:
            keeper.close()
        assert newest(data_dir).tree_size == 100


def test_anybodys_word_of_a_checkpoint_stops_nothing(tmp_path: Path, kafka_settings: KafkaSettings) -> None:
    """A checkpoint under this log's name that its key did not sign, of another log, and one that is none."""
    send(kafka_settings, EVENTS[:50])
    kept(tmp_path, kafka_settings, 50)
    mine = newest(tmp_path)
    forged = sign_note(Checkpoint(mine.origin, 9_000, bytes(32)).text(), (new_key(mine.origin, bytes(range(9, 41))),))
    words = [
        CheckpointSigned(mine.origin, 9_000, bytes(32), forged.encode().decode()),
        CheckpointSigned("log.example/other", 9_000, bytes(32), mine.note),
        CheckpointSigned(mine.origin, 9_000, bytes(32), "nothing"),
        mine,
    ]
    send(kafka_settings, [*(event(word, seq) for seq, word in enumerate(words, 1)), *EVENTS[50:80]])
    assert len(kept(tmp_path, kafka_settings, 84)) == 84
