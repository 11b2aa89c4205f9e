from decision.wire.gen import approvals_pb2 as _approvals_pb2
from decision.wire.gen import catalog_pb2 as _catalog_pb2
from decision.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_KIND_UNSPECIFIED: _ClassVar[MessageKind]
    MESSAGE_KIND_QUERY: _ClassVar[MessageKind]
    MESSAGE_KIND_PARSE: _ClassVar[MessageKind]
    MESSAGE_KIND_BIND: _ClassVar[MessageKind]
    MESSAGE_KIND_FUNCTION_CALL: _ClassVar[MessageKind]

class MaskMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MASK_METHOD_UNSPECIFIED: _ClassVar[MaskMethod]
    MASK_METHOD_EMAIL: _ClassVar[MaskMethod]
    MASK_METHOD_LAST_FOUR: _ClassVar[MaskMethod]
    MASK_METHOD_PARTIAL: _ClassVar[MaskMethod]
    MASK_METHOD_HASH: _ClassVar[MaskMethod]
    MASK_METHOD_FULL: _ClassVar[MaskMethod]
    MASK_METHOD_NULL: _ClassVar[MaskMethod]
MESSAGE_KIND_UNSPECIFIED: MessageKind
MESSAGE_KIND_QUERY: MessageKind
MESSAGE_KIND_PARSE: MessageKind
MESSAGE_KIND_BIND: MessageKind
MESSAGE_KIND_FUNCTION_CALL: MessageKind
MASK_METHOD_UNSPECIFIED: MaskMethod
MASK_METHOD_EMAIL: MaskMethod
MASK_METHOD_LAST_FOUR: MaskMethod
MASK_METHOD_PARTIAL: MaskMethod
MASK_METHOD_HASH: MaskMethod
MASK_METHOD_FULL: MaskMethod
MASK_METHOD_NULL: MaskMethod

class OpenSessionRequest(_message.Message):
    __slots__ = ("credential", "database", "user", "client", "enforcement_point", "intent", "ticket", "replication")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_POINT_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    REPLICATION_FIELD_NUMBER: _ClassVar[int]
    credential: str
    database: str
    user: str
    client: _common_pb2.ClientInfo
    enforcement_point: str
    intent: str
    ticket: str
    replication: bool
    def __init__(self, credential: _Optional[str] = ..., database: _Optional[str] = ..., user: _Optional[str] = ..., client: _Optional[_Union[_common_pb2.ClientInfo, _Mapping]] = ..., enforcement_point: _Optional[str] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ..., replication: _Optional[bool] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session_id", "principal", "database", "environment", "db_role", "upstream_parameters", "expires_unix")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    DB_ROLE_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    principal: _common_pb2.Principal
    database: str
    environment: str
    db_role: str
    upstream_parameters: _containers.RepeatedCompositeFieldContainer[_common_pb2.NameValue]
    expires_unix: int
    def __init__(self, session_id: _Optional[str] = ..., principal: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., database: _Optional[str] = ..., environment: _Optional[str] = ..., db_role: _Optional[str] = ..., upstream_parameters: _Optional[_Iterable[_Union[_common_pb2.NameValue, _Mapping]]] = ..., expires_unix: _Optional[int] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
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

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ParameterValue(_message.Message):
    __slots__ = ("type_oid", "format", "value")
    TYPE_OID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    type_oid: int
    format: int
    value: bytes
    def __init__(self, type_oid: _Optional[int] = ..., format: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...

class DecideItem(_message.Message):
    __slots__ = ("request_id", "session_id", "text", "kind", "parameters", "settings", "transaction_status", "intent", "ticket", "parse_decision_id", "timeout_ms")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_STATUS_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PARSE_DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    session_id: str
    text: bytes
    kind: MessageKind
    parameters: _containers.RepeatedCompositeFieldContainer[ParameterValue]
    settings: _containers.RepeatedCompositeFieldContainer[_common_pb2.NameValue]
    transaction_status: str
    intent: str
    ticket: str
    parse_decision_id: str
    timeout_ms: int
    def __init__(self, request_id: _Optional[int] = ..., session_id: _Optional[str] = ..., text: _Optional[bytes] = ..., kind: _Optional[_Union[MessageKind, str]] = ..., parameters: _Optional[_Iterable[_Union[ParameterValue, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[_common_pb2.NameValue, _Mapping]]] = ..., transaction_status: _Optional[str] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ..., parse_decision_id: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class OutputMask(_message.Message):
    __slots__ = ("ordinal", "method", "rule", "covers_null")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    COVERS_NULL_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    method: MaskMethod
    rule: str
    covers_null: bool
    def __init__(self, ordinal: _Optional[int] = ..., method: _Optional[_Union[MaskMethod, str]] = ..., rule: _Optional[str] = ..., covers_null: _Optional[bool] = ...) -> None: ...

class ColumnGuard(_message.Message):
    __slots__ = ("table_oid", "number", "method")
    TABLE_OID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    table_oid: int
    number: int
    method: MaskMethod
    def __init__(self, table_oid: _Optional[int] = ..., number: _Optional[int] = ..., method: _Optional[_Union[MaskMethod, str]] = ...) -> None: ...

class StatementObligations(_message.Message):
    __slots__ = ("index", "output_count", "masks", "guards", "tables", "scan_text", "other_tables")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    GUARDS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    SCAN_TEXT_FIELD_NUMBER: _ClassVar[int]
    OTHER_TABLES_FIELD_NUMBER: _ClassVar[int]
    index: int
    output_count: int
    masks: _containers.RepeatedCompositeFieldContainer[OutputMask]
    guards: _containers.RepeatedCompositeFieldContainer[ColumnGuard]
    tables: _containers.RepeatedScalarFieldContainer[int]
    scan_text: _containers.RepeatedScalarFieldContainer[int]
    other_tables: bool
    def __init__(self, index: _Optional[int] = ..., output_count: _Optional[int] = ..., masks: _Optional[_Iterable[_Union[OutputMask, _Mapping]]] = ..., guards: _Optional[_Iterable[_Union[ColumnGuard, _Mapping]]] = ..., tables: _Optional[_Iterable[int]] = ..., scan_text: _Optional[_Iterable[int]] = ..., other_tables: _Optional[bool] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("decision_id", "effect", "message", "hint", "results", "statements", "limits", "advice", "holds", "approval_id", "policy_revision", "catalog_changing", "tracks", "sqlstate", "cursor", "wait_s", "catalog_shared")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    CATALOG_CHANGING_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    SQLSTATE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    CATALOG_SHARED_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    effect: _common_pb2.PolicyEffect
    message: str
    hint: str
    results: _containers.RepeatedCompositeFieldContainer[_common_pb2.RuleResult]
    statements: _containers.RepeatedCompositeFieldContainer[StatementObligations]
    limits: _common_pb2.Limits
    advice: _containers.RepeatedScalarFieldContainer[str]
    holds: _containers.RepeatedCompositeFieldContainer[_common_pb2.HoldTerms]
    approval_id: str
    policy_revision: str
    catalog_changing: bool
    tracks: _containers.RepeatedScalarFieldContainer[str]
    sqlstate: str
    cursor: int
    wait_s: int
    catalog_shared: bool
    def __init__(self, decision_id: _Optional[str] = ..., effect: _Optional[_Union[_common_pb2.PolicyEffect, str]] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., results: _Optional[_Iterable[_Union[_common_pb2.RuleResult, _Mapping]]] = ..., statements: _Optional[_Iterable[_Union[StatementObligations, _Mapping]]] = ..., limits: _Optional[_Union[_common_pb2.Limits, _Mapping]] = ..., advice: _Optional[_Iterable[str]] = ..., holds: _Optional[_Iterable[_Union[_common_pb2.HoldTerms, _Mapping]]] = ..., approval_id: _Optional[str] = ..., policy_revision: _Optional[str] = ..., catalog_changing: _Optional[bool] = ..., tracks: _Optional[_Iterable[str]] = ..., sqlstate: _Optional[str] = ..., cursor: _Optional[int] = ..., wait_s: _Optional[int] = ..., catalog_shared: _Optional[bool] = ...) -> None: ...

class DecideAnswer(_message.Message):
    __slots__ = ("request_id", "decision", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    decision: Decision
    error: _common_pb2.Error
    def __init__(self, request_id: _Optional[int] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ..., error: _Optional[_Union[_common_pb2.Error, _Mapping]] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[DecideItem]
    def __init__(self, items: _Optional[_Iterable[_Union[DecideItem, _Mapping]]] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[DecideAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[DecideAnswer, _Mapping]]] = ...) -> None: ...

class DecideStreamRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[DecideItem]
    def __init__(self, items: _Optional[_Iterable[_Union[DecideItem, _Mapping]]] = ...) -> None: ...

class DecideStreamResponse(_message.Message):
    __slots__ = ("answers",)
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[DecideAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[DecideAnswer, _Mapping]]] = ...) -> None: ...

class ExecutionReport(_message.Message):
    __slots__ = ("session_id", "decision_id", "statement_index", "outcome", "command_tag", "rows", "bytes", "duration_ns", "sqlstate", "masked_cells", "in_transaction")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TAG_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    SQLSTATE_FIELD_NUMBER: _ClassVar[int]
    MASKED_CELLS_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    decision_id: str
    statement_index: int
    outcome: _common_pb2.Outcome
    command_tag: str
    rows: int
    bytes: int
    duration_ns: int
    sqlstate: str
    masked_cells: int
    in_transaction: bool
    def __init__(self, session_id: _Optional[str] = ..., decision_id: _Optional[str] = ..., statement_index: _Optional[int] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, str]] = ..., command_tag: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., duration_ns: _Optional[int] = ..., sqlstate: _Optional[str] = ..., masked_cells: _Optional[int] = ..., in_transaction: _Optional[bool] = ...) -> None: ...

class ReportExecutionsRequest(_message.Message):
    __slots__ = ("reports",)
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[ExecutionReport]
    def __init__(self, reports: _Optional[_Iterable[_Union[ExecutionReport, _Mapping]]] = ...) -> None: ...

class ReportExecutionsResponse(_message.Message):
    __slots__ = ("errors",)
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    errors: _containers.RepeatedCompositeFieldContainer[_common_pb2.Error]
    def __init__(self, errors: _Optional[_Iterable[_Union[_common_pb2.Error, _Mapping]]] = ...) -> None: ...

class SyncCatalogRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: _catalog_pb2.CatalogHeader
    chunk: _catalog_pb2.CatalogChunk
    def __init__(self, header: _Optional[_Union[_catalog_pb2.CatalogHeader, _Mapping]] = ..., chunk: _Optional[_Union[_catalog_pb2.CatalogChunk, _Mapping]] = ...) -> None: ...

class SyncCatalogResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class PolicyStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PolicyStatusResponse(_message.Message):
    __slots__ = ("engine", "revision", "activated_unix_nano", "policies", "rejected")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    engine: str
    revision: str
    activated_unix_nano: int
    policies: _containers.RepeatedScalarFieldContainer[str]
    rejected: str
    def __init__(self, engine: _Optional[str] = ..., revision: _Optional[str] = ..., activated_unix_nano: _Optional[int] = ..., policies: _Optional[_Iterable[str]] = ..., rejected: _Optional[str] = ...) -> None: ...

class ReportGapRequest(_message.Message):
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

class ReportGapResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WaitApprovalRequest(_message.Message):
    __slots__ = ("session_id", "approval_id", "timeout_ms")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    approval_id: str
    timeout_ms: int
    def __init__(self, session_id: _Optional[str] = ..., approval_id: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class WaitApprovalResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _approvals_pb2.ApprovalState
    def __init__(self, state: _Optional[_Union[_approvals_pb2.ApprovalState, str]] = ...) -> None: ...
