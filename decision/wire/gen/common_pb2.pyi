from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PrincipalKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRINCIPAL_KIND_UNSPECIFIED: _ClassVar[PrincipalKind]
    PRINCIPAL_KIND_HUMAN: _ClassVar[PrincipalKind]
    PRINCIPAL_KIND_AGENT: _ClassVar[PrincipalKind]
    PRINCIPAL_KIND_SERVICE: _ClassVar[PrincipalKind]

class PolicyEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_EFFECT_UNSPECIFIED: _ClassVar[PolicyEffect]
    POLICY_EFFECT_ALLOW: _ClassVar[PolicyEffect]
    POLICY_EFFECT_DENY: _ClassVar[PolicyEffect]
    POLICY_EFFECT_HOLD: _ClassVar[PolicyEffect]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_COMPLETED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
    OUTCOME_DENIED: _ClassVar[Outcome]
    OUTCOME_UNKNOWN: _ClassVar[Outcome]
PRINCIPAL_KIND_UNSPECIFIED: PrincipalKind
PRINCIPAL_KIND_HUMAN: PrincipalKind
PRINCIPAL_KIND_AGENT: PrincipalKind
PRINCIPAL_KIND_SERVICE: PrincipalKind
POLICY_EFFECT_UNSPECIFIED: PolicyEffect
POLICY_EFFECT_ALLOW: PolicyEffect
POLICY_EFFECT_DENY: PolicyEffect
POLICY_EFFECT_HOLD: PolicyEffect
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_COMPLETED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_CANCELLED: Outcome
OUTCOME_DENIED: Outcome
OUTCOME_UNKNOWN: Outcome

class Authentication(_message.Message):
    __slots__ = ("method", "amr", "time_unix", "expires_unix")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    AMR_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_FIELD_NUMBER: _ClassVar[int]
    method: str
    amr: _containers.RepeatedScalarFieldContainer[str]
    time_unix: int
    expires_unix: int
    def __init__(self, method: _Optional[str] = ..., amr: _Optional[_Iterable[str]] = ..., time_unix: _Optional[int] = ..., expires_unix: _Optional[int] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("issuer", "subject", "kind", "email", "groups", "on_behalf_of", "authentication")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    ON_BEHALF_OF_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATION_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    kind: PrincipalKind
    email: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    on_behalf_of: _containers.RepeatedCompositeFieldContainer[Principal]
    authentication: Authentication
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., kind: _Optional[_Union[PrincipalKind, str]] = ..., email: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., on_behalf_of: _Optional[_Iterable[_Union[Principal, _Mapping]]] = ..., authentication: _Optional[_Union[Authentication, _Mapping]] = ...) -> None: ...

class ClientInfo(_message.Message):
    __slots__ = ("address", "application", "protocol", "tls")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TLS_FIELD_NUMBER: _ClassVar[int]
    address: str
    application: str
    protocol: str
    tls: str
    def __init__(self, address: _Optional[str] = ..., application: _Optional[str] = ..., protocol: _Optional[str] = ..., tls: _Optional[str] = ...) -> None: ...

class NameValue(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class RuleResult(_message.Message):
    __slots__ = ("rule", "effect", "message", "severity", "controls")
    RULE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    rule: str
    effect: PolicyEffect
    message: str
    severity: str
    controls: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rule: _Optional[str] = ..., effect: _Optional[_Union[PolicyEffect, str]] = ..., message: _Optional[str] = ..., severity: _Optional[str] = ..., controls: _Optional[_Iterable[str]] = ...) -> None: ...

class HoldTerms(_message.Message):
    __slots__ = ("rule", "approvers", "quorum", "expires_s", "wait_s", "auto")
    RULE_FIELD_NUMBER: _ClassVar[int]
    APPROVERS_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_S_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    AUTO_FIELD_NUMBER: _ClassVar[int]
    rule: str
    approvers: _containers.RepeatedScalarFieldContainer[str]
    quorum: int
    expires_s: int
    wait_s: int
    auto: str
    def __init__(self, rule: _Optional[str] = ..., approvers: _Optional[_Iterable[str]] = ..., quorum: _Optional[int] = ..., expires_s: _Optional[int] = ..., wait_s: _Optional[int] = ..., auto: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("rows", "bytes", "timeout_ms", "read_only")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    rows: int
    bytes: int
    timeout_ms: int
    read_only: bool
    def __init__(self, rows: _Optional[int] = ..., bytes: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., read_only: _Optional[bool] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "hint", "cursor", "producer_id", "epoch", "seq")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    hint: str
    cursor: int
    producer_id: str
    epoch: int
    seq: int
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., cursor: _Optional[int] = ..., producer_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...
