"""The parts that tie a decision service to others: the shared key, the relay's state, the counters of one machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from airlock.backbone import RelayWatch
from airlock.compose import digest_key
from airlock.settings import Settings
from decision.config import ServiceSettings
from decision.model.errors import SettingsError
from ingest.board import STALE, CounterBoard, poll_counters
from ingest.counters import COUNTERS, Counters, write_counters
from ingest.relay_status import RelayState, RelayStatus, write_relay_status
from tests.support.eventually import eventually_async
from tests.support.service import SetClock

NOW = 1_800_000_000 * 10**9
WHO = ("https://idp", "alice")


def settings(folder: Path, key: Path | None = None) -> Settings:
    return Settings(data_dir=folder, decision=ServiceSettings(digest_key_file=key))


def test_services_can_share_a_digest_key(tmp_path: Path) -> None:
    """Without the setting each makes its own; with it both have what stands in the file."""
    assert digest_key(settings(tmp_path / "one")) != digest_key(settings(tmp_path / "two"))
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    assert {digest_key(settings(tmp_path / name, key)) for name in ("one", "two")} == {b"k" * 32}


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), (b"short", "not a key of 32 bytes")])
def test_a_shared_key_is_never_made_up(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A missing or broken file is an error that names setting or file, not a new key."""
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(SettingsError, match=said):
        digest_key(settings(tmp_path / "one", key))


@pytest.mark.parametrize(
    ("changes", "ready"),
    [
        ({}, True),
        ({"lag_s": 1.9}, True),
        ({"lag_s": 2.1}, False),
        ({"state": RelayState.AWAY}, False),
        ({"state": RelayState.STARTING}, False),
        ({"state": RelayState.REFUSED}, False),
        ({"time_unix_nano": NOW - 5 * 10**9}, False),
    ],
)
def test_a_relay_is_ready_while_it_runs_and_keeps_up(tmp_path: Path, changes: dict[str, object], ready: bool) -> None:
    """By its own newest word; an old one is none."""
    status = RelayStatus(1, NOW, RelayState.RUNNING, NOW, 10, 10, 0, 0.0, 0, 0, 0)
    watch = RelayWatch(tmp_path, SetClock(NOW), 2.0)
    write_relay_status(tmp_path, replace(status, **changes))  # type: ignore[arg-type]
    assert watch.ready() is ready


def test_a_relay_that_never_spoke_is_not_ready(tmp_path: Path) -> None:
    """And is found ready a moment after it speaks."""
    clock = SetClock(NOW)
    watch = RelayWatch(tmp_path, clock, 2.0)
    assert not watch.ready()
    write_relay_status(tmp_path, RelayStatus(1, NOW, RelayState.RUNNING, NOW, 10, 10, 0, 0.0, 0, 0, 0))
    clock.move(0.3)
    assert watch.ready()


def counted(rows: int, until: int = NOW + 10**12, who: tuple[str, str] = WHO) -> Counters:
    return Counters(who, NOW, (("rows_out_today", rows, until),))


async def test_the_file_of_one_machine_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No file: nobody did anything. Then what it says; while it can't be read, what it said last, until that is too
    old."""
    clock = SetClock(NOW)
    board = CounterBoard(clock, stale_s=60)
    assert board.of(WHO, NOW) == STALE
    task = asyncio.create_task(poll_counters(board, tmp_path, clock))

    async def says(figures: object) -> None:
        async def so() -> bool:
            return board.of(WHO, NOW) == figures

        await eventually_async(so)

    await says(())
    write_counters(tmp_path, [counted(5)])
    await says((("rows_out_today", 5),))
    write_counters(tmp_path, [counted(6)])
    await says((("rows_out_today", 6),))
    (tmp_path / COUNTERS).write_text("{")

    async def complained() -> bool:
        return "counters can't be read" in caplog.text

    await eventually_async(complained)
    assert board.of(WHO, NOW) == (("rows_out_today", 6),)
    clock.move(61)
    assert board.of(WHO, NOW) == STALE
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_figure_ends_with_its_window() -> None:
    """One after the other, and the same object in between."""
    board = CounterBoard(SetClock(NOW))
    board.complete(NOW)
    board.take([Counters(WHO, NOW, (("denials_10m", 2, NOW + 10), ("rows_out_today", 5, NOW + 20)))])
    both = board.of(WHO, NOW)
    assert both == (("denials_10m", 2), ("rows_out_today", 5))
    assert board.of(WHO, NOW + 9) is both
    assert board.of(WHO, NOW + 10) == (("rows_out_today", 5),)
    assert board.of(WHO, NOW + 20) == ()


def test_principals_whose_windows_are_over_are_forgotten() -> None:
    """What is held does not grow with everyone who was ever seen."""
    board = CounterBoard(SetClock(NOW))
    board.take(counted(1, until=NOW - 1, who=("i", str(number))) for number in range(1_100))
    board.take([counted(1)])
    (held,) = [one.value for one in board.samples() if one.name == "counters_principals"]
    assert held < 100
