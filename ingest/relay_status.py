"""What the relay tells others: `<data-dir>/journal/relay.status.json`, replaced as a whole, and its samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from decision.model.metrics import Sample, SampleKind

STATUS = "relay.status.json"


class RelayState(StrEnum):
    """STARTING until the first event could go; AWAY: brokers or journal can't be used now, and it goes on by itself;
    REFUSED: somebody has to mend something."""

    STARTING = "starting"
    RUNNING = "running"
    AWAY = "away"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """`head` is the journal's newest event, `relayed` the last one that all brokers in sync have. `lag_s` is the age of
    the oldest that they lack (0: none). `sent_events`, `sent_bytes`, `errors` since this process started; `since` is
    when the present state began; `error` and `hint` say what is wrong, if anything is."""

    pid: int
    time_unix_nano: int
    state: RelayState
    since_unix_nano: int
    head: int
    relayed: int
    lag_events: int
    lag_s: float
    sent_events: int
    sent_bytes: int
    errors: int
    error: str = ""
    hint: str = ""


def write_relay_status(folder: Path, status: RelayStatus) -> None:
    staging = folder / f".{STATUS}"
    staging.write_text(json.dumps(asdict(status), indent=2) + "\n", encoding="utf-8")
    staging.replace(folder / STATUS)


def read_relay_status(folder: Path) -> RelayStatus | None:
    """The last status, if there is one that this version understands."""
    try:
        known = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return RelayStatus(**{**known, "state": RelayState(known["state"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def samples_of(status: RelayStatus) -> Iterator[Sample]:
    gauge, counter = SampleKind.GAUGE, SampleKind.COUNTER
    yield Sample("relay_lag_events", gauge, "Durable events that Kafka does not have yet.", status.lag_events)
    yield Sample("relay_lag_seconds", gauge, "Age of the oldest durable event that Kafka lacks.", status.lag_s)
    yield Sample("relay_position", gauge, "The last event that Kafka has, as the journal counts.", status.relayed)
    yield Sample("relay_sent_events", counter, "Events that Kafka acknowledged.", status.sent_events)
    yield Sample("relay_sent_bytes", counter, "Bytes of the events that Kafka acknowledged.", status.sent_bytes)
    yield Sample("relay_errors", counter, "Times that the relay had to begin anew from its cursor.", status.errors)
    for state in RelayState:
        now = float(status.state is state)
        yield Sample("relay_state", gauge, "1 for the state that the relay is in.", now, (("state", state.value),))
