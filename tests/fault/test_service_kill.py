"""kill -9 of the decision service at random moments: every decision that a client has seen is in the journal."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from airlock.demo.postgres import free_port
from airlock.issuer import DevelopmentIssuer
from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.clock import SystemClock
from decision.journal.reader import SqliteJournalReader
from decision.journal.verify import verify_journal
from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.decision import Decision
from decision.model.errors import AirlockError
from decision.model.events import StatementDecided
from decision.model.facts import RelationKind
from decision.model.session import DecideRequest, SessionRequest
from decision.wire.events import ProtobufEventCodec
from tests.e2e.support import running

KILLS = int(os.environ.get("AIRLOCK_TEST_KILLS", "50"))
SEED = int(os.environ.get("AIRLOCK_TEST_SEED", "20261121"))
SNAPSHOT = CatalogSnapshot(
    "shop", 180000, "v1",
    relations=(
        CatalogRelation("public", "t", 4711, RelationKind.TABLE, (CatalogColumn("id", 1, 23, "int4"),)),
    ),
)  # fmt: skip
SETTINGS = '[[database]]\nname = "shop"\nupstream = "postgresql://nobody:x@127.0.0.1:1/shop"\n'


async def decide_until_killed(target: str, token_file: Path, credential: str, seen: list[Decision]) -> None:
    """Eight askers at once; `seen` grows by each answer that arrives."""
    port = GrpcDecisionPort(ClientSettings(target=target, token_file=token_file, timeout_s=5))
    try:
        await port.sync_catalog(SNAPSHOT)
        grant = await port.open_session(SessionRequest(credential, "shop"))

        async def ask(worker: int) -> None:
            number = 0
            while True:
                number += 1
                text = f"SELECT id FROM t WHERE id = {worker * 1_000_000 + number}".encode()
                seen.append(await port.decide(DecideRequest(grant.session_id, text)))

        await asyncio.gather(*(ask(worker) for worker in range(8)))
    except AirlockError:
        return
    finally:
        await port.close()


@pytest.mark.slow
async def test_no_acknowledged_decision_is_lost(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """After each of the kills the service starts again on the same journal; at the end it holds every answer."""
    randomness = random.Random(SEED)
    data_dir, config = tmp_path / "data", tmp_path / "airlock.toml"
    config.write_text(SETTINGS)
    credential = DevelopmentIssuer(data_dir, SystemClock()).issue("alice")
    token_file = data_dir / "keys" / "grpc.token"
    seen: list[Decision] = []
    for _ in range(KILLS):
        target = f"127.0.0.1:{free_port()}"
        with running("--config", str(config), "--grpc", target, data_dir=data_dir, command="serve") as service:
            asking = asyncio.create_task(decide_until_killed(target, token_file, credential, seen))
            await asyncio.sleep(randomness.uniform(0.02, 0.4))  # the random moment
            os.kill(service.process.pid, signal.SIGKILL)
            await asyncio.to_thread(service.process.wait)
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await asking
    recorded: set[str] = set()
    reader, after = SqliteJournalReader(data_dir / "journal", ProtobufEventCodec()), 0
    while events := reader.read(after, 2_000):
        recorded |= {e.payload.decision_id for e in events if isinstance(e.payload, StatementDecided)}
        after = events[-1].seq
    acknowledged = {decision.decision_id for decision in seen}
    record_property("acknowledged", len(acknowledged))
    print(f"{KILLS} kills, seed {SEED}: {len(acknowledged)} acknowledged, {len(recorded)} recorded")
    assert len(acknowledged) > KILLS
    assert acknowledged - recorded == set()
    verify_journal(data_dir / "journal", ProtobufEventCodec())
