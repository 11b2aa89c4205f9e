"""kill -9 at random moments: every acknowledged event is in the journal and the chain verifies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from decision.journal.reader import SqliteJournalReader
from decision.journal.verify import verify_journal
from decision.wire.events import ProtobufEventCodec

KILLS = 60
CHILD = """
import asyncio, os, sys
from pathlib import Path
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.wire.events import ProtobufEventCodec
from tests.simulation.events import draft

CODEC = ProtobufEventCodec()
SETTINGS = JournalSettings(checkpoint_pages=20)

async def run(folder, out):
    journal = SqliteJournal.open(Path(folder), producer_id="p", codec=CODEC, settings=SETTINGS)
    async def client(number):
        for count in range(1_000_000):
            event = await journal.append(draft(number * 1_000_000 + count, 300))
            os.write(out, b"%d %s\\n" % (event.seq, event.hash.hex().encode()))
    await asyncio.gather(*[client(number) for number in range(8)])

# Everything is imported once; each round is a fork, so that sixty rounds are quick.
for line in sys.stdin:
    child = os.fork()
    if not child:
        asyncio.run(run(line.strip(), 1))
        os._exit(0)
    os.write(2, b"%d\\n" % child)
    os.waitpid(child, 0)
    os.write(2, b"gone\\n")
"""


def acknowledged_by(child_out: int, deadline: float, at_least: int) -> list[bytes]:
    """Lines from the child until the deadline, but not before it acknowledged `at_least` events."""
    os.set_blocking(child_out, False)
    data = b""
    while time.monotonic() < deadline or data.count(b"\n") < at_least:
        try:
            data += os.read(child_out, 1 << 16)
        except BlockingIOError:
            time.sleep(0.0005)
    return [data]


def rest(child_out: int) -> bytes:
    data = b""
    while True:
        try:
            part = os.read(child_out, 1 << 16)
        except BlockingIOError:
            return data
        if not part:
            return data
        data += part


def test_no_acknowledged_event_is_lost_to_kill_nine(tmp_path: Path) -> None:
    """Sixty kills of one journal's writer, at moments from a seed that is printed."""
    seed = int(os.environ.get("AIRLOCK_SIM_SEED", int.from_bytes(os.urandom(3), "big")))
    print(f"replay with AIRLOCK_SIM_SEED={seed}")
    rng = random.Random(seed)
    folder = tmp_path / "journal"
    codec = ProtobufEventCodec()
    acknowledged: dict[int, str] = {}
    root = Path(__file__).parents[2]
    nursery = subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert nursery.stdin and nursery.stdout and nursery.stderr
    try:
        for _ in range(KILLS):
            nursery.stdin.write(f"{folder}\n".encode())
            nursery.stdin.flush()
            child = int(nursery.stderr.readline())
            at_least = rng.choice((0, 0, 1, 20))
            data = acknowledged_by(nursery.stdout.fileno(), time.monotonic() + rng.random() * 0.12, at_least)
            os.kill(child, signal.SIGKILL)
            assert nursery.stderr.readline() == b"gone\n"
            data.append(rest(nursery.stdout.fileno()))
            for line in b"".join(data).splitlines():
                seq, digest = line.split()
                assert int(seq) not in acknowledged, "a seq was acknowledged twice"
                acknowledged[int(seq)] = digest.decode()
    finally:
        nursery.stdin.close()
        nursery.wait(10)
        nursery.stdout.close()
        nursery.stderr.close()
    report = verify_journal(folder, codec)
    stored = hashes(folder, codec)
    missing = {seq for seq, digest in acknowledged.items() if stored.get(seq) != digest}
    print(f"{KILLS} kills, {len(acknowledged)} events acknowledged, {len(stored)} stored, {len(missing)} lost")
    assert not missing
    assert report.head_seq == len(stored)
    assert len(acknowledged) > KILLS and report.epoch > KILLS // 2


def hashes(folder: Path, codec: ProtobufEventCodec) -> dict[int, str]:
    reader, stored, after = SqliteJournalReader(folder, codec), dict[int, str](), 0
    while events := reader.read(after, 5_000):
        stored.update({event.seq: event.hash.hex() for event in events})
        after = events[-1].seq
    reader.close()
    return stored
