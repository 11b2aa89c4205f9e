"""A real topic is read from end to end, exported and verified, and what is wrong in it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airlock.main import run
from airlock.verification import Sources, verify
from ingest.kafka_clients import producer
from ingest.kafka_export import read_export, write_export
from ingest.kafka_reading import one_record, topic_records
from ingest.kafka_settings import KafkaSettings
from tests.support.verify_run import LATER
from tests.support.verify_run import run as verified
from tests.support.verify_stores import CODEC, history, partition_of, write_log

pytestmark = pytest.mark.kafka

RAWS = history(300)


def produced(settings: KafkaSettings, raws: list[bytes]) -> None:
    client = producer(settings)
    for raw in raws:
        client.send(settings.topics.events, value=raw, key=b"k", partition=partition_of(raw))
    client.flush()
    client.close()


def config(folder: Path, settings: KafkaSettings) -> str:
    path = folder / "airlock.toml"
    servers = json.dumps(list(settings.bootstrap_servers))
    path.write_text(f'[kafka]\nbootstrap_servers = {servers}\ntopic_prefix = "{settings.topic_prefix}"\n')
    return str(path)


def test_a_topic_verifies_live_and_as_an_export(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """The same events, alone and against the log; by the command, too."""
    produced(kafka_settings, RAWS)
    write_log(tmp_path / "log", RAWS)
    export = tmp_path / "events.export"
    found = topic_records(kafka_settings, [kafka_settings.topics.events])
    with export.open("wb") as file:
        assert write_export(file, found.spans, found.records) == 300
    live = verified(Sources(log=tmp_path / "log", broker=kafka_settings))["kafka"]
    kept = verified(Sources(log=tmp_path / "log", export=export))["kafka"]
    assert (live.finding, live.events, live.vouched) == (kept.finding, kept.events, kept.vouched) == (None, 300, 300)
    arguments = ["verify", "--kafka", "--config", config(tmp_path, kafka_settings), "--data-dir", str(tmp_path)]
    assert run([*arguments, "--log", str(tmp_path / "log")]) == 0


def test_an_event_that_is_missing_in_a_topic_is_named(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """And one that was there twice is counted."""
    produced(kafka_settings, [*RAWS[:99], *RAWS[100:], *RAWS[290:]])
    (report,) = verify(Sources(broker=kafka_settings), LATER, lambda _: lambda done, total: None)
    assert report.finding is not None and (report.finding.what, report.finding.seq) == ("dropped", 100)
    assert (report.events, report.copies) == (299, 10)


def test_a_topic_is_read_up_to_where_it_ended(kafka_settings: KafkaSettings) -> None:
    """Records that come meanwhile are not waited for; one is fetched by its place."""
    produced(kafka_settings, RAWS[:50])
    found = topic_records(kafka_settings, [kafka_settings.topics.events])
    produced(kafka_settings, RAWS[50:60])
    taken = list(found.records)
    assert found.total == len(taken) == 50
    assert {record.value for record in taken} == set(RAWS[:50])
    again = one_record(kafka_settings, kafka_settings.topics.events, taken[7].partition, taken[7].offset)
    assert again is not None and again.value == taken[7].value
    assert CODEC.place_of(again.value or b"")[0] == "p1"


def test_an_export_of_the_command_is_whole(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    """`airlock kafka export`, then `airlock verify --kafka-export`."""
    produced(kafka_settings, RAWS)
    file = tmp_path / "e.export"
    assert run(["kafka", "export", "--config", config(tmp_path, kafka_settings), "-o", str(file)]) == 0
    with file.open("rb") as opened:
        assert len(list(read_export(opened).records)) == 300
    assert run(["verify", "--kafka-export", str(file)]) == 0
