"""What leaves the journal: only what all have taken and the rules let go, from the oldest on; approvals stay known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.journal import frames
from decision.journal.pruning import PruneRules, PruneWish, ReplayReader, chosen
from decision.journal.reader import SqliteJournalReader
from decision.journal.rows import Row
from decision.journal.settings import PAGE_BYTES, JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.verify import verify_journal
from decision.model.errors import ChainBroken
from decision.wire.envelope import APPROVALS, about
from tests.support.journal_load import CODEC, SMALL, append, draft, fill

NS = 1_000_000_000
DAY = 86_400.0
FIRST = draft(0).time_unix_nano
NONE = PruneRules(keep_s=10 * DAY, keep_bytes=1 << 30)


def wish(rules: PruneRules, through: int = 10**9, later_s: float = 0.0) -> PruneWish:
    return PruneWish(rules, through, FIRST + int(later_s * NS), CODEC, about)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    opened = SqliteJournal.open(tmp_path, producer_id="node-1", codec=CODEC, settings=SMALL)
    yield opened
    await opened.close()


async def everything(journal: SqliteJournal, asked: PruneWish) -> int:
    gone = 0
    while some := await journal.prune_oldest(asked):
        gone += some
    return gone


def stored(sizes_and_ages: Sequence[tuple[int, float]], now: int) -> list[Row]:
    """Rows of one event each: (bytes of its text, age in seconds)."""
    rows: list[Row] = []
    for seq, (size, age_s) in enumerate(sizes_and_ages, 1):
        one = draft(1)
        raw = CODEC.encode(
            type(one)(one.id, now - int(age_s * NS), "s" * size, "c", one.payload), "node-1", 1, seq, bytes(32)
        )
        rows.append((seq, seq, 1, bytes(32), frames.pack([raw])))
    return rows


@given(
    st.lists(st.tuples(st.integers(0, 1_000), st.floats(0, 20)), max_size=30),
    st.integers(0, 35),
    st.floats(0, 20),
    st.integers(0, 20_000),
)
def test_what_goes_is_the_longest_run_of_old_batches_that_the_rules_allow(
    batches: list[tuple[int, float]], through: int, keep_s: float, keep_bytes: int
) -> None:
    """Nothing beyond what all have taken; each that goes is too old, or too much; the first that stays is neither."""
    now = 2 * FIRST
    rows = stored(batches, now)
    used = sum(len(row[4]) for row in rows)
    asked = PruneWish(PruneRules(keep_s, keep_bytes), through, now, CODEC, about)
    going = chosen(rows, used, asked)
    assert going == rows[: len(going)]
    left = used
    for row, (_, age_s) in zip(rows, batches, strict=True):
        allowed = row[0] <= through and (left > keep_bytes or age_s + 1e-6 >= keep_s)
        if row in going:
            assert allowed
            left -= len(row[4])
        else:
            assert not (row[0] <= through and (left > keep_bytes or age_s - 1e-6 > keep_s))
            break


async def test_nothing_that_somebody_lacks_goes(journal: SqliteJournal) -> None:
    """However old and however much, the journal keeps what one of its readers has not taken."""
    for start in range(0, 100, 10):
        await append(journal, [draft(number) for number in range(start, start + 10)])
    rules = PruneRules(keep_s=0.0, keep_bytes=0)
    assert await everything(journal, wish(rules, through=35, later_s=DAY)) == 30
    assert await everything(journal, wish(rules, through=0, later_s=DAY)) == 0
    assert await everything(journal, wish(rules, through=100, later_s=DAY)) == 70
    assert journal.stats().events == 0


async def test_what_is_neither_old_nor_much_stays(journal: SqliteJournal, tmp_path: Path) -> None:
    """Age and size are counted from the rules; the chain goes on and verifies from where it begins now."""
    for start in range(0, 200, 10):
        await append(journal, [draft(number) for number in range(start, start + 10)])
    assert await everything(journal, wish(NONE, later_s=DAY)) == 0
    aged = PruneRules(keep_s=0.1, keep_bytes=1 << 30)
    assert await everything(journal, wish(aged, later_s=0.15)) == 60  # an event each millisecond
    database = apsw.Connection(str(tmp_path / "journal.db"))
    pages = database.pragma("page_count") - database.pragma("freelist_count")
    database.close()
    much = PruneRules(keep_s=10 * DAY, keep_bytes=pages * PAGE_BYTES * 3 // 4)
    assert 0 < await everything(journal, wish(much)) < 140
    await append(journal, [draft(200)])


def test_a_pruned_journal_verifies_and_opens_again(tmp_path: Path) -> None:
    """After a step the rest continues the place kept, also for whoever opens it next."""
    fill(tmp_path, range(2_000))

    async def prune() -> None:
        opened = SqliteJournal.open(tmp_path, producer_id="node-1", codec=CODEC, settings=SMALL)
        assert await everything(opened, wish(PruneRules(0.0, 0, APPROVALS, DAY), through=1_500)) == 1_500
        await opened.close()

    asyncio.run(prune())
    assert verify_journal(tmp_path, CODEC).events == 500
    assert fill(tmp_path, range(2_000, 2_010))[0].seq == 1_501


async def test_approvals_are_still_replayed_while_they_live(journal: SqliteJournal, tmp_path: Path) -> None:
    """Moved aside with the statements that left, they come first; older ones are forgotten."""
    await append(journal, [draft(number) for number in range(500)])
    before = SqliteJournalReader(tmp_path, CODEC).read(0, 1_000)
    wanted = [event for event in before if type(event.payload).__name__.startswith("Approval")]
    rules = PruneRules(0.0, 0, APPROVALS, kept_s=1.0)
    assert await everything(journal, wish(rules, later_s=0.5)) == 500
    await append(journal, [draft(number) for number in range(500, 510)])

    def replayed() -> list[int]:
        reader, after, found = ReplayReader(tmp_path, CODEC), 0, []
        while events := reader.read(after, 7):
            found += [event.seq for event in events]
            after = events[-1].seq
        reader.close()
        return found

    assert replayed() == [event.seq for event in wanted] + list(range(501, 511))
    assert ReplayReader(tmp_path, CODEC).read(0, 1_000)[: len(wanted)] == wanted
    assert await everything(journal, wish(rules, later_s=2.0)) == 10
    assert replayed() == []


async def test_a_changed_kept_approval_is_refused(journal: SqliteJournal, tmp_path: Path) -> None:
    """What was moved aside is vouched for by the chain's hash, as in the journal."""
    await append(journal, [draft(number) for number in range(100)])
    assert await everything(journal, wish(PruneRules(0.0, 0, APPROVALS, DAY))) == 100
    database = apsw.Connection(str(tmp_path / "journal.db"))
    raws = [raw for (raw,) in database.execute("SELECT raw FROM kept")]
    raws = [raw.replace(b"bob", b"eve") for raw in raws]
    database.executemany("UPDATE kept SET raw = ? WHERE seq = ?", [(raw, CODEC.place_of(raw)[2]) for raw in raws])
    database.close()
    with pytest.raises(ChainBroken, match="was changed"):
        ReplayReader(tmp_path, CODEC).read(0, 10)


async def test_appends_go_on_between_the_steps(journal: SqliteJournal) -> None:
    """A long pruning does not hold up who appends meanwhile."""
    for number in range(600):
        await append(journal, [draft(number)])
    pruning = asyncio.create_task(everything(journal, wish(PruneRules(0.0, 0))))
    appended = 0
    while not pruning.done():
        await journal.append(draft(600 + appended))
        appended += 1
    assert pruning.result() >= 600
    assert appended > 1


def test_a_small_quota_takes_what_is_kept_down_with_it() -> None:
    """What stays must be less than the quota, or pruning would come too late."""
    assert JournalSettings(quota_bytes=1 << 20).kept_bytes == 1 << 19
    assert JournalSettings(quota_bytes=1 << 20, keep_bytes=1 << 18).kept_bytes == 1 << 18
    with pytest.raises(ValueError, match="seven eighths"):
        JournalSettings(quota_bytes=1 << 20, keep_bytes=1 << 20)
