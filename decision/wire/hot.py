"""The two events of every statement, StatementDecided and StatementExecuted, written from parts that are kept.

What a decision says is mostly what an earlier one said: the same principal, rules, policy input, obligations. Each of
these parts is encoded once, where it is known; an event is their concatenation with what is its own (ids, digests of
values, times). The bytes are those that `decision.wire.events` would write, field after field in the order of their
numbers, so a reader can't tell them apart (tests/property/test_wire_hot.py holds one against the other).

An event is handed to the journal in two halves, `before` and `after` its place in the chain (Journal.append_then).
A half that can't be written here raises ValueError, of which UnicodeEncodeError is one: the general codec then decides,
which replaces what UTF-8 can't hold and cuts what is too large.
"""

from __future__ import annotations

from decision.model.decision import HoldTerms, Limits, PolicyEffect, RuleResult
from decision.model.events import MaskedColumn, PinnedValue, StatementDecided, StatementExecuted
from decision.model.principal import Principal
from decision.model.session import ClientInfo, ExecutionReport, Outcome
from decision.wire.events import MAX_ENVELOPE_BYTES, MAX_EVENT_BYTES, PAYLOADS
from decision.wire.gen import events_pb2 as pb
from decision.wire.mapping import enum_table, mapping
from decision.wire.raw import MORE, sized, unsigned, varint

_MAX_AFTER = MAX_EVENT_BYTES - MAX_ENVELOPE_BYTES
_DECIDED = PAYLOADS[StatementDecided][2]
_PINNED = mapping(PinnedValue, pb.PinnedValue)
_OUTCOME = enum_table(Outcome, pb.StatementExecuted.DESCRIPTOR.fields_by_name["outcome"].enum_type)[0]
_OUTCOMES: dict[str, bytes] = {one: b"\x20%c" % _OUTCOME(one) for one in Outcome}


# ── the parts of a StatementDecided, each of fields that follow each other ──────────────────────────────────────────


def session_part(session_id: str, principal: Principal, database: str, environment: str) -> bytes:
    return _DECIDED.part(session_id=session_id, principal=principal, database=database, environment=environment)


def verdict_part(
    message_kind: str,
    effect: PolicyEffect,
    message: str,
    results: tuple[RuleResult, ...],
    policy_revision: str,
    engine: str,
) -> bytes:
    return _DECIDED.part(
        message_kind=message_kind,
        effect=effect,
        message=message,
        results=results,
        policy_revision=policy_revision,
        engine=engine,
    )


def duty_part(masked: tuple[MaskedColumn, ...], limits: Limits, holds: tuple[HoldTerms, ...]) -> bytes:
    return _DECIDED.part(masked=masked, limits=limits, holds=holds)


def place_part(client: ClientInfo, enforcement_point: str) -> bytes:
    return _DECIDED.part(client=client, enforcement_point=enforcement_point)


def links(correlation_id: str, causation_id: str) -> bytes:
    """The envelope's fields after the chain's."""
    return sized(b"\x4a", correlation_id.encode()) + sized(b"\x52", causation_id.encode())


def pinned_part(value: PinnedValue) -> bytes:
    """One pinned or written value, with its mac."""
    return sized(b"\xa2\x01", _PINNED.encode(value).SerializeToString())


def open_pinned_part(value: PinnedValue, mac_bytes: int) -> bytes:
    """The same up to the mac, which is to follow: `mac_bytes` bytes that differ from statement to statement."""
    inner: bytes = _PINNED.encode(value).SerializeToString()
    return b"\xa2\x01%b%b\x32%c" % (unsigned(len(inner) + 2 + mac_bytes), inner, mac_bytes)


class DecidedForm:
    """A StatementDecided without what is one statement's own."""

    __slots__ = ("_duty", "_links", "_opening", "_place", "_size", "_words")

    def __init__(
        self,
        links: bytes,
        session: bytes,
        verdict: bytes,
        document: bytes,
        statement_digest: bytes,
        text: str,
        duty: bytes,
        intent: str,
        ticket: str,
        place: bytes,
        sealed_text: bytes = b"",
    ) -> None:
        self._links = links
        self._opening = b"".join((session, verdict, sized(b"\x62", document), sized(b"\x6a", statement_digest)))
        self._duty = sized(b"\x7a", text.encode()) + duty
        self._words = sized(b"\xaa\x01", intent.encode()) + sized(b"\xb2\x01", ticket.encode())
        self._place = place + sized(b"\xe2\x01", sealed_text) if sealed_text else place
        self._size = len(self._links) + len(self._opening) + len(self._duty) + len(self._words) + len(self._place)

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        return self._size

    def after(
        self, decision_id: str, parameters_digest: bytes, pinned: bytes, latency_ns: int, parse_decision_id: str
    ) -> bytes:
        """The second half of the event. `pinned`: pinned parts one after the other."""
        end = b"\xc0\x01" + varint(latency_ns) if latency_ns else b""
        if parse_decision_id:
            end += sized(b"\xca\x01", parse_decision_id.encode())
        payload = b"%b%b%b%b%b%b%b%b" % (
            sized(b"\x0a", decision_id.encode()),
            self._opening,
            sized(b"\x72", parameters_digest) if parameters_digest else b"",
            self._duty,
            pinned,
            self._words,
            end,
            self._place,
        )
        size = len(payload)
        if size > _MAX_AFTER:
            raise ValueError("the event has to be cut")
        return b"%b\xba\x01%b%b" % (self._links, unsigned(size), payload)


def executed_after(report: ExecutionReport) -> bytes:
    """The second half of a StatementExecuted."""
    session_id = report.session_id.encode()
    decision_id = report.decision_id.encode()
    parts = [sized(b"\x0a", decision_id), sized(b"\x12", session_id)]
    if report.statement_index:
        parts.append(b"\x18" + varint(report.statement_index))
    parts.append(_OUTCOMES[report.outcome])
    if report.command_tag:
        parts.append(sized(b"\x2a", report.command_tag.encode()))
    if report.rows:
        parts.append(b"\x30" + varint(report.rows))
    if report.bytes:
        parts.append(b"\x38" + varint(report.bytes))
    if report.duration_ns:
        parts.append(b"\x40" + varint(report.duration_ns))
    if report.sqlstate:
        parts.append(sized(b"\x4a", report.sqlstate.encode()))
    if report.masked_cells:
        parts.append(b"\x50" + varint(report.masked_cells))
    if report.in_transaction:
        parts.append(b"\x58\x01")
    payload = b"".join(parts)
    if len(payload) > MAX_ENVELOPE_BYTES:
        raise ValueError("the event has to be cut")
    return b"%b%b\xc2\x01%b%b" % (
        sized(b"\x4a", session_id),
        sized(b"\x52", decision_id),
        unsigned(len(payload)),
        payload,
    )


class EventHeads:
    """The first halves of one source's events. Used from one thread."""

    __slots__ = ("_decided", "_executed", "_upper", "_upper_bytes")

    def __init__(self, source: str) -> None:
        self._decided = _head(StatementDecided, source)
        self._executed = _head(StatementExecuted, source)
        self._upper = -1
        self._upper_bytes = b""

    def decided(self, event_id: str, time_unix_nano: int) -> bytes:
        return b"%b%b%b" % (sized(b"\x0a", event_id.encode()), self._decided, self._time(time_unix_nano))

    def executed(self, event_id: str, time_unix_nano: int) -> bytes:
        return b"%b%b%b" % (sized(b"\x0a", event_id.encode()), self._executed, self._time(time_unix_nano))

    def _time(self, time_unix_nano: int) -> bytes:
        """The varint of a time: its upper part stays the same for a quarter of a second."""
        upper = time_unix_nano >> 28
        if upper != self._upper:
            if upper <= 0:
                return varint(time_unix_nano)
            self._upper_bytes = varint(upper)
            self._upper = upper
        return MORE[time_unix_nano & 0x3FFF] + MORE[(time_unix_nano >> 14) & 0x3FFF] + self._upper_bytes


def _head(payload: type, source: str) -> bytes:
    return b"%b%b\x20" % (sized(b"\x12", PAYLOADS[payload][1].encode()), sized(b"\x1a", source.encode()))
