from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Counters(_message.Message):
    __slots__ = ("issuer", "subject", "time_unix_nano", "counters")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    subject: str
    time_unix_nano: int
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, issuer: _Optional[str] = ..., subject: _Optional[str] = ..., time_unix_nano: _Optional[int] = ..., counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class Counter(_message.Message):
    __slots__ = ("name", "value", "until_unix_nano")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    until_unix_nano: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ..., until_unix_nano: _Optional[int] = ...) -> None: ...
