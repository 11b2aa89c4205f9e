"""Decision services in this process that share approvals: each the real composition over a data folder of its own, with
a real relay on a thread and the real feed, around one broker."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from airlock.backbone import Backbone, begin_backbone, connected
from airlock.compose import RunningService, start_service
from airlock.host import Host
from airlock.issuer import DevelopmentIssuer
from airlock.settings import IdentityTable, PolicySettings, Settings
from decision.clock import SystemClock
from decision.config import ServiceSettings
from decision.journal.reader import SqliteJournalReader
from decision.model.decision import Decision
from decision.model.events import AuditEvent
from decision.model.session import DecideRequest, MessageKind, SessionRequest
from decision.wire.events import ProtobufEventCodec
from ingest.kafka_settings import KafkaSettings
from ingest.relay import Relay
from tests.support.eventually import eventually_async
from tests.support.service import DATABASE, REGO, SNAPSHOT


class RelayThread:
    """The relay of the journal in `folder`, until `stop`."""

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        self._stopping = threading.Event()
        relay = Relay(folder, SqliteJournalReader(folder, ProtobufEventCodec()), kafka, SystemClock(), random.random)
        self._thread = threading.Thread(target=relay.run, args=(self._stopping.wait,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)


@dataclass
class Replica:
    """One decision service. `relay` is None while it is stopped."""

    folder: Path
    kafka: KafkaSettings
    running: RunningService
    backbone: Backbone
    relay: RelayThread | None = None

    @property
    def service(self):  # type: ignore[no-untyped-def]
        return self.running.service

    def start_relay(self) -> None:
        self.relay = self.relay or RelayThread(self.folder / "journal", self.kafka)

    def stop_relay(self) -> None:
        if self.relay is not None:
            self.relay.stop()
        self.relay = None

    async def session(self, credential: str) -> str:
        return (await self.service.open_session(SessionRequest(credential, "shop"))).session_id

    async def decide(self, session_id: str, text: str) -> Decision:
        return await self.service.decide(DecideRequest(session_id, text.encode(), MessageKind.QUERY))

    async def usable(self, deadline_s: float = 20.0) -> None:
        """Until approvals are not away."""

        async def there() -> bool:
            return not self.backbone.order.away

        await eventually_async(there, deadline_s, what="the approvals are known")

    def events(self) -> Iterable[AuditEvent]:
        """What its journal holds."""
        reader, after = SqliteJournalReader(self.folder / "journal", ProtobufEventCodec()), 0
        while events := reader.read(after, 1_000):
            yield from events
            after = events[-1].seq


@asynccontextmanager
async def replica(
    folder: Path, kafka: KafkaSettings, issuer: DevelopmentIssuer, *, bundle: Path = REGO, **decision: object
) -> AsyncIterator[Replica]:
    """A decision service over `folder` with its relay; what is in `decision` are its settings."""
    shared = folder.parent / "digest.key"
    if not shared.exists():
        shared.write_bytes(b"k" * 32)
    settings = Settings(
        data_dir=folder,
        kafka=kafka,
        policy=PolicySettings(bundle=bundle),
        decision=ServiceSettings(digest_key_file=shared, **decision),  # type: ignore[arg-type]
        identity=IdentityTable(issuers=(issuer.settings(),)),
    )
    host = Host()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(host.stack.aclose)
        backbone = connected(settings, host)
        running = await start_service(settings, {"shop": DATABASE}, host.fail, backbone.order, backbone.counters)
        stack.push_async_callback(running.close)
        made = Replica(folder, kafka, running, backbone)
        made.start_relay()
        stack.push_async_callback(asyncio.to_thread, made.stop_relay)
        await begin_backbone(host, backbone)
        await running.service.sync_catalog(SNAPSHOT)
        yield made
