"""Records that somebody wrote past any decision service must not stop the audit store for everybody else."""

from __future__ import annotations

from pathlib import Path

from analytics.query import CatalogReader
from analytics.store import FOLDER, AnalyticsStore, Run
from decision.clock import SystemClock, Uuid7Source
from decision.wire.gen import events_pb2 as pb
from tests.support.analytics_story import story

LAST = (1 << 63) - 1


def forged(raw: bytes, **fields: object) -> bytes:
    event = pb.AuditEvent.FromString(raw)
    for name, value in fields.items():
        setattr(event, name, value)
    return bytes(event.SerializeToString())


def test_numbers_at_the_end_of_the_range_stop_nothing(tmp_path: Path) -> None:
    """More events would be missing than a BIGINT can count: it is published all the same, and stays open to more."""
    raws = [event.raw for event in story(10)]
    absurd = [
        forged(raws[5], producer_id="p7", seq=LAST),
        forged(raws[5], producer_id="p8", seq=LAST - 1),
        forged(raws[5], producer_id="p9", seq=1, epoch=LAST, time_unix_nano=LAST),
    ]
    with AnalyticsStore(tmp_path / FOLDER, SystemClock(), Uuid7Source()) as store:
        for first, part in ((0, raws[:35]), (35, absurd), (38, raws[35:])):
            store.take((Run("x/0", range(first, first + len(part)), part),), {"x/0": first + len(part)})
            assert store.publish()
    with CatalogReader(tmp_path) as reader:
        assert reader.ask("SELECT count(*) FROM events").rows == [(73,)]
        assert reader.ask("SELECT count(*) FROM gaps WHERE producer_id IN ('p7', 'p8')").rows == [(2,)]
