from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RevealTextRequest(_message.Message):
    __slots__ = ("credential", "decision_id", "sealed_text", "statement_digest", "reason")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    SEALED_TEXT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    credential: str
    decision_id: str
    sealed_text: bytes
    statement_digest: bytes
    reason: str
    def __init__(self, credential: _Optional[str] = ..., decision_id: _Optional[str] = ..., sealed_text: _Optional[bytes] = ..., statement_digest: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class RevealTextResponse(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: bytes
    def __init__(self, text: _Optional[bytes] = ...) -> None: ...

class EraseTextsRequest(_message.Message):
    __slots__ = ("credential", "subject", "issuer", "before_month", "reason")
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_MONTH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    credential: str
    subject: str
    issuer: str
    before_month: str
    reason: str
    def __init__(self, credential: _Optional[str] = ..., subject: _Optional[str] = ..., issuer: _Optional[str] = ..., before_month: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EraseTextsResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: int
    def __init__(self, keys: _Optional[int] = ...) -> None: ...

class ListTextKeysRequest(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: str
    def __init__(self, credential: _Optional[str] = ...) -> None: ...

class TextKey(_message.Message):
    __slots__ = ("key_id", "subject", "issuer", "on_behalf_of", "month", "wrapping")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    ON_BEHALF_OF_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    WRAPPING_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    subject: str
    issuer: str
    on_behalf_of: _containers.RepeatedScalarFieldContainer[str]
    month: str
    wrapping: str
    def __init__(self, key_id: _Optional[str] = ..., subject: _Optional[str] = ..., issuer: _Optional[str] = ..., on_behalf_of: _Optional[_Iterable[str]] = ..., month: _Optional[str] = ..., wrapping: _Optional[str] = ...) -> None: ...

class ListTextKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[TextKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[TextKey, _Mapping]]] = ...) -> None: ...
