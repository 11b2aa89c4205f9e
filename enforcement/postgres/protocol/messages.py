"""Message codes of protocol 3 and the writing of messages.

A message is a code byte, a big-endian 32-bit length that counts itself and the body, and the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from struct import Struct

HEADER = Struct("!BI")
INT32 = Struct("!I")
INT16 = Struct("!H")

FLUSH = b"H\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
AUTHENTICATION_OK = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
ASK_CLEARTEXT_PASSWORD = b"R\x00\x00\x00\x08\x00\x00\x00\x03"


class Front(IntEnum):
    """Codes of messages from a client."""

    BIND = ord("B")
    CLOSE = ord("C")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_FAIL = ord("f")
    DESCRIBE = ord("D")
    EXECUTE = ord("E")
    FLUSH = ord("H")
    FUNCTION_CALL = ord("F")
    PARSE = ord("P")
    PASSWORD = ord("p")
    QUERY = ord("Q")
    SYNC = ord("S")
    TERMINATE = ord("X")


class Back(IntEnum):
    """Codes of messages from a server."""

    AUTHENTICATION = ord("R")
    BACKEND_KEY_DATA = ord("K")
    BIND_COMPLETE = ord("2")
    CLOSE_COMPLETE = ord("3")
    COMMAND_COMPLETE = ord("C")
    COPY_BOTH = ord("W")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_IN = ord("G")
    COPY_OUT = ord("H")
    DATA_ROW = ord("D")
    EMPTY_QUERY = ord("I")
    ERROR = ord("E")
    FUNCTION_RESULT = ord("V")
    NEGOTIATE = ord("v")
    NO_DATA = ord("n")
    NOTICE = ord("N")
    NOTIFICATION = ord("A")
    PARAMETER_DESCRIPTION = ord("t")
    PARAMETER_STATUS = ord("S")
    PARSE_COMPLETE = ord("1")
    PORTAL_SUSPENDED = ord("s")
    READY = ord("Z")
    ROW_DESCRIPTION = ord("T")


def message(code: int, body: bytes) -> bytes:
    return HEADER.pack(code, len(body) + 4) + body


def cstring(text: str) -> bytes:
    """`text` as the protocol's NUL-ended string; NUL inside is dropped rather than let it end the field early."""
    return text.replace("\x00", "").encode("utf-8", "replace") + b"\x00"


def query(text: bytes) -> bytes:
    return message(Front.QUERY, text + b"\x00")


def parse(name: bytes, text: bytes) -> bytes:
    return message(Front.PARSE, name + b"\x00" + text + b"\x00\x00\x00")


def describe_statement(name: bytes) -> bytes:
    return message(Front.DESCRIBE, b"S" + name + b"\x00")


def password(secret: bytes) -> bytes:
    return message(Front.PASSWORD, secret + b"\x00")


def fields(code: int, values: Mapping[str, str]) -> bytes:
    """An ErrorResponse or NoticeResponse with the given field codes; empty values are left out."""
    body = b"".join(key.encode("ascii") + cstring(value) for key, value in values.items() if value)
    return message(code, body + b"\x00")


def error_response(
    sqlstate: str, text: str, *, detail: str = "", hint: str = "", severity: str = "ERROR", position: int = 0
) -> bytes:
    values = {"S": severity, "V": severity, "C": sqlstate, "M": text, "D": detail, "H": hint}
    if position:
        values["P"] = str(position)
    return fields(Back.ERROR, values)


def notice_response(text: str, *, detail: str = "", hint: str = "", sqlstate: str = "00000") -> bytes:
    return fields(Back.NOTICE, {"S": "NOTICE", "V": "NOTICE", "C": sqlstate, "M": text, "D": detail, "H": hint})


def parameter_status(name: str, value: str) -> bytes:
    return message(Back.PARAMETER_STATUS, cstring(name) + cstring(value))


def backend_key_data(process_id: int, secret: bytes) -> bytes:
    return message(Back.BACKEND_KEY_DATA, INT32.pack(process_id) + secret)


def ready_for_query(status: str) -> bytes:
    return message(Back.READY, status.encode("ascii"))


def negotiate_protocol_version(minor: int, unrecognised: Iterable[str]) -> bytes:
    names = list(unrecognised)
    body = INT32.pack((3 << 16) | minor) + INT32.pack(len(names)) + b"".join(cstring(name) for name in names)
    return message(Back.NEGOTIATE, body)


def startup(parameters: Mapping[str, str]) -> bytes:
    """A StartupMessage for protocol 3.0."""
    body = INT32.pack(3 << 16)
    body += b"".join(cstring(key) + cstring(value) for key, value in parameters.items()) + b"\x00"
    return INT32.pack(len(body) + 4) + body


def cancel_request(process_id: int, secret: bytes) -> bytes:
    body = INT32.pack(80877102) + INT32.pack(process_id) + secret
    return INT32.pack(len(body) + 4) + body
