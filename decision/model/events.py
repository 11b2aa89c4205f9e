"""The events: frozen payloads and the envelope in which the journal makes them durable.

A payload holds no literal, parameter value or token. The journal assigns `producer_id, epoch, seq, prev_hash` and
serialises once; those bytes are the journal's, Kafka's and the Merkle leaf's (decision.wire.translate).
AU-3 content: type (payload), when (time), where (database, client, enforcement point), source (source, session),
outcome (effect, outcome, sqlstate), identity (principal with its chain).

Over 300 lines: it is one closed list, a class a payload.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from decision.model.decision import HoldTerms, Limits, PolicyEffect, RuleResult
from decision.model.principal import Principal
from decision.model.session import ClientInfo, Outcome


@dataclass(frozen=True, slots=True)
class SessionOpened:
    session_id: str
    principal: Principal
    database: str
    engine: str
    environment: str
    db_role: str
    client: ClientInfo
    enforcement_point: str
    intent: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """`code` is the error's; `user` what the client called itself; `principal` if it got as far."""

    session_id: str
    database: str
    user: str
    code: str
    message: str
    client: ClientInfo
    enforcement_point: str
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class SessionClosed:
    session_id: str
    reason: str
    duration_ns: int
    statements: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class PinnedValue:
    """A pinned key column's or written column's value as a keyed, erasable HMAC (`mac` empty: value not known)."""

    statement_index: int
    schema: str
    table: str
    column: str
    role: str  # pinned | written
    mac: bytes = b""


@dataclass(frozen=True, slots=True)
class MaskedColumn:
    """For the audit: output `ordinal` of statement `statement_index` was to be masked by `method`."""

    statement_index: int
    ordinal: int
    name: str
    method: str
    rule: str


@dataclass(frozen=True, slots=True)
class StatementDecided:
    """A decision and everything needed to explain and replay it.

    `input_json` is the whole policy input (Facts without literals) as canonical JSON, empty where analysis refused
    the text (then `error_code` says why). `statement_digest`, `parameters_digest` are keyed (HMAC-SHA256), so that a
    short literal can't be guessed from them. `latency_ns` from request to append.
    """

    decision_id: str
    session_id: str
    principal: Principal
    database: str
    environment: str
    message_kind: str
    effect: PolicyEffect
    message: str
    results: tuple[RuleResult, ...]
    policy_revision: str
    engine: str
    input_json: bytes
    statement_digest: bytes
    parameters_digest: bytes
    statement_text: str  # normalized, unless the settings say otherwise
    masked: tuple[MaskedColumn, ...] = ()
    limits: Limits = Limits()
    holds: tuple[HoldTerms, ...] = ()
    approval_id: str = ""
    pinned: tuple[PinnedValue, ...] = ()
    intent: str = ""
    ticket: str = ""
    error_code: str = ""
    latency_ns: int = 0
    parse_decision_id: str = ""
    client: ClientInfo = ClientInfo()
    enforcement_point: str = ""
    sealed_text: bytes = b""  # the exact text, encrypted under an erasable key (decision.vault)


@dataclass(frozen=True, slots=True)
class StatementExecuted:
    decision_id: str
    session_id: str
    statement_index: int
    outcome: Outcome
    command_tag: str
    rows: int
    bytes: int
    duration_ns: int
    sqlstate: str
    masked_cells: int
    in_transaction: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    approval_id: str
    decision_id: str
    session_id: str
    requester: Principal
    database: str
    statement: str
    statement_digest: bytes
    parameters_digest: bytes
    holds: tuple[HoldTerms, ...]
    expires_unix_nano: int
    intent: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalGranted:
    """One approver's consent. The fold decides when the quorum is met."""

    approval_id: str
    approver: Principal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalDenied:
    approval_id: str
    approver: Principal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalExpired:
    approval_id: str


@dataclass(frozen=True, slots=True)
class ApprovalUsed:
    approval_id: str
    decision_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class PolicyActivated:
    revision: str
    previous_revision: str
    engine: str
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRejected:
    revision: str
    error: str
    active_revision: str


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    database: str
    version: str
    previous_version: str
    relations: int
    enforcement_point: str = ""


@dataclass(frozen=True, slots=True)
class AlertRaised:
    """Something that a detection saw. `alert_id` follows from rule, principal and window: the alert is raised again as
    `observed`, which is compared with `threshold`, grows, and of an alert the greatest counts."""

    alert_id: str
    rule: str
    severity: str
    title: str
    window_start_unix_nano: int
    window_end_unix_nano: int
    subject: str = ""
    issuer: str = ""
    database: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    observed: int = 0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointSigned:
    origin: str
    tree_size: int
    root_hash: bytes
    note: str


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Settings in force from now; `changes` are (key, redacted new value)."""

    component: str
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EnforcementGapReported:
    enforcement_point: str
    reason: str
    denials: int
    since_unix_nano: int
    until_unix_nano: int


@dataclass(frozen=True, slots=True)
class TextRevealed:
    """Someone read the exact text of a statement, and why."""

    decision_id: str
    principal: Principal
    reason: str


@dataclass(frozen=True, slots=True)
class KeysErased:
    """The exact texts of `subject`'s statements of all months (UTC) before `before_month` (`2026-11`) are to be
    unreadable: their keys were thrown away. An empty `issuer` means every one. `principal` is who wanted it."""

    subject: str
    issuer: str
    before_month: str
    principal: Principal
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """What a reader sees of an event written by a newer version: its `type` and `why` it can't be understood.

    Only decoding makes it (nothing writes it). The event's raw bytes still hold everything and still verify.
    """

    type: str
    why: str = ""


Payload = (
    SessionOpened
    | SessionRefused
    | SessionClosed
    | StatementDecided
    | StatementExecuted
    | ApprovalRequested
    | ApprovalGranted
    | ApprovalDenied
    | ApprovalExpired
    | ApprovalUsed
    | PolicyActivated
    | PolicyRejected
    | CatalogChanged
    | AlertRaised
    | CheckpointSigned
    | SettingsChanged
    | EnforcementGapReported
    | TextRevealed
    | KeysErased
    | UnknownPayload
)


@dataclass(frozen=True, slots=True)
class Omission:
    """A payload field cut or left out because the event would have been too large to be a leaf (65,535 bytes).

    `field` is its path (`input_json`, `principal.groups`), `sha256` and `length` are of its complete value.
    """

    field: str
    sha256: bytes
    length: int


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it is durable. `id` is a UUIDv7, `source` the component (`decision-service/NAME`),
    `correlation_id` the session's id (the Kafka key), `causation_id` the id of the direct parent event or decision.
    `omissions` is written by the codec when it had to leave something out; a producer leaves it empty."""

    id: str
    time_unix_nano: int
    source: str
    correlation_id: str
    payload: Payload
    causation_id: str = ""
    trace_id: bytes = b""
    span_id: bytes = b""
    omissions: tuple[Omission, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A durable event. `raw` are the exact bytes that were stored; `hash` is the chain's value after it."""

    draft: EventDraft
    producer_id: str
    epoch: int
    seq: int
    prev_hash: bytes
    hash: bytes
    raw: bytes = field(repr=False, default=b"")

    @property
    def payload(self) -> Payload:
        return self.draft.payload
