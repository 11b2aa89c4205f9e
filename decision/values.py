"""Canonical text of bound values, so that a value bound in binary and the same one written in the text agree. Pure."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping

from decision.model.session import ParameterValue

_TEXT_TYPES = frozenset({0, 18, 19, 25, 1042, 1043})  # unknown, char, name, text, bpchar, varchar


def _integer(value: bytes) -> bytes:
    return b"%d" % int.from_bytes(value, "big", signed=True)


def _boolean(value: bytes) -> bytes:
    return b"true" if value != b"\0" else b"false"


def _float(layout: str) -> Callable[[bytes], bytes]:
    return lambda value: repr(float(struct.unpack(layout, value)[0])).removesuffix(".0").encode()


_BINARY: Mapping[int, Callable[[bytes], bytes]] = {
    16: _boolean,
    20: _integer,
    21: _integer,
    23: _integer,
    26: _integer,
    700: _float("!f"),
    701: _float("!d"),
    2950: lambda value: str(uuid.UUID(bytes=value)).encode(),
}
_WIDTHS: Mapping[int, int] = {16: 1, 20: 8, 21: 2, 23: 4, 26: 4, 700: 4, 701: 8, 2950: 16}


def canonical(parameter: ParameterValue) -> bytes | None:
    """The value as PostgreSQL prints it; None for NULL and for binary values of types that are not known here."""
    if parameter.value is None:
        return None
    if parameter.format == 0:
        if parameter.type_oid == 16:
            return b"true" if parameter.value.lower() in (b"t", b"true", b"1", b"on", b"yes") else b"false"
        return parameter.value
    if parameter.type_oid in _TEXT_TYPES and parameter.type_oid != 0:
        return parameter.value
    decode = _BINARY.get(parameter.type_oid)
    if decode is None or len(parameter.value) != _WIDTHS[parameter.type_oid]:
        return None
    return decode(parameter.value)
