from decision.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditEvent(_message.Message):
    __slots__ = ("id", "type", "source", "time_unix_nano", "producer_id", "epoch", "seq", "prev_hash", "correlation_id", "causation_id", "trace_id", "span_id", "omissions", "session_opened", "session_refused", "session_closed", "statement_decided", "statement_executed", "approval_requested", "approval_granted", "approval_denied", "approval_expired", "approval_used", "policy_activated", "policy_rejected", "catalog_changed", "alert_raised", "checkpoint_signed", "settings_changed", "enforcement_gap_reported", "text_revealed", "keys_erased")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    OMISSIONS_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPENED_FIELD_NUMBER: _ClassVar[int]
    SESSION_REFUSED_FIELD_NUMBER: _ClassVar[int]
    SESSION_CLOSED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DECIDED_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_EXECUTED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_GRANTED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_DENIED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_USED_FIELD_NUMBER: _ClassVar[int]
    POLICY_ACTIVATED_FIELD_NUMBER: _ClassVar[int]
    POLICY_REJECTED_FIELD_NUMBER: _ClassVar[int]
    CATALOG_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ALERT_RAISED_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_SIGNED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_GAP_REPORTED_FIELD_NUMBER: _ClassVar[int]
    TEXT_REVEALED_FIELD_NUMBER: _ClassVar[int]
    KEYS_ERASED_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    source: str
    time_unix_nano: int
    producer_id: str
    epoch: int
    seq: int
    prev_hash: bytes
    correlation_id: str
    causation_id: str
    trace_id: bytes
    span_id: bytes
    omissions: _containers.RepeatedCompositeFieldContainer[Omission]
    session_opened: SessionOpened
    session_refused: SessionRefused
    session_closed: SessionClosed
    statement_decided: StatementDecided
    statement_executed: StatementExecuted
    approval_requested: ApprovalRequested
    approval_granted: ApprovalGranted
    approval_denied: ApprovalDenied
    approval_expired: ApprovalExpired
    approval_used: ApprovalUsed
    policy_activated: PolicyActivated
    policy_rejected: PolicyRejected
    catalog_changed: CatalogChanged
    alert_raised: AlertRaised
    checkpoint_signed: CheckpointSigned
    settings_changed: SettingsChanged
    enforcement_gap_reported: EnforcementGapReported
    text_revealed: TextRevealed
    keys_erased: KeysErased
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., source: _Optional[str] = ..., time_unix_nano: _Optional[int] = ..., producer_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_hash: _Optional[bytes] = ..., correlation_id: _Optional[str] = ..., causation_id: _Optional[str] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., omissions: _Optional[_Iterable[_Union[Omission, _Mapping]]] = ..., session_opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., session_refused: _Optional[_Union[SessionRefused, _Mapping]] = ..., session_closed: _Optional[_Union[SessionClosed, _Mapping]] = ..., statement_decided: _Optional[_Union[StatementDecided, _Mapping]] = ..., statement_executed: _Optional[_Union[StatementExecuted, _Mapping]] = ..., approval_requested: _Optional[_Union[ApprovalRequested, _Mapping]] = ..., approval_granted: _Optional[_Union[ApprovalGranted, _Mapping]] = ..., approval_denied: _Optional[_Union[ApprovalDenied, _Mapping]] = ..., approval_expired: _Optional[_Union[ApprovalExpired, _Mapping]] = ..., approval_used: _Optional[_Union[ApprovalUsed, _Mapping]] = ..., policy_activated: _Optional[_Union[PolicyActivated, _Mapping]] = ..., policy_rejected: _Optional[_Union[PolicyRejected, _Mapping]] = ..., catalog_changed: _Optional[_Union[CatalogChanged, _Mapping]] = ..., alert_raised: _Optional[_Union[AlertRaised, _Mapping]] = ..., checkpoint_signed: _Optional[_Union[CheckpointSigned, _Mapping]] = ..., settings_changed: _Optional[_Union[SettingsChanged, _Mapping]] = ..., enforcement_gap_reported: _Optional[_Union[EnforcementGapReported, _Mapping]] = ..., text_revealed: _Optional[_Union[TextRevealed, _Mapping]] = ..., keys_erased: _Optional[_Union[KeysErased, _Mapping]] = ...) -> None: ...

class Omission(_message.Message):
    __slots__ = ("field", "sha256", "length")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    field: str
    sha256: bytes
    length: int
    def __init__(self, field: _Optional[str] = ..., sha256: _Optional[bytes] = ..., length: _Optional[int] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session_id", "principal", "database", "engine", "environment", "db_role", "client", "enforcement_point", "intent", "ticket")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    DB_ROLE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    principal: _common_pb2.Principal
    database: str
    engine: str
    environment: str
    db_role: str
    client: _common_pb2.ClientInfo
    enforcement_point: str
    intent: str
    ticket: str
    def __init__(self, session_id: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., database: _Optional[str] = ..., engine: _Optional[str] = ..., environment: _Optional[str] = ..., db_role: _Optional[str] = ..., client: _Optional[_Union[_common_pb2.ClientInfo, _Mapping]] = ..., enforcement_point: _Optional[str] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ...) -> None: ...

class SessionRefused(_message.Message):
    __slots__ = ("session_id", "database", "user", "code", "message", "client", "enforcement_point", "principal")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    database: str
    user: str
    code: str
    message: str
    client: _common_pb2.ClientInfo
    enforcement_point: str
    principal: _common_pb2.Principal
    def __init__(self, session_id: _Optional[str] = ..., database: _Optional[str] = ..., user: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., client: _Optional[_Union[_common_pb2.ClientInfo, _Mapping]] = ..., enforcement_point: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ...) -> None: ...

class SessionClosed(_message.Message):
    __slots__ = ("session_id", "reason", "duration_ns", "statements", "bytes_in", "bytes_out")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reason: str
    duration_ns: int
    statements: int
    bytes_in: int
    bytes_out: int
    def __init__(self, session_id: _Optional[str] = ..., reason: _Optional[str] = ..., duration_ns: _Optional[int] = ..., statements: _Optional[int] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ...) -> None: ...

class PinnedValue(_message.Message):
    __slots__ = ("statement_index", "schema", "table", "column", "role", "mac")
    STATEMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    statement_index: int
    schema: str
    table: str
    column: str
    role: str
    mac: bytes
    def __init__(self, statement_index: _Optional[int] = ..., schema: _Optional[str] = ..., table: _Optional[str] = ..., column: _Optional[str] = ..., role: _Optional[str] = ..., mac: _Optional[bytes] = ...) -> None: ...

class MaskedColumn(_message.Message):
    __slots__ = ("statement_index", "ordinal", "name", "method", "rule")
    STATEMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    statement_index: int
    ordinal: int
    name: str
    method: str
    rule: str
    def __init__(self, statement_index: _Optional[int] = ..., ordinal: _Optional[int] = ..., name: _Optional[str] = ..., method: _Optional[str] = ..., rule: _Optional[str] = ...) -> None: ...

class StatementDecided(_message.Message):
    __slots__ = ("decision_id", "session_id", "principal", "database", "environment", "message_kind", "effect", "message", "results", "policy_revision", "engine", "input_json", "statement_digest", "parameters_digest", "statement_text", "masked", "limits", "holds", "approval_id", "pinned", "intent", "ticket", "error_code", "latency_ns", "parse_decision_id", "client", "enforcement_point", "sealed_text")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_KIND_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    INPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_TEXT_FIELD_NUMBER: _ClassVar[int]
    MASKED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_NS_FIELD_NUMBER: _ClassVar[int]
    PARSE_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    SEALED_TEXT_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    session_id: str
    principal: _common_pb2.Principal
    database: str
    environment: str
    message_kind: str
    effect: _common_pb2.PolicyEffect
    message: str
    results: _containers.RepeatedCompositeFieldContainer[_common_pb2.RuleResult]
    policy_revision: str
    engine: str
    input_json: bytes
    statement_digest: bytes
    parameters_digest: bytes
    statement_text: str
    masked: _containers.RepeatedCompositeFieldContainer[MaskedColumn]
    limits: _common_pb2.Limits
    holds: _containers.RepeatedCompositeFieldContainer[_common_pb2.HoldTerms]
    approval_id: str
    pinned: _containers.RepeatedCompositeFieldContainer[PinnedValue]
    intent: str
    ticket: str
    error_code: str
    latency_ns: int
    parse_decision_id: str
    client: _common_pb2.ClientInfo
    enforcement_point: str
    sealed_text: bytes
    def __init__(self, decision_id: _Optional[str] = ..., session_id: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., database: _Optional[str] = ..., environment: _Optional[str] = ..., message_kind: _Optional[str] = ..., effect: _Optional[_Union[_common_pb2.PolicyEffect, str]] = ..., message: _Optional[str] = ..., results: _Optional[_Iterable[_Union[_common_pb2.RuleResult, _Mapping]]] = ..., policy_revision: _Optional[str] = ..., engine: _Optional[str] = ..., input_json: _Optional[bytes] = ..., statement_digest: _Optional[bytes] = ..., parameters_digest: _Optional[bytes] = ..., statement_text: _Optional[str] = ..., masked: _Optional[_Iterable[_Union[MaskedColumn, _Mapping]]] = ..., limits: _Optional[_Union[_common_pb2.Limits, _Mapping]] = ..., holds: _Optional[_Iterable[_Union[_common_pb2.HoldTerms, _Mapping]]] = ..., approval_id: _Optional[str] = ..., pinned: _Optional[_Iterable[_Union[PinnedValue, _Mapping]]] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ..., error_code: _Optional[str] = ..., latency_ns: _Optional[int] = ..., parse_decision_id: _Optional[str] = ..., client: _Optional[_Union[_common_pb2.ClientInfo, _Mapping]] = ..., enforcement_point: _Optional[str] = ..., sealed_text: _Optional[bytes] = ...) -> None: ...

class StatementExecuted(_message.Message):
    __slots__ = ("decision_id", "session_id", "statement_index", "outcome", "command_tag", "rows", "bytes", "duration_ns", "sqlstate", "masked_cells", "in_transaction")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TAG_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    SQLSTATE_FIELD_NUMBER: _ClassVar[int]
    MASKED_CELLS_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    session_id: str
    statement_index: int
    outcome: _common_pb2.Outcome
    command_tag: str
    rows: int
    bytes: int
    duration_ns: int
    sqlstate: str
    masked_cells: int
    in_transaction: bool
    def __init__(self, decision_id: _Optional[str] = ..., session_id: _Optional[str] = ..., statement_index: _Optional[int] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, str]] = ..., command_tag: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., duration_ns: _Optional[int] = ..., sqlstate: _Optional[str] = ..., masked_cells: _Optional[int] = ..., in_transaction: _Optional[bool] = ...) -> None: ...

class ApprovalRequested(_message.Message):
    __slots__ = ("approval_id", "decision_id", "session_id", "requester", "database", "statement", "statement_digest", "parameters_digest", "holds", "expires_unix_nano", "intent", "ticket")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    decision_id: str
    session_id: str
    requester: _common_pb2.Principal
    database: str
    statement: str
    statement_digest: bytes
    parameters_digest: bytes
    holds: _containers.RepeatedCompositeFieldContainer[_common_pb2.HoldTerms]
    expires_unix_nano: int
    intent: str
    ticket: str
    def __init__(self, approval_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., session_id: _Optional[str] = ..., requester: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., database: _Optional[str] = ..., statement: _Optional[str] = ..., statement_digest: _Optional[bytes] = ..., parameters_digest: _Optional[bytes] = ..., holds: _Optional[_Iterable[_Union[_common_pb2.HoldTerms, _Mapping]]] = ..., expires_unix_nano: _Optional[int] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ...) -> None: ...

class ApprovalGranted(_message.Message):
    __slots__ = ("approval_id", "approver", "reason")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    approver: _common_pb2.Principal
    reason: str
    def __init__(self, approval_id: _Optional[str] = ..., approver: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ApprovalDenied(_message.Message):
    __slots__ = ("approval_id", "approver", "reason")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    approver: _common_pb2.Principal
    reason: str
    def __init__(self, approval_id: _Optional[str] = ..., approver: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ApprovalExpired(_message.Message):
    __slots__ = ("approval_id",)
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    def __init__(self, approval_id: _Optional[str] = ...) -> None: ...

class ApprovalUsed(_message.Message):
    __slots__ = ("approval_id", "decision_id", "session_id")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    decision_id: str
    session_id: str
    def __init__(self, approval_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class PolicyActivated(_message.Message):
    __slots__ = ("revision", "previous_revision", "engine", "policies")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_REVISION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    revision: str
    previous_revision: str
    engine: str
    policies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[str] = ..., previous_revision: _Optional[str] = ..., engine: _Optional[str] = ..., policies: _Optional[_Iterable[str]] = ...) -> None: ...

class PolicyRejected(_message.Message):
    __slots__ = ("revision", "error", "active_revision")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: str
    error: str
    active_revision: str
    def __init__(self, revision: _Optional[str] = ..., error: _Optional[str] = ..., active_revision: _Optional[str] = ...) -> None: ...

class CatalogChanged(_message.Message):
    __slots__ = ("database", "version", "previous_version", "relations", "enforcement_point")
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    RELATIONS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    database: str
    version: str
    previous_version: str
    relations: int
    enforcement_point: str
    def __init__(self, database: _Optional[str] = ..., version: _Optional[str] = ..., previous_version: _Optional[str] = ..., relations: _Optional[int] = ..., enforcement_point: _Optional[str] = ...) -> None: ...

class AlertRaised(_message.Message):
    __slots__ = ("alert_id", "rule", "severity", "title", "window_start_unix_nano", "window_end_unix_nano", "subject", "issuer", "database", "evidence", "observed", "threshold")
    ALERT_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    alert_id: str
    rule: str
    severity: str
    title: str
    window_start_unix_nano: int
    window_end_unix_nano: int
    subject: str
    issuer: str
    database: str
    evidence: _containers.RepeatedCompositeFieldContainer[_common_pb2.NameValue]
    observed: int
    threshold: int
    def __init__(self, alert_id: _Optional[str] = ..., rule: _Optional[str] = ..., severity: _Optional[str] = ..., title: _Optional[str] = ..., window_start_unix_nano: _Optional[int] = ..., window_end_unix_nano: _Optional[int] = ..., subject: _Optional[str] = ..., issuer: _Optional[str] = ..., database: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[_common_pb2.NameValue, _Mapping]]] = ..., observed: _Optional[int] = ..., threshold: _Optional[int] = ...) -> None: ...

class CheckpointSigned(_message.Message):
    __slots__ = ("origin", "tree_size", "root_hash", "note")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    TREE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ROOT_HASH_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    origin: str
    tree_size: int
    root_hash: bytes
    note: str
    def __init__(self, origin: _Optional[str] = ..., tree_size: _Optional[int] = ..., root_hash: _Optional[bytes] = ..., note: _Optional[str] = ...) -> None: ...

class SettingsChanged(_message.Message):
    __slots__ = ("component", "changes")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    component: str
    changes: _containers.RepeatedCompositeFieldContainer[_common_pb2.NameValue]
    def __init__(self, component: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[_common_pb2.NameValue, _Mapping]]] = ...) -> None: ...

class EnforcementGapReported(_message.Message):
    __slots__ = ("enforcement_point", "reason", "denials", "since_unix_nano", "until_unix_nano")
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DENIALS_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    enforcement_point: str
    reason: str
    denials: int
    since_unix_nano: int
    until_unix_nano: int
    def __init__(self, enforcement_point: _Optional[str] = ..., reason: _Optional[str] = ..., denials: _Optional[int] = ..., since_unix_nano: _Optional[int] = ..., until_unix_nano: _Optional[int] = ...) -> None: ...

class TextRevealed(_message.Message):
    __slots__ = ("decision_id", "principal", "reason")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    principal: _common_pb2.Principal
    reason: str
    def __init__(self, decision_id: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class KeysErased(_message.Message):
    __slots__ = ("subject", "issuer", "before_month", "principal", "reason")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_MONTH_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    subject: str
    issuer: str
    before_month: str
    principal: _common_pb2.Principal
    reason: str
    def __init__(self, subject: _Optional[str] = ..., issuer: _Optional[str] = ..., before_month: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...
