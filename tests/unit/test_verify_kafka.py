"""What a topic and its export have: offsets, partitions, repetitions, an end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airlock.verification import Sources
from ingest.kafka_export import Span, read_export, write_export
from tests.support.verify_run import run, said
from tests.support.verify_stores import (
    CODEC,
    START,
    TOPIC,
    Stores,
    chained,
    encoded,
    history,
    make_stores,
    payload,
    records,
    write_kafka,
)
from tests.support.verify_tamper import copied

COUNT = 600


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores") / "data", history(COUNT))


@pytest.fixture
def stores(whole: Stores, tmp_path: Path) -> Stores:
    return copied(whole, tmp_path / "data")


def test_a_hole_in_the_offsets_is_named_with_its_event(stores: Stores) -> None:
    """A record that was deleted leaves both."""
    found = records(stores.raws)
    gone = found.pop(100)
    write_kafka(stores.export, found)
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and finding.what == "dropped"
    assert finding.seq == CODEC.place_of(gone.value or b"")[2]
    assert finding.where == f"partition {gone.partition}, offset {gone.offset}"


def test_a_topic_whose_beginning_was_deleted_is_not_whole(stores: Stores) -> None:
    """Retention on the events topic is a loss."""
    found = [record for record in records(stores.raws) if record.partition or record.offset >= 10]
    spans = {TOPIC: {0: Span(10, 10), 1: Span(0, 0), 2: Span(0, 0)}}
    for record in found:
        span = spans[TOPIC][record.partition]
        spans[TOPIC][record.partition] = Span(span.begin, record.offset + 1)
    with stores.export.open("wb") as file:
        write_export(file, spans, found)
    assert said(run(Sources(export=stores.export))["kafka"]).startswith("dropped")


def test_a_record_without_a_value_is_named(stores: Stores) -> None:
    """A tombstone is no event."""
    found = records(stores.raws)
    seq = CODEC.place_of(found[50].value or b"")[2]
    found[50] = found[50]._replace(value=None)
    write_kafka(stores.export, found)
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and (finding.what, finding.seq) == ("edited", seq)


@pytest.mark.parametrize("keep", [0, 10, 60, 200, 20_000, -1])
def test_a_cut_export_is_truncated(keep: int, stores: Stores) -> None:
    """Wherever it ends; its header says what it should hold."""
    stores.export.write_bytes(stores.export.read_bytes()[:keep])
    finding = run(Sources(export=stores.export))["kafka"].finding
    assert finding is not None and finding.what == ("edited" if 0 <= keep < 100 else "truncated")


def test_events_delivered_again_are_counted(stores: Stores) -> None:
    """At least once: a relay that was killed sends a part again."""
    found = records(stores.raws)
    last = [record for record in found if record.partition == 2]
    again = [one._replace(offset=last[-1].offset + 1 + n) for n, one in enumerate(last[-20:])]
    write_kafka(stores.export, [*found, *again])
    report = run(Sources(log=stores.log, export=stores.export))["kafka"]
    assert (report.finding, report.events, report.copies, report.vouched) == (None, COUNT, 20, COUNT)


def test_an_event_on_its_way_is_no_finding(stores: Stores, tmp_path: Path) -> None:
    """One partition was read a moment before the other: the hole is seconds old, and said."""
    raws, head = [], bytes(32)
    for seq in range(1, 101):
        draft = replace(CODEC.decode(encoded(seq, payload(seq), "p1", 1, seq, head))[0], time_unix_nano=START + seq)
        raws.append(CODEC.encode(draft, "p1", 1, seq, head))
        head = chained(raws[-1])
    kept = [raw for raw in raws if CODEC.place_of(raw)[2] != 97]
    write_kafka(stores.export, records(kept))
    report = run(Sources(export=stores.export))["kafka"]
    assert report.good and report.notes == ("1 holes of the last minute: their events are on their way",)


def test_an_export_reads_as_it_was_written(stores: Stores) -> None:
    """Every record, with keys and nulls."""
    found = records(stores.raws)
    found[3] = found[3]._replace(key=None)
    write_kafka(stores.export, found)
    with stores.export.open("rb") as file:
        export = read_export(file)
        assert list(export.records) == found
    assert export.total == COUNT
