"""A full disk, a used-up quota, a file-size limit: appends are refused, nothing crashes, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.verify import verify_journal
from decision.model.errors import AirlockError, JournalFull, JournalPoisoned
from decision.model.events import AuditEvent
from decision.wire.events import ProtobufEventCodec
from tests.simulation.events import draft

CODEC = ProtobufEventCodec()
SMALL = JournalSettings(
    checkpoint_pages=16, ballast_bytes=256 * 1024, min_free_bytes=256 * 1024, recheck_s=0.02, wal_limit_bytes=64 * 1024
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    ) if Path("/bin/mount").exists() else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("no permission to mount a small file system; the file-size limit below is tested instead")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


async def append_until_refused(journal: SqliteJournal, first: int) -> tuple[list[AuditEvent], AirlockError]:
    events: list[AuditEvent] = []
    for number in range(first, first + 100_000):
        try:
            events.append(await journal.append(draft(number, 2_000)))
        except AirlockError as error:
            return events, error
    raise AssertionError("never refused")


async def append_when_there_is_room(journal: SqliteJournal, number: int) -> AuditEvent:
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        try:
            return await journal.append(draft(number))
        except JournalFull:
            assert asyncio.get_running_loop().time() < deadline, "did not recover"
            await asyncio.sleep(0.01)


def assert_stored(folder: Path, acknowledged: list[AuditEvent]) -> None:
    verify_journal(folder, CODEC)
    reader = SqliteJournalReader(folder, CODEC)
    for event in acknowledged:
        assert reader.read(event.seq - 1, 1) == [event]
    reader.close()


async def test_a_disk_that_fills_up_refuses_and_recovers_by_itself(small_disk: Path) -> None:
    """JournalFull before SQLite meets the full disk; deleting another file brings the journal back, in one process."""
    other = small_disk / "other"
    other.write_bytes(b"x" * (1 << 20))
    journal = SqliteJournal.open(small_disk / "j", producer_id="p", codec=CODEC, settings=SMALL)
    events, error = await append_until_refused(journal, 1)
    assert isinstance(error, JournalFull) and len(events) > 100
    with pytest.raises(JournalFull):
        journal.check()
    assert journal.poisoned is None and journal.stats().full
    with pytest.raises(JournalFull):
        await asyncio.sleep(0.1)
        await journal.append(draft(0))
    other.unlink()
    events.append(await append_when_there_is_room(journal, 99))
    assert events[-1].seq == events[-2].seq + 1
    await journal.close()
    assert_stored(small_disk / "j", events)


async def test_a_disk_that_is_suddenly_full_poisons_and_reopens_on_its_ballast(small_disk: Path) -> None:
    """ENOSPC inside a commit: waiters are refused; on the full disk the journal opens and denies; then it goes on."""
    folder = small_disk / "j"
    settings = SMALL.model_copy(update={"min_free_bytes": 0})
    journal = SqliteJournal.open(folder, producer_id="p", codec=CODEC, settings=settings)
    told: list[BaseException] = []
    journal.on_poisoned = told.append
    events = [await journal.append(draft(number, 2_000)) for number in range(50)]
    fill(small_disk / "other")
    # What is checked before a commit can't see what another process takes a moment later: go round the check.
    journal._store._full = lambda needed: ""  # type: ignore[method-assign]
    late, error = await append_until_refused(journal, 100)
    events += late
    assert isinstance(error, JournalPoisoned)
    await asyncio.sleep(0)
    assert len(told) == 1
    with pytest.raises(JournalPoisoned):
        await journal.append(draft(1))
    await journal.close()
    fill(small_disk / "more")

    journal = SqliteJournal.open(folder, producer_id="p", codec=CODEC, settings=SMALL)
    assert journal.stats().head_seq >= events[-1].seq
    with pytest.raises(JournalFull):
        await journal.append(draft(2))
    (small_disk / "other").unlink()
    (small_disk / "more").unlink(missing_ok=True)
    events.append(await append_when_there_is_room(journal, 3))
    assert (folder / "journal.ballast").stat().st_size == SMALL.ballast_bytes
    await journal.close()
    assert_stored(folder, events)


def fill(path: Path) -> None:
    """Take all that is left of the file system."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


async def test_the_quota_refuses_and_pruning_makes_room(tmp_path: Path) -> None:
    """Beyond the quota every append is refused; database and log stay within it; after pruning work goes on."""
    settings = SMALL.model_copy(update={"quota_bytes": 1 << 20})
    journal = SqliteJournal.open(tmp_path, producer_id="p", codec=CODEC, settings=settings)
    events, error = await append_until_refused(journal, 1)
    assert isinstance(error, JournalFull) and "quota" in error.message
    size = (tmp_path / "journal.db").stat().st_size + (tmp_path / "journal.db-wal").stat().st_size
    assert size <= settings.quota_bytes and journal.stats().quota_used <= settings.quota_bytes
    assert await journal.prune(events[-10].seq) == events[-10].seq
    after = await append_when_there_is_room(journal, 99)
    assert after.prev_hash == events[-1].hash
    await journal.close()
    assert_stored(tmp_path, [*events[-9:], after])


LIMITED = """
import asyncio, json, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.fault.test_journal_disk_full import CODEC, SMALL, append_until_refused
from decision.journal.sqlite import SqliteJournal

async def run(folder):
    journal = SqliteJournal.open(folder, producer_id="p", codec=CODEC, settings=SMALL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    events, error = await append_until_refused(journal, 1)
    try:
        journal.check()
        again = ""
    except Exception as refused:
        again = refused.code
    await journal.close()
    print(json.dumps([len(events), events[-1].seq, events[-1].hash.hex(), error.code, again]))

asyncio.run(run(Path(sys.argv[1])))
"""


def test_a_write_that_the_system_refuses_poisons_and_loses_nothing(tmp_path: Path) -> None:
    """A file-size limit in the middle of the work: refused with the reason, no crash; opened again all is there."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(root)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, seq, digest, code, again = json.loads(done.stdout)
    assert (count, code, again) == (seq, "journal_poisoned", "journal_poisoned") and count > 50
    asyncio.run(reopened(tmp_path, seq, digest))


async def reopened(folder: Path, seq: int, digest: str) -> None:
    assert (folder / "journal.poisoned").exists()
    journal = SqliteJournal.open(folder, producer_id="p", codec=CODEC, settings=SMALL)
    assert not (folder / "journal.poisoned").exists()
    reader = SqliteJournalReader(folder, CODEC)
    assert reader.read(seq - 1, 1)[0].hash.hex() == digest
    assert (await journal.append(draft(1))).seq >= seq + 1
    reader.close()
    await journal.close()
