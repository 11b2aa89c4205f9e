"""The relay against a real broker: what is durable is on Kafka, in order, byte for byte, and nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from decision.journal.sqlite import SqliteJournal
from decision.model.errors import RelayRefused, TopicRefused
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_topics import make_topics
from ingest.relay_cursor import CursorFile, relayed_seq
from ingest.relay_status import RelayState, read_relay_status
from tests.support.eventually import eventually, eventually_async
from tests.support.journal_load import CODEC, SMALL, append, draft, fill
from tests.support.kafka import Broker
from tests.support.relaying import arrived, demand_all, relaying

pytestmark = pytest.mark.kafka


def test_everything_durable_arrives_once_and_in_order(
    kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """A journal of thousands of events is on Kafka as it stands, approvals on their own topic too."""
    events = fill(tmp_path, range(6_000))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    assert demand_all(kafka, kafka_settings, events) == 0
    assert relayed_seq(tmp_path) == 6_000
    status = read_relay_status(tmp_path)
    assert status is not None
    assert (status.state, status.relayed, status.lag_events, status.lag_s) == (RelayState.STOPPED, 6_000, 0, 0.0)


def test_keys_and_headers_are_what_the_contract_says(
    kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """Session, else correlation, else producer; approvals by their approval; CloudEvents in binary mode."""
    events = fill(tmp_path, [0, 48, 210])
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    found = {seq: records[0] for seq, records in arrived(kafka, kafka_settings.topics.events).items()}
    assert [found[seq].key for seq in (1, 2, 3)] == [b"session-0", b"session-6", b"node-1"]
    (used,) = arrived(kafka, kafka_settings.topics.approvals)[2]
    assert (used.key, used.value) == (b"approval-0", events[1].raw)
    assert dict(found[1].headers) == {
        "content-type": b"application/protobuf",
        "ce_specversion": b"1.0",
        "ce_id": b"event-0",
        "ce_type": b"airlock.v1.StatementExecuted",
        "ce_source": b"decision-service",
        "ce_time": b"2026-09-21T14:13:20.000000000Z",
    }
    assert found[1].timestamp == events[0].draft.time_unix_nano // 1_000_000


async def test_an_idle_relay_takes_what_comes(kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """Events appended one after the other while it runs are relayed without being asked for."""
    journal = SqliteJournal.open(tmp_path, producer_id="node-1", codec=CODEC, settings=SMALL)
    with relaying(tmp_path, kafka_settings) as running:
        for number in range(5):
            event = await journal.append(draft(number))

            async def there(seq: int = event.seq) -> bool:
                return running.relayed() == seq

            await eventually_async(there)
    await journal.close()
    assert sorted(arrived(kafka, kafka_settings.topics.events)) == [1, 2, 3, 4, 5]


def test_a_new_relay_goes_on_where_the_last_one_ended(
    kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """Ended in good order, nothing is sent twice."""
    fill(tmp_path, range(1_000))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    events = fill(tmp_path, range(1_000, 2_000))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    assert demand_all(kafka, kafka_settings, events) == 0


def test_without_its_cursor_it_sends_the_same_bytes_again(
    kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """What comes twice is equal, which is what lets readers drop it."""
    events = fill(tmp_path, range(500))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    CursorFile(tmp_path).forget()
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    assert demand_all(kafka, kafka_settings, events) == 500


def test_memory_in_flight_is_bounded(kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """With the smallest bounds everything arrives all the same."""
    events = fill(tmp_path, range(3_000))
    small = kafka_settings.model_copy(update={"relay_events": 1_024, "relay_bytes": 1 << 20})
    with relaying(tmp_path, small) as running:
        eventually(running.caught_up, 30)
    assert demand_all(kafka, small, events) == 0


def refusal(folder: Path, settings: KafkaSettings) -> str:
    """What a relay of this journal ends with."""
    with relaying(folder, settings) as running:
        error = eventually(lambda: running.refused, 30)
    assert isinstance(error, RelayRefused | TopicRefused)
    status = read_relay_status(folder)
    assert status is not None
    assert (status.state, status.error) == (RelayState.REFUSED, error.message)
    return error.message


def test_a_journal_restored_from_a_backup_is_refused(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """Its end lies before what was relayed: new events would take the places of others."""
    fill(tmp_path, range(100))
    backup = (tmp_path / "journal.db").read_bytes()
    fill(tmp_path, range(100, 200))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    (tmp_path / "journal.db").write_bytes(backup)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"journal.db{suffix}").unlink(missing_ok=True)
    assert "restored from a backup" in refusal(tmp_path, kafka_settings)
    fill(tmp_path, range(300, 450))
    assert "is not the one that was relayed" in refusal(tmp_path, kafka_settings)


def test_another_producers_journal_is_refused(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """The cursor belongs to one chain."""
    fill(tmp_path, range(10))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    cursor = json.loads((tmp_path / "relay.json").read_text())
    (tmp_path / "relay.json").write_text(json.dumps({**cursor, "producer_id": "node-2"}))
    assert "'node-2'" in refusal(tmp_path, kafka_settings)
    (tmp_path / "relay.json").write_text("{")
    assert "can't be understood" in refusal(tmp_path, kafka_settings)


def test_a_topic_made_again_is_refused_until_all_is_sent_again(
    kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """What was in it is gone, which the relay can't know from its name."""
    events = fill(tmp_path, range(100))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    with kafka.admin() as admin:
        admin.delete_topics([kafka_settings.topics.events])
        eventually(lambda: kafka_settings.topics.events not in admin.list_topics())
    make_topics(kafka_settings)
    assert "was deleted and made again" in refusal(tmp_path, kafka_settings)
    CursorFile(tmp_path).forget()
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)
    assert sorted(arrived(kafka, kafka_settings.topics.events)) == [event.seq for event in events]


def test_an_unsound_topic_is_refused(kafka: Broker, kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """Nothing is sent to a topic that would lose it."""
    fill(tmp_path, range(10))
    assert "3 partitions" in refusal(tmp_path, kafka_settings.model_copy(update={"partitions": 4}))
    assert kafka.records(kafka_settings.topics.events) == []


def test_events_pruned_before_they_were_relayed_are_not_passed_over(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    """A hole is an error, not a warning in a log."""
    fill(tmp_path, range(100))
    with relaying(tmp_path, kafka_settings) as running:
        eventually(running.caught_up, 30)

    async def prune() -> None:
        journal = SqliteJournal.open(tmp_path, producer_id="node-1", codec=CODEC, settings=SMALL)
        await append(journal, [draft(number) for number in range(100, 150)])
        await append(journal, [draft(number) for number in range(150, 200)])
        assert await journal.prune(150) == 150
        await journal.close()

    asyncio.run(prune())
    assert "events 101 to 150 were pruned" in refusal(tmp_path, kafka_settings)
