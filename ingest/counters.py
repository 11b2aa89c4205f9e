"""Counters on their way back to the decisions: what a principal did lately, for `context.counters`.

They come as messages of the counters topic (key and value below) or, in the embedded form, as one file that is
replaced as a whole, `<data-dir>/analytics/counters.json`. Either way a reader holds the newest `Counters` of each
principal and asks it for its figures `at` a time: what has left its window is not told.

They lag behind the decisions by about a second. Who needs a bound that can't be overrun sets a `limit` obligation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson
from google.protobuf.message import DecodeError

from decision.model.errors import AirlockError
from decision.wire.gen import streams_pb2 as pb

COUNTERS = "counters.json"
_FORMAT = 1

Key = tuple[str, str]
"""A principal: (issuer, subject)."""


class CountersUnreadable(AirlockError):
    """A record or file that holds no counters; the newest readable ones stay in force."""

    code = "counters_unreadable"


@dataclass(frozen=True, slots=True)
class Counters:
    """`values` are (name, value, until): from `until` (UNIX nanoseconds) on the value is 0."""

    principal: Key
    time_unix_nano: int
    values: tuple[tuple[str, int, int], ...]

    def at(self, time_unix_nano: int) -> tuple[tuple[str, int], ...]:
        """What `context.counters` holds at that time, by name; a name that is missing is 0."""
        return tuple((name, value) for name, value, until in self.values if until > time_unix_nano)


def counters_key(principal: Key) -> bytes:
    """The key of a record in the counters topic."""
    return orjson.dumps(principal)


def encode_counters(counters: Counters) -> bytes:
    issuer, subject = counters.principal
    message = pb.Counters(
        issuer=issuer,
        subject=subject,
        time_unix_nano=counters.time_unix_nano,
        counters=[pb.Counter(name=name, value=value, until_unix_nano=until) for name, value, until in counters.values],
    )
    value: bytes = message.SerializeToString()
    return value


def decode_counters(value: bytes) -> Counters:
    """Raises CountersUnreadable."""
    message = pb.Counters()
    try:
        message.ParseFromString(value)
    except DecodeError as error:
        raise CountersUnreadable("a record of the counters topic holds no counters") from error
    return Counters(
        (message.issuer, message.subject),
        message.time_unix_nano,
        tuple([(one.name, one.value, one.until_unix_nano) for one in message.counters]),
    )


def write_counters(folder: Path, counters: Iterable[Counters]) -> None:
    """Replace the file in `folder`, the analytics folder of a node. Raises OSError."""
    staging = folder / f".{COUNTERS}"
    document = {"format": _FORMAT, "principals": [[*one.principal, one.time_unix_nano, one.values] for one in counters]}
    staging.write_bytes(orjson.dumps(document))
    staging.replace(folder / COUNTERS)


def read_counters(folder: Path) -> dict[Key, Counters]:
    """The newest counters of every principal; none where none were ever written. Raises CountersUnreadable."""
    try:
        document = json.loads((folder / COUNTERS).read_bytes())
        if document["format"] != _FORMAT:
            raise CountersUnreadable(f"{COUNTERS} is of another version", hint="restart all of Airlock on this machine")
        return {
            (issuer, subject): Counters(
                (issuer, subject),
                int(time),
                tuple((str(name), int(value), int(until)) for name, value, until in values),
            )
            for issuer, subject, time, values in document["principals"]
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CountersUnreadable(f"{folder / COUNTERS} can't be read: {type(error).__name__}") from error
