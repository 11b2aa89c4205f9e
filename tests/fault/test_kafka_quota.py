"""The journal's quota while Kafka is away: statements are denied, and allowed again by themselves when it is back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from airlock.pruning import Pruner
from decision.clock import SystemClock
from decision.journal.pruning import PruneRules
from decision.journal.reader import SqliteJournalReader
from decision.journal.settings import JournalSettings
from decision.journal.sqlite import SqliteJournal
from decision.model.errors import JournalFull
from ingest.kafka_topics import make_topics
from ingest.relay_cursor import relayed_seq
from tests.support.eventually import eventually_async
from tests.support.journal_load import CODEC, append, draft
from tests.support.kafka import Broker, settings_for
from tests.support.relaying import demand_all, relaying

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SETTINGS = JournalSettings(quota_bytes=1 << 20, keep_bytes=1 << 16, ballast_bytes=0, min_free_bytes=0)


async def test_a_full_journal_empties_itself_when_kafka_is_back(own_kafka: Broker, tmp_path: Path) -> None:
    """Appends are refused at the quota and not before; nothing unrelayed is pruned; then appends go on, and everything
    that was ever acknowledged is on Kafka."""
    settings = settings_for(own_kafka, "quota")
    make_topics(settings)
    own_kafka.kill()
    journal = SqliteJournal.open(tmp_path, producer_id="node-1", codec=CODEC, settings=SETTINGS)
    rules = PruneRules(keep_s=0.0, keep_bytes=SETTINGS.kept_bytes)
    pruner = Pruner(journal, rules, lambda: relayed_seq(tmp_path), SystemClock())
    pruning = asyncio.create_task(pruner.run(0.5))
    number = 0
    with relaying(tmp_path, settings) as running:
        with pytest.raises(JournalFull):
            while True:
                await append(journal, [draft(one) for one in range(number, number + 100)])
                number += 100
        acknowledged = journal.stats().head_seq
        assert acknowledged > 1_000
        assert await pruner.step() == 0, "what Kafka lacks must stay"
        events = list(SqliteJournalReader(tmp_path, CODEC).read(0, 1_000_000))

        await asyncio.to_thread(own_kafka.start)

        async def pruned() -> bool:
            return journal.stats().events < acknowledged // 2

        await eventually_async(pruned, 60)
        await append(journal, [draft(one) for one in range(number, number + 100)])

        async def all_relayed() -> bool:
            return running.relayed() == journal.stats().head_seq

        await eventually_async(all_relayed, 60)
    pruning.cancel()
    rest = SqliteJournalReader(tmp_path, CODEC)
    events += rest.read(max(rest.base().seq, acknowledged), 1_000)
    await journal.close()
    demand_all(own_kafka, settings, events)
