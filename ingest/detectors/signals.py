"""What of an event matters to counters and detections. Pure.

A signal says of one key at one time: these measures grew by so much, these items were seen. Its place in its
producer's journal makes it count once, however often it arrives.
"""

from __future__ import annotations

from typing import NamedTuple

Key = tuple[str, str]
"""(issuer, subject) of a principal; or what else is counted: an issuer from below and a name."""

CLAIMED = "airlock:claimed"
"""What somebody called themselves without proof."""
ADDRESS = "airlock:address"
"""Where a client connected from."""
POINT = "airlock:enforcement_point"
POLICY = "airlock:policy"
PRODUCER = "airlock:producer"
"""A journal, by its producer id."""
_OURS = "airlock:"

Amounts = tuple[tuple[str, int], ...]
Items = tuple[tuple[str, str], ...]


class Signal(NamedTuple):
    """`part` tells signals of one event apart: the principal's, and those of everyone it acts for."""

    issuer: str
    subject: str
    time_unix_nano: int
    producer_id: str
    epoch: int
    seq: int
    part: int
    amounts: Amounts
    items: Items


class Places(NamedTuple):
    """Which events of a producer arrived, whatever they hold: seqs in the order of arrival, and the newest time."""

    producer_id: str
    time_unix_nano: int
    seqs: tuple[int, ...]


def is_principal(key: Key) -> bool:
    """Whether a key is a proven principal's."""
    return not key[0].startswith(_OURS)
