"""Makes an event fit its largest size by leaving out what is largest, with a hash of it in its place.

Nothing is lost silently: every cut is an `Omission` with the field's path, the SHA-256 and the length of its complete
value. The order is fixed. Of a StatementDecided the text goes first, because the policy input repeats it, then the
input; after these the largest field of the payload, again and again. A text keeps its first characters so that people
can still tell what it was; bytes and repeated fields go whole (half a JSON document explains nothing). The chain of
principals stays: of a huge one its groups go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from decision.wire.gen import common_pb2

KEPT_CHARACTERS = 256
SMALLEST = 64  # fields below this many bytes are never worth an Omission
FIRST = ("statement_text", "input_json")


def omit(event: Any, field: str, limit: int) -> bytes:
    """Cut the payload in `event.<field>` until `event` takes at most `limit` bytes; return them.

    Raises ValueError if nothing is left to cut, which needs thousands of small fields: no payload has them.
    """
    payload = getattr(event, field)
    preferred = [name for name in FIRST if name in payload.DESCRIPTOR.fields_by_name]
    while True:
        raw: bytes = event.SerializeToString()
        if len(raw) <= limit:
            return raw
        found = {path: (size, holder, descriptor) for size, path, holder, descriptor in _fields(payload, "")}
        while preferred and preferred[0] not in found:
            preferred.pop(0)
        path = preferred.pop(0) if preferred else max(found, key=lambda name: found[name][0], default="")
        if not path:
            raise ValueError(f"a {event.type} event can't be made to fit {limit} bytes")
        _, holder, descriptor = found[path]
        _cut(event, path, holder, descriptor)


def _fields(message: Message, prefix: str) -> Iterator[tuple[int, str, Message, FieldDescriptor]]:
    """(size, path, message that holds it, descriptor) of everything in `message` that can be left out by itself."""
    for descriptor, value in message.ListFields():
        path = prefix + descriptor.name
        if descriptor.is_repeated and descriptor.message_type is common_pb2.Principal.DESCRIPTOR:
            for index, member in enumerate(value):  # who acted is never left out, only what is said of them
                yield from _fields(member, f"{path}[{index}].")
            continue
        elif descriptor.is_repeated:
            size = len(_bytes_of(message, descriptor, value))
        elif isinstance(value, Message):
            yield from _fields(value, path + ".")
            continue
        elif isinstance(value, str):
            size = len(value.encode()) if len(value) > KEPT_CHARACTERS else 0
        elif isinstance(value, bytes):
            size = len(value)
        else:
            continue
        if size > SMALLEST:
            yield size, path, message, descriptor


def _cut(event: Any, path: str, holder: Message, descriptor: FieldDescriptor) -> None:
    value = getattr(holder, descriptor.name)
    whole = _bytes_of(holder, descriptor, value)
    event.omissions.add(field=path, sha256=hashlib.sha256(whole).digest(), length=len(whole))
    if isinstance(value, str):
        setattr(holder, descriptor.name, value[:KEPT_CHARACTERS])
    else:
        holder.ClearField(descriptor.name)


def _bytes_of(holder: Message, descriptor: FieldDescriptor, value: Any) -> bytes:
    """The complete value: a text as UTF-8, bytes as they are, repeated fields as protobuf encodes them alone."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    alone = type(holder)()
    getattr(alone, descriptor.name).extend(value)
    return alone.SerializeToString(deterministic=True)
