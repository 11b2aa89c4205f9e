"""What an enforcement point asks and tells the decision service. Times are UNIX nanoseconds, durations nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from decision.model.decision import HoldTerms
from decision.model.principal import Principal
from decision.model.record import record


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The database client as the enforcement point sees it. `address` is `ip:port`, `tls` the protocol or empty."""

    address: str = ""
    application: str = ""
    protocol: str = ""  # postgres/3.0, postgres/3.2, grpc …
    tls: str = ""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Open a session. `credential` (a JWT) is verified by the decision service and never stored.

    `database` is the entry's name in the settings, `user` what the client called itself; `intent`/`ticket` from the
    startup options (`-c airlock.intent=…`, `-c airlock.ticket=…`).
    """

    credential: str
    database: str
    user: str = ""
    client: ClientInfo = ClientInfo()
    enforcement_point: str = ""
    intent: str = ""
    ticket: str = ""
    replication: bool = False  # a replication connection was asked for: always refused, as an event


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """An open session. `db_role` and `upstream_parameters` are for the upstream connection; `expires_unix` is when
    the credential ends and with it the session (0: never)."""

    session_id: str
    principal: Principal
    database: str
    environment: str
    db_role: str = ""
    upstream_parameters: tuple[tuple[str, str], ...] = ()
    expires_unix: int = 0


class MessageKind(StrEnum):
    """Which protocol message carries the text. `function_call` has none and is always refused, as an event."""

    QUERY = "query"  # simple protocol: may hold many statements
    PARSE = "parse"  # extended protocol: one statement, no values yet
    BIND = "bind"  # a parsed statement with its values; decided again
    FUNCTION_CALL = "function_call"


@record
class ParameterValue:
    """One bound value. `format` 0 text, 1 binary; `value` None for NULL. Never stored, logged or sent to policy."""

    type_oid: int
    format: int
    value: bytes | None


@record
class DecideRequest:
    """Decide one message. `text` are the exact bytes that will run if allowed.

    `parameters` are the bound values (BIND only). `settings` are the server parameters that change what the text
    means, as the server last reported them: search_path, standard_conforming_strings, client_encoding, role …
    `transaction_status` is the server's: I idle, T in a transaction, E failed. `intent`/`ticket` override the
    session's when not empty (SET airlock.intent, sqlcommenter). `parse_decision_id` links a BIND to its PARSE.
    """

    session_id: str
    text: bytes
    kind: MessageKind = MessageKind.QUERY
    parameters: tuple[ParameterValue, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    transaction_status: str = "I"
    intent: str = ""
    ticket: str = ""
    parse_decision_id: str = ""


class Outcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"  # refused at run time by the enforcement point (an obligation it could not fulfil)
    UNKNOWN = "unknown"  # the connection was lost while it ran


@record
class ExecutionReport:
    """What the database then did. One for each statement of the message (`statement_index`).

    `rows` returned or affected (as CommandTag says), `bytes` sent to the client, `masked_cells` values masked.
    `in_transaction`: it ran inside a transaction block, so a later rollback may undo it.
    """

    session_id: str
    decision_id: str
    statement_index: int
    outcome: Outcome
    command_tag: str = ""
    rows: int = 0
    bytes: int = 0
    duration_ns: int = 0
    sqlstate: str = ""
    masked_cells: int = 0
    in_transaction: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnd:
    session_id: str
    reason: str = "client"  # client, server, network, expired, shutdown, error
    duration_ns: int = 0
    statements: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class EnforcementGap:
    """Denials that an enforcement point gave alone while no decision service or journal answered; sent on repair."""

    enforcement_point: str
    reason: str
    denials: int
    since_unix_nano: int
    until_unix_nano: int


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """`revision` is the digest of the active bundle; `rejected` the last refusal since, empty when there is none."""

    engine: str
    revision: str
    activated_unix_nano: int
    policies: tuple[str, ...] = ()
    rejected: str = ""


class ApprovalState(StrEnum):
    REQUESTED = "requested"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Vote:
    approver: Principal
    granted: bool
    reason: str
    time_unix_nano: int


@dataclass(frozen=True, slots=True)
class Approval:
    """One request for consent and what became of it. Bound to principal, database and the keyed digests of the exact
    bytes and parameters. `statement` is the normalized text."""

    approval_id: str
    state: ApprovalState
    requester: Principal
    database: str
    statement: str
    statement_digest: bytes
    parameters_digest: bytes
    rules: tuple[str, ...]
    approvers: tuple[str, ...]
    quorum: int
    requested_unix_nano: int
    expires_unix_nano: int
    intent: str = ""
    ticket: str = ""
    decision_id: str = ""
    session_id: str = ""
    votes: tuple[Vote, ...] = ()
    holds: tuple[HoldTerms, ...] = ()
