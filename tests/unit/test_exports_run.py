"""An export goes on where it was, loses nothing, and knows what it repeats."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from airlock.commands.export import export
from airlock.main import cli
from analytics.exports.context import Contexts
from analytics.exports.reading import CatalogSource, JournalSource
from analytics.exports.run import Cursor, Export, ExportFailed, opened
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.journal.sqlite import SqliteJournal
from decision.model.errors import SettingsError
from decision.model.events import AlertRaised, AuditEvent, EventDraft
from tests.support.analytics_story import CODEC, START, story
from tests.support.eventually import eventually
from tests.support.ocsf_schema import problems
from tests.support.otlp import collector
from tests.support.service import SetClock

STORY = story(6)


def write_journal(data_dir: Path, events: Sequence[AuditEvent]) -> None:
    """Events with times, ids and payloads of the story, in the journal of `data_dir`."""

    async def write() -> None:
        journal = SqliteJournal.open(data_dir / "journal", producer_id="p1", codec=CODEC)
        for event in events:
            await journal.append(event.draft)
        await journal.close()

    (data_dir / "journal").mkdir(parents=True, exist_ok=True)
    asyncio.run(write())


def store(data_dir: Path, *parts: Sequence[AuditEvent]) -> None:
    """Publish them, part by part."""
    with AnalyticsStore(data_dir / FOLDER, SystemClock(), Uuid7Source()) as opened_store:
        for number, events in enumerate(parts, 1):
            opened_store.apply(list(events), {f"part-{id(parts)}": number})
        opened_store.publish()


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    write_journal(tmp_path, STORY)
    return tmp_path


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, ["--data-dir", str(data_dir), *arguments], catch_exceptions=False)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ids(events: Sequence[AuditEvent]) -> list[str]:
    return [event.draft.id for event in events]


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_is_read_in_order_from_any_position(journal_dir: Path) -> None:
    source = JournalSource(journal_dir / "journal", CODEC)
    first, _ = source.read(5)
    again = JournalSource(journal_dir / "journal", CODEC, source.position)
    rest, unread = again.read(1_000)
    assert ids([*first, *rest]) == ids(STORY)
    assert (again.position, unread) == (f"journal:{len(STORY)}", [])
    assert ids(again.before(3)) == ids(STORY[-3:])
    assert again.read(10) == ([], [])


@pytest.mark.parametrize("place", [0, 1, 20, len(STORY) - 1])
def test_a_journal_is_sought_by_time(journal_dir: Path, place: int) -> None:
    source = JournalSource(journal_dir / "journal", CODEC)
    source.seek(STORY[place].draft.time_unix_nano)
    assert ids(source.read(1_000)[0]) == ids(STORY[place:])


def test_a_time_after_everything_begins_at_the_end(journal_dir: Path) -> None:
    source = JournalSource(journal_dir / "journal", CODEC)
    source.seek(1 << 62)
    assert source.position == f"journal:{len(STORY)}"


def test_the_store_is_read_as_far_as_nothing_is_missing(tmp_path: Path) -> None:
    """Events arrive out of order there; what comes later fills the gap, and is read in its place."""
    clock = SetClock(1)
    store(tmp_path, STORY[:4], STORY[6:])
    source = CatalogSource(tmp_path, CODEC, clock)
    assert ids(source.read(1_000)[0]) == ids(STORY[:4])
    assert source.read(1_000) == ([], [])
    store(tmp_path, STORY[4:6])
    rest = [*source.read(1_000)[0], *source.read(1_000)[0]]
    assert ids(rest) == ids(STORY[4:])


def test_a_gap_that_stays_is_passed_and_said(tmp_path: Path) -> None:
    """What is lost must not hold up the rest."""
    clock, said = SetClock(1), []
    store(tmp_path, STORY[:4], STORY[6:])
    source = CatalogSource(
        tmp_path, CODEC, clock, patience_s=60, on_gap=lambda producer, first, last: said.append((producer, first, last))
    )
    source.read(1_000)
    assert source.read(1_000) == ([], [])
    clock.move(61)
    assert ids(source.read(1_000)[0]) == ids(STORY[6:])
    assert said == [("p1", 5, 6)]


def test_several_producers_have_a_position_each(tmp_path: Path) -> None:
    other = [recoded(event, "p2", seq) for seq, event in enumerate(STORY[:5], 1)]
    store(tmp_path, STORY, other)
    source = CatalogSource(tmp_path, CODEC, SetClock(1))
    source.read(3)
    assert source.position == "catalog:p1=3;p2=3"
    again = CatalogSource(tmp_path, CODEC, SetClock(1), source.position)
    assert len(again.read(1_000)[0]) == len(STORY) - 3 + 2
    assert ids(again.before(2)) == ids(sorted([*STORY[-2:], *other[-2:]], key=lambda one: one.draft.time_unix_nano))


def recoded(event: AuditEvent, producer: str, seq: int) -> AuditEvent:
    draft = replace(event.draft, id=f"{producer}-{seq}")
    return replace(event, draft=draft, producer_id=producer, seq=seq, raw=CODEC.encode(draft, producer, 1, seq, b""))


def test_alerts_are_read_by_their_time_and_once(tmp_path: Path) -> None:
    """They stand in no chain; raised again they are another record of the same alert."""
    store(tmp_path, STORY)
    source = CatalogSource(tmp_path, CODEC, SetClock(1))
    assert len(source.read(1_000)[0]) == len(STORY)
    add_alert(tmp_path, START + 10**9)
    (found,) = source.read(1_000)[0]
    assert isinstance(found.payload, AlertRaised)
    assert (found.payload.alert_id, found.payload.evidence) == ("a1", (("rows", "7"),))
    assert source.read(1_000)[0] == []
    add_alert(tmp_path, START + 2 * 10**9)
    assert [one.draft.time_unix_nano for one in source.read(1_000)[0]] == [START + 2 * 10**9]
    assert source.position.endswith(f";~alerts={START + 2 * 10**9}")
    assert [one.draft.id for one in CatalogSource(tmp_path, CODEC, SetClock(1), source.position).read(9)[0]] != []


def add_alert(data_dir: Path, time: int) -> None:
    alert = AlertRaised("a1", "enumeration", "high", "Many rows", START, time, "alice", "i", "shop", (("rows", "7"),))
    draft = EventDraft(f"alert-{time}", time, "detections", "a1", alert)
    event = AuditEvent(draft, "x", 1, time % 1000 + 1, b"", b"", CODEC.encode(draft, "x", 1, time % 1000 + 1, b""))
    with AnalyticsStore(data_dir / FOLDER, SystemClock(), Uuid7Source()) as opened_store:
        opened_store.apply([], {f"alerts-{time}": 1}, alerts=[event])
        opened_store.publish()


@pytest.mark.parametrize("text", ["journal:x", "journal:-1", "catalog:1", "12", ":"])
def test_what_is_no_position_is_refused(journal_dir: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="no position"):
        JournalSource(journal_dir / "journal", CODEC, text)


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Kept:
    """A receiver that fails so many times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[AuditEvent] = []

    def write(self, events: Sequence[AuditEvent]) -> None:
        if self.failures:
            self.failures -= 1
            raise ExportFailed("not now")
        self.got += events


def test_the_position_is_kept_only_behind_what_was_taken(journal_dir: Path) -> None:
    """A receiver that fails gets the same again."""
    cursor, sink = Cursor(journal_dir / "c"), Kept(failures=1)
    with pytest.raises(ExportFailed):
        Export(JournalSource(journal_dir / "journal", CODEC), sink, Contexts(), cursor).run(lambda _: False)
    assert cursor.read() == ""
    Export(JournalSource(journal_dir / "journal", CODEC, cursor.read()), sink, Contexts(), cursor).run(lambda _: False)
    assert ids(sink.got) == ids(STORY)
    assert cursor.read() == f"journal:{len(STORY)}"


def test_a_patient_export_tries_again_and_stops_when_told(journal_dir: Path) -> None:
    waits: list[float] = []

    def waited(seconds: float) -> bool:
        waits.append(seconds)
        return False

    sink = Kept(failures=3)
    Export(JournalSource(journal_dir / "journal", CODEC), sink, Contexts(), patient=True).run(waited)
    assert ids(sink.got) == ids(STORY)
    assert [wait for wait in waits if wait] == [0.5, 1.0, 2.0]
    stuck = Kept(failures=10**9)
    Export(JournalSource(journal_dir / "journal", CODEC), stuck, Contexts(), patient=True).run(lambda wait: wait > 5)
    assert stuck.got == []


def test_a_line_that_a_kill_cut_off_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b'{"a":1}\n{"b":' + b"x" * 200_000)
    with opened(path) as file:
        file.write(b'{"c":1}\n')
    assert path.read_bytes() == b'{"a":1}\n{"c":1}\n'
    path.write_bytes(b"cut off from the first")
    opened(path).close()
    assert path.read_bytes() == b""
    with opened(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"position": 1}'])
def test_a_file_that_is_no_cursor_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(SettingsError, match="no cursor"):
        Cursor(tmp_path / "c").read()


def test_two_exports_can_not_share_a_cursor(tmp_path: Path) -> None:
    with (
        Cursor(tmp_path / "c").held(),
        pytest.raises(SettingsError, match="another export"),
        Cursor(tmp_path / "c").held(),
    ):
        pass


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ocsf_lines_are_valid_and_complete(journal_dir: Path) -> None:
    result = run(journal_dir, "--format", "ocsf")
    records = lines(result.stdout)
    assert [record["metadata"]["uid"] for record in records] == ids(STORY)
    assert [problem for record in records for problem in problems(record)] == []
    assert f"{len(STORY)} events; go on with --after 'journal:{len(STORY)}'" in result.stderr


def test_times_choose_and_positions_go_on(journal_dir: Path) -> None:
    day = lines(run(journal_dir, "--format", "jsonl", "--from", "2026-09-21", "--to", "2026-09-22").stdout)
    assert [one["id"] for one in day] == ids(STORY)
    assert run(journal_dir, "--format", "jsonl", "--to", "2026-09-21").stdout == ""
    assert run(journal_dir, "--format", "jsonl", "--from", "2026-09-22").stdout == ""
    tail = lines(run(journal_dir, "--format", "jsonl", "--after", "journal:40").stdout)
    assert [one["seq"] for one in tail] == ["41", "42"]


def test_a_restarted_export_says_of_an_execution_what_went_before(journal_dir: Path) -> None:
    """The same record as in one go: what it refers to is read again."""
    whole = lines(run(journal_dir, "--format", "ocsf").stdout)
    for position in range(1, len(STORY), 5):
        rest = lines(run(journal_dir, "--format", "ocsf", "--after", f"journal:{position}").stdout)
        assert rest == whole[position:]


def test_a_cursor_goes_on_with_what_is_new(tmp_path: Path) -> None:
    write_journal(tmp_path, STORY[:14])
    out, cursor = tmp_path / "out.jsonl", tmp_path / "cursor"
    arguments = ("--format", "cloudevents", "--cursor", str(cursor), "-o", str(out))
    run(tmp_path, *arguments)
    run(tmp_path, *arguments)
    write_journal(tmp_path, STORY[14:])
    run(tmp_path, *arguments)
    assert [one["id"] for one in lines(out.read_text())] == ids(STORY)


def test_the_store_is_preferred_where_there_is_one(journal_dir: Path) -> None:
    store(journal_dir, STORY[:7])
    assert len(lines(run(journal_dir, "--format", "jsonl").stdout)) == 7
    assert len(lines(run(journal_dir, "--format", "jsonl", "--source", "journal").stdout)) == len(STORY)
    assert len(lines(run(journal_dir, "--format", "jsonl", "--after", "journal:40").stdout)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "otel", "-o", "x"), "-o is for lines"),
        (("--format", "ocsf", "--after", "journal:1", "--cursor", "CURSOR"), "give one of them"),
        (("--format", "ocsf", "--from", "yesterday"), "is no time"),
        (("--format", "ocsf", "-o", "/no/such/folder/x"), "can't be written"),
        (("--format", "ocsf", "--data-dir", "EMPTY"), "no events"),
    ],
)
def test_mistakes_are_said_with_the_way_out(
    journal_dir: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (journal_dir / "cursor").write_text('{"position": "journal:1"}')
    (journal_dir / "empty").mkdir()
    given = [
        {"CURSOR": str(journal_dir / "cursor"), "EMPTY": str(journal_dir / "empty")}.get(one, one) for one in arguments
    ]
    done = subprocess.run(
        [sys.executable, "-m", "airlock.main", "export", "--data-dir", str(journal_dir), *given],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert said in done.stderr and "Traceback" not in done.stderr


def test_opentelemetry_is_sent_and_repeated_safely(journal_dir: Path) -> None:
    """A collector that was away gets everything; from the beginning again, the same ids."""
    with collector() as receiver:
        receiver.refuse = 1
        arguments = ("--format", "otel", "--otlp", receiver.address)
        result = run(journal_dir, *arguments)
        assert f"{len(STORY)} events" in result.stderr
        first = sorted(one.span_id for one in receiver.spans), sorted(str(one) for one in receiver.logs)
        receiver.requests.clear()
        run(journal_dir, *arguments)
        assert (sorted(one.span_id for one in receiver.spans), sorted(str(one) for one in receiver.logs)) == first
    assert len(first[1]) == len(STORY)


@pytest.fixture
def following(journal_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, list[str]]]:
    out = journal_dir / "out.jsonl"
    command = [
        sys.executable, "-m", "airlock.main", "export", "--data-dir", str(journal_dir), "--format", "ocsf", "--follow",
        "--cursor", str(journal_dir / "cursor"), "-o", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    yield process, out, command
    process.kill()
    process.wait()


def test_following_survives_kills_and_ends_when_told(
    journal_dir: Path, following: tuple[subprocess.Popen[bytes], Path, list[str]]
) -> None:
    """kill -9 loses nothing; what it repeats is known by its id; SIGTERM ends it at once."""
    process, out, command = following

    def seen() -> set[str]:
        text = out.read_text() if out.exists() else ""
        return {record["metadata"]["uid"] for record in lines(text[: text.rfind("\n") + 1])}

    eventually(lambda: len(seen()) == len(STORY), 30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    more = story(8)[len(STORY) :]
    write_journal(journal_dir, more)
    again = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        eventually(lambda: len(seen()) == len(STORY) + len(more), 30)
        again.send_signal(signal.SIGTERM)
        _, said = again.communicate(timeout=20)
    finally:
        again.kill()
    assert again.returncode == 0
    assert b"go on with --after" in said


def test_a_reader_that_has_seen_enough_ends_it_quietly(journal_dir: Path) -> None:
    """As with `| head -1`."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "airlock.main", "export", "--data-dir", str(journal_dir), "--format", "ocsf"]
    os.close(reading)
    process = subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, b"Traceback" in said) == (1, False)


def test_the_command_is_listed() -> None:
    assert "export" in CliRunner().invoke(cli, ["--help"]).stdout
    assert threading.active_count() >= 1
