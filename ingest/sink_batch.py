"""What came of the topics, into the store: events as they are, alerts beside them, all in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analytics.intake import undecodable
from analytics.project import DeadLetterRow
from analytics.store import AnalyticsStore, Applied, Run
from decision.model.errors import ChainBroken
from decision.model.events import AlertRaised, AuditEvent
from decision.wire.events import ProtobufEventCodec
from ingest.sink_source import Chunk

_CODEC = ProtobufEventCodec()


def take_chunks(
    store: AnalyticsStore,
    chunks: Sequence[Chunk],
    events_topic: str,
    identities: Mapping[str, str],
    starts: Mapping[str, int],
) -> Applied:
    """Take a batch with the positions after it, ahead (AnalyticsStore.take_ahead). `starts`: where the partitions of
    `identities` were begun, of which the batch may hold nothing. Raises what the store raises."""
    runs, letters, alerts = list[Run](), list[DeadLetterRow](), list[AuditEvent]()
    positions = dict(starts) if identities else dict[str, int]()
    for chunk in chunks:
        positions[chunk.source] = chunk.position
        if chunk.topic == events_topic:
            runs.append(Run(chunk.source, chunk.offsets, chunk.values))
            continue
        for offset, value in zip(chunk.offsets, chunk.values, strict=True):
            found = decode_alert(value)
            if isinstance(found, str):
                letters.append(undecodable(chunk.source, offset, found, value))
            elif found is not None:
                alerts.append(found)
    return store.take_ahead(runs, positions, letters, alerts, identities)


def decode_alert(value: bytes) -> AuditEvent | str | None:
    """The alert; None for a tombstone, which a compacted topic may hold; in words what is wrong otherwise."""
    if not value:
        return None
    try:
        draft, producer_id, epoch, seq, prev_hash = _CODEC.decode(value)
    except ChainBroken as error:
        return error.message
    if not isinstance(draft.payload, AlertRaised) or not draft.payload.alert_id:
        return "it is no alert"
    return AuditEvent(draft, producer_id, epoch, seq, prev_hash, b"", value)
