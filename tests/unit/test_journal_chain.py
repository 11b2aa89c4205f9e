"""The hash chain names the first bad event, whatever was changed."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.journal import frames
from decision.journal.chain import GENESIS, ChainVerifier, Head, chain_hash
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.journal.verify import verify_journal
from decision.model.errors import ChainBroken, JournalUnavailable
from decision.wire.events import ProtobufEventCodec
from tests.simulation.events import draft

CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(ballast_bytes=0, min_free_bytes=0)
BATCHES = (1, 5, 1, 3)  # events 1 | 2..6 | 7 | 8..10


def chain(count: int) -> list[bytes]:
    raws, head = [], GENESIS
    for seq in range(1, count + 1):
        raws.append(CODEC.encode(draft(seq), "p", 1, seq, head))
        head = chain_hash(head, seq, raws[-1])
    return raws


def seal(raws: list[bytes]) -> bytes:
    head = GENESIS
    for seq, raw in enumerate(raws, 1):
        head = chain_hash(head, seq, raw)
    return head


def test_the_hash_is_what_the_module_says() -> None:
    """SHA-256 over the previous hash, seq, length and bytes; independent of our helper."""
    wanted = hashlib.sha256(bytes(32) + (7).to_bytes(8, "big") + (3).to_bytes(4, "big") + b"abc").digest()
    assert chain_hash(GENESIS, 7, b"abc") == wanted


def test_an_untouched_run_verifies() -> None:
    """The head is the last event's."""
    raws = chain(6)
    verifier = ChainVerifier(CODEC, "p", Head())
    verifier.verify_batch(raws, seal(raws))
    assert verifier.head == Head(6, seal(raws), 1)


def changed(raws: list[bytes], seq: int) -> list[bytes]:
    """Event `seq` with another payload, its own place kept."""
    _, producer, epoch, _, prev = CODEC.decode(raws[seq - 1])
    return [*raws[: seq - 1], CODEC.encode(draft(999), producer, epoch, seq, prev), *raws[seq:]]


@pytest.mark.parametrize("seq", range(1, 7))
def test_the_changed_event_is_named(seq: int) -> None:
    """Whether it is first, in the middle or last of its batch."""
    raws = chain(6)
    with pytest.raises(ChainBroken) as caught:
        ChainVerifier(CODEC, "p", Head()).verify_batch(changed(raws, seq), seal(raws))
    assert (caught.value.producer_id, caught.value.epoch, caught.value.seq) == ("p", 1, seq)


@pytest.mark.parametrize(
    ("edit", "bad"),
    [
        (lambda raws: raws[:2] + raws[3:], 3),
        (lambda raws: [raws[0], raws[2], raws[1], *raws[3:]], 2),
        (lambda raws: [*raws[:3], raws[2], *raws[3:]], 4),
        (lambda raws: [*raws[:3], b"\xff\xff", *raws[4:]], 4),
        (lambda raws: raws[:-1], 5),
    ],
    ids=["removed", "swapped", "repeated", "garbage", "cut"],
)
def test_the_first_bad_place_is_named(edit: Callable[[list[bytes]], list[bytes]], bad: int) -> None:
    """An event removed, swapped, repeated, made unreadable, or the end of a batch cut."""
    raws = chain(6)
    with pytest.raises(ChainBroken) as caught:
        ChainVerifier(CODEC, "p", Head()).verify_batch(edit(raws), seal(raws))
    assert caught.value.seq == bad


@pytest.mark.parametrize(("producer", "epoch"), [("q", 1), ("p", 1)])
def test_another_producers_or_an_older_incarnations_event_does_not_belong(producer: str, epoch: int) -> None:
    """A chain has one producer, and its epochs never fall."""
    raw = CODEC.encode(draft(1), producer, epoch, 5, GENESIS)
    with pytest.raises(ChainBroken) as caught:
        ChainVerifier(CODEC, "p", Head(4, GENESIS, 2)).verify_batch([raw], chain_hash(GENESIS, 5, raw))
    assert caught.value.seq == 5


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 22))
def test_frames_come_back_and_can_be_skipped(raws: list[bytes], skip: int) -> None:
    """Packing loses nothing; skipping equals leaving out."""
    assert frames.unpack(frames.pack(raws), skip) == raws[skip:]


@pytest.mark.parametrize("packed", [b"\0", b"\0\0\0\2a", b"\0\0\0\1ab", b"\xff\xff\xff\xffabc"])
def test_frames_that_do_not_add_up_are_refused(packed: bytes) -> None:
    """Cut or wrong lengths are no batch."""
    with pytest.raises(ValueError, match="add up"):
        frames.unpack(packed)


# ── a journal on disk, edited behind its back ───────────────────────────────────────────────────────────────────────


async def written(folder: Path) -> None:
    journal = SqliteJournal.open(folder, producer_id="p", codec=CODEC, settings=SETTINGS)
    number = 0
    for size in BATCHES:
        await asyncio.gather(*[journal.append(draft(number + index)) for index in range(size)])
        number += size
    await journal.close()


def edit_database(folder: Path, statement: str, *values: Any) -> None:
    db = apsw.Connection(str(folder / "journal.db"))
    db.execute(statement, values)
    db.close()


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("DELETE FROM batch WHERE last_seq = 6", 2),
        ("DELETE FROM batch WHERE last_seq = 1", 1),
        ("UPDATE batch SET seal = zeroblob(32) WHERE last_seq = 7", 7),
        ("UPDATE batch SET epoch = 9 WHERE last_seq = 6", 6),
        ("UPDATE batch SET frames = substr(frames, 1, 20) WHERE last_seq = 6", 2),
        ("UPDATE batch SET first_seq = 3 WHERE last_seq = 6", 2),
        ("UPDATE batch SET frames = (SELECT frames FROM batch WHERE last_seq = 1) WHERE last_seq = 7", 7),
        ("UPDATE meta SET producer_id = 'q'", 1),
        ("UPDATE meta SET base_hash = randomblob(32)", 1),
    ],
)
async def test_verification_names_the_first_bad_event(tmp_path: Path, statement: str, bad: int) -> None:
    """Rows removed, replaced, cut or with another seal; and the journal does not open on it."""
    await written(tmp_path)
    assert verify_journal(tmp_path, CODEC).events == 10
    edit_database(tmp_path, statement)
    with pytest.raises(ChainBroken) as caught:
        verify_journal(tmp_path, CODEC)
    assert caught.value.seq == bad


async def test_any_flipped_bit_of_an_event_is_found_and_named(tmp_path: Path) -> None:
    """For bits all over the stored bytes: verification fails at the event that holds the bit, or at its neighbour
    when the bit is in the link between them."""
    await written(tmp_path)
    db = apsw.Connection(str(tmp_path / "journal.db"))
    packed = bytes(db.execute("SELECT frames FROM batch WHERE last_seq = 6").get)
    rng = random.Random(5)
    for _ in range(150):
        place = rng.randrange(len(packed))
        flipped = bytearray(packed)
        flipped[place] ^= 1 << rng.randrange(8)
        db.execute("UPDATE batch SET frames = ? WHERE last_seq = 6", (bytes(flipped),))
        with pytest.raises(ChainBroken) as caught:
            verify_journal(tmp_path, CODEC)
        assert 2 <= caught.value.seq <= 6
    db.close()


async def test_verification_tells_its_progress_and_its_result(tmp_path: Path) -> None:
    """The callback sees the last seq; the report holds the head that the reader sees."""
    await written(tmp_path)
    seen: list[tuple[int, int]] = []
    report = verify_journal(tmp_path, CODEC, lambda seq, newest: seen.append((seq, newest)))
    reader = SqliteJournalReader(tmp_path, CODEC)
    assert seen[-1] == (10, 10)
    assert (report.head_seq, report.head_hash) == reader.head()
    assert (report.producer_id, report.epoch, report.base_seq) == ("p", 1, 0)
    reader.close()


def test_verifying_what_is_not_there_says_so(tmp_path: Path) -> None:
    """No journal is no verified journal."""
    with pytest.raises(JournalUnavailable, match="no journal"):
        verify_journal(tmp_path, CODEC)


@pytest.mark.parametrize("content", [b"not a database" * 400, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    """Garbage neither verifies nor opens."""
    (tmp_path / "journal.db").write_bytes(content)
    with pytest.raises(ChainBroken):
        verify_journal(tmp_path, CODEC)
    with pytest.raises(ChainBroken):
        SqliteJournal.open(tmp_path, producer_id="p", codec=CODEC, settings=SETTINGS)
