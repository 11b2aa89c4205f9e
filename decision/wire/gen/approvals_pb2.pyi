from decision.wire.gen import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApprovalState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPROVAL_STATE_UNSPECIFIED: _ClassVar[ApprovalState]
    APPROVAL_STATE_REQUESTED: _ClassVar[ApprovalState]
    APPROVAL_STATE_GRANTED: _ClassVar[ApprovalState]
    APPROVAL_STATE_DENIED: _ClassVar[ApprovalState]
    APPROVAL_STATE_EXPIRED: _ClassVar[ApprovalState]
    APPROVAL_STATE_USED: _ClassVar[ApprovalState]
APPROVAL_STATE_UNSPECIFIED: ApprovalState
APPROVAL_STATE_REQUESTED: ApprovalState
APPROVAL_STATE_GRANTED: ApprovalState
APPROVAL_STATE_DENIED: ApprovalState
APPROVAL_STATE_EXPIRED: ApprovalState
APPROVAL_STATE_USED: ApprovalState

class Vote(_message.Message):
    __slots__ = ("approver", "granted", "reason", "time_unix_nano")
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    approver: _common_pb2.Principal
    granted: bool
    reason: str
    time_unix_nano: int
    def __init__(self, approver: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., granted: _Optional[bool] = ..., reason: _Optional[str] = ..., time_unix_nano: _Optional[int] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("approval_id", "state", "requester", "database", "statement", "statement_digest", "parameters_digest", "rules", "approvers", "quorum", "requested_unix_nano", "expires_unix_nano", "intent", "ticket", "decision_id", "session_id", "votes", "holds")
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    approval_id: str
    state: ApprovalState
    requester: _common_pb2.Principal
    database: str
    statement: str
    statement_digest: bytes
    parameters_digest: bytes
    rules: _containers.RepeatedScalarFieldContainer[str]
    approvers: _containers.RepeatedScalarFieldContainer[str]
    quorum: int
    requested_unix_nano: int
    expires_unix_nano: int
    intent: str
    ticket: str
    decision_id: str
    session_id: str
    votes: _containers.RepeatedCompositeFieldContainer[Vote]
    holds: _containers.RepeatedCompositeFieldContainer[_common_pb2.HoldTerms]
    def __init__(self, approval_id: _Optional[str] = ..., state: _Optional[_Union[ApprovalState, str]] = ..., requester: _Optional[_Union[_common_pb2.Principal, _Mapping]] = ..., database: _Optional[str] = ..., statement: _Optional[str] = ..., statement_digest: _Optional[bytes] = ..., parameters_digest: _Optional[bytes] = ..., rules: _Optional[_Iterable[str]] = ..., approvers: _Optional[_Iterable[str]] = ..., quorum: _Optional[int] = ..., requested_unix_nano: _Optional[int] = ..., expires_unix_nano: _Optional[int] = ..., intent: _Optional[str] = ..., ticket: _Optional[str] = ..., decision_id: _Optional[str] = ..., session_id: _Optional[str] = ..., votes: _Optional[_Iterable[_Union[Vote, _Mapping]]] = ..., holds: _Optional[_Iterable[_Union[_common_pb2.HoldTerms, _Mapping]]] = ...) -> None: ...

class ListApprovalsRequest(_message.Message):
    __slots__ = ("credential", "include_closed")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CLOSED_FIELD_NUMBER: _ClassVar[int]
    credential: str
    include_closed: bool
    def __init__(self, credential: _Optional[str] = ..., include_closed: _Optional[bool] = ...) -> None: ...

class ListApprovalsResponse(_message.Message):
    __slots__ = ("approvals",)
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    def __init__(self, approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ...) -> None: ...

class GetApprovalRequest(_message.Message):
    __slots__ = ("credential", "approval_id")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    credential: str
    approval_id: str
    def __init__(self, credential: _Optional[str] = ..., approval_id: _Optional[str] = ...) -> None: ...

class GetApprovalResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class ApproveRequest(_message.Message):
    __slots__ = ("credential", "approval_id", "reason")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    credential: str
    approval_id: str
    reason: str
    def __init__(self, credential: _Optional[str] = ..., approval_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ApproveResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class DenyRequest(_message.Message):
    __slots__ = ("credential", "approval_id", "reason")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    credential: str
    approval_id: str
    reason: str
    def __init__(self, credential: _Optional[str] = ..., approval_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DenyResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...
