"""What `airlock doctor` says of the way to Kafka: the brokers and topics, and durable → relayed."""

from __future__ import annotations

import time
from typing import NamedTuple

from airlock.settings import Settings
from decision.journal.reader import SqliteJournalReader
from decision.model.errors import AirlockError
from decision.wire.events import ProtobufEventCodec
from ingest.relay_cursor import relayed_seq
from ingest.relay_status import RelayState, RelayStatus, read_relay_status

GOOD, NOTE, BAD = "good", "note", "bad"
LATE_S = 60.0
SILENT_S = 30.0
_NS = 1_000_000_000


class Said(NamedTuple):
    """As doctor's findings."""

    state: str
    found: str
    remedy: str = ""


def kafka_said(settings: Settings) -> Said:
    """The brokers and the topics as they are now."""
    if not settings.kafka.enabled:
        return Said(GOOD, "not set up: events stay on this machine")
    from ingest.kafka_clients import quiet
    from ingest.kafka_topics import judge, look

    quiet()
    try:
        found = look(settings.kafka)
    except AirlockError as error:
        return Said(BAD, error.message, error.hint)
    wrong = judge(settings.kafka, found)
    if wrong:
        more = f" (and {len(wrong) - 1} more: airlock kafka check)" if len(wrong) > 1 else ""
        return Said(BAD, f"{wrong[0].topic}: {wrong[0].message}{more}", wrong[0].remedy)
    return Said(GOOD, f"{found.brokers} brokers, {len(found.topics)} topics under {settings.kafka.topic_prefix!r}")


def relay_said(settings: Settings, *, running: bool) -> Said:
    """How far the journal's events are on Kafka; `running`: whether a decision service runs on this data folder."""
    if not settings.kafka.enabled:
        return Said(GOOD, "not needed without Kafka")
    folder = settings.data_dir / "journal"
    if not (folder / "journal.db").exists():
        return Said(NOTE, "there is no journal here to relay")
    reader = SqliteJournalReader(folder, ProtobufEventCodec())
    head = reader.head()[0]
    reader.close()
    relayed = relayed_seq(folder)
    found = f"{head} durable, {relayed} relayed, {max(0, head - relayed)} behind"
    status = read_relay_status(folder)
    if status is None or status.state is RelayState.STOPPED:
        state = BAD if running else NOTE
        return Said(state, f"{found}; no relay runs", "airlock serve runs one; look at relay.log in the data folder")
    return _running_said(found, status, head > relayed)


def _running_said(found: str, status: RelayStatus, behind: bool) -> Said:
    """`behind`: the cursor, which may be newer than the status, says that something waits."""
    silent_s = (time.time_ns() - status.time_unix_nano) / _NS
    if silent_s > SILENT_S:
        return Said(BAD, f"{found}; the relay has said nothing for {silent_s:.0f} s", "look at relay.log")
    if status.state is RelayState.REFUSED:
        return Said(BAD, f"{found}; {status.error}", status.hint)
    if behind and status.lag_s > LATE_S:
        remedy = status.hint or "decisions go on until the journal's quota; look at relay.log"
        return Said(BAD, f"{found}; the oldest has waited {status.lag_s:.0f} s; {status.error}".rstrip("; "), remedy)
    if status.state is RelayState.AWAY:
        return Said(NOTE, f"{found}; {status.error}", status.hint)
    return Said(GOOD, found)
