"""Where a relay goes on, and when it must not; the status that others read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from decision.journal.chain import GENESIS, Head
from decision.model.errors import RelayRefused
from ingest.relay_cursor import CursorFile, RelayCursor, RelayTarget, begin_at, relayed_seq
from ingest.relay_status import RelayState, RelayStatus, read_relay_status, samples_of, write_relay_status

TARGET = RelayTarget("cluster-1", (("a.events.v1", "id-1", 3), ("a.approvals.v1", "id-2", 3)))
CURSOR = RelayCursor("node-1", 10, b"\x0a" * 32, TARGET)
START = Head()


def test_a_journal_that_was_never_relayed_begins_where_it_begins() -> None:
    """Also one that was pruned while it had no relay."""
    assert begin_at(None, "node-1", START, 5, None, TARGET) == RelayCursor("node-1", 0, GENESIS, TARGET)
    base = Head(7, b"\x07" * 32, 1)
    assert begin_at(None, "node-1", base, 9, None, TARGET) == RelayCursor("node-1", 7, base.hash, TARGET)


def test_the_same_journal_and_topics_go_on_at_the_cursor() -> None:
    """Whether or not everything before it was pruned."""
    assert begin_at(CURSOR, "node-1", START, 20, CURSOR.hash, TARGET) == CURSOR
    assert begin_at(CURSOR, "node-1", Head(10, CURSOR.hash, 1), 10, CURSOR.hash, TARGET) == CURSOR


@pytest.mark.parametrize(
    ("producer", "base", "head", "found", "target", "said"),
    [
        ("node-2", START, 20, CURSOR.hash, TARGET, "producer 'node-2'"),
        ("node-1", START, 9, None, TARGET, "restored from a backup"),
        ("node-1", Head(11, b"", 1), 20, None, TARGET, "events 11 to 11 were pruned"),
        ("node-1", START, 20, b"\x0b" * 32, TARGET, "exchanged or changed"),
        ("node-1", START, 20, CURSOR.hash, replace(TARGET, cluster_id="cluster-2"), "another Kafka cluster"),
        ("node-1", START, 20, CURSOR.hash, replace(TARGET, topics=(("a.events.v1", "id-9", 3), TARGET.topics[1])),
         "deleted and made again"),
        ("node-1", START, 20, CURSOR.hash, replace(TARGET, topics=(("a.events.v1", "id-1", 6), TARGET.topics[1])),
         "had 3 partitions and has 6"),
        ("node-1", START, 20, CURSOR.hash, replace(TARGET, topics=(("b.events.v1", "id-1", 3), TARGET.topics[1])),
         "b.events.v1 is another"),
    ],
)  # fmt: skip
def test_what_would_hide_something_is_refused(
    producer: str, base: Head, head: int, found: bytes | None, target: RelayTarget, said: str
) -> None:
    """Each error says what is different and what to do."""
    with pytest.raises(RelayRefused, match=said) as refused:
        begin_at(CURSOR, producer, base, head, found, target)
    assert refused.value.hint


def test_a_cursor_is_kept_as_a_whole(tmp_path: Path) -> None:
    """What was saved is what is loaded; a file that is none is refused, and counts as nothing relayed for pruning."""
    file = CursorFile(tmp_path)
    assert file.load() is None
    file.save(CURSOR)
    assert file.load() == CURSOR
    assert relayed_seq(tmp_path) == 10
    file.path.write_text(file.path.read_text()[:40])
    with pytest.raises(RelayRefused, match="can't be understood"):
        file.load()
    assert relayed_seq(tmp_path) == 0


def test_the_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And nothing is read from what another version wrote."""
    status = RelayStatus(1, 2, RelayState.AWAY, 3, 20, 10, 10, 1.5, 7, 8, 9, "away", "wait")
    write_relay_status(tmp_path, status)
    assert read_relay_status(tmp_path) == status
    (tmp_path / "relay.status.json").write_text('{"state": "elsewhere"}')
    assert read_relay_status(tmp_path) is None
    assert {sample.name: sample.value for sample in samples_of(status) if not sample.labels} == {
        "relay_lag_events": 10, "relay_lag_seconds": 1.5, "relay_position": 10, "relay_sent_events": 7,
        "relay_sent_bytes": 8, "relay_errors": 9,
    }  # fmt: skip
    assert [one.labels[0][1] for one in samples_of(status) if one.labels and one.value] == ["away"]
