"""Message codes of protocol 3 and the writing of messages.

A message is a code byte, a big-endian 32-bit length that counts itself and the body, and the body.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final

HEADER = Struct("!BI")
INT32 = Struct("!I")
INT16 = Struct("!H")
COMPILED: Final = not __file__.endswith(".py")
CUT_SHORT = (struct.error, IndexError)  # what reading a number beyond the end raises

FLUSH = b"H\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
AUTHENTICATION_OK = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
ASK_CLEARTEXT_PASSWORD = b"R\x00\x00\x00\x08\x00\x00\x00\x03"


class Front:
    """Codes of messages from a client. Plain numbers, here and below, because these compile to fast comparisons."""

    BIND: Final = 0x42  # B
    CLOSE: Final = 0x43  # C
    COPY_DATA: Final = 0x64  # d
    COPY_DONE: Final = 0x63  # c
    COPY_FAIL: Final = 0x66  # f
    DESCRIBE: Final = 0x44  # D
    EXECUTE: Final = 0x45  # E
    FLUSH: Final = 0x48  # H
    FUNCTION_CALL: Final = 0x46  # F
    PARSE: Final = 0x50  # P
    PASSWORD: Final = 0x70  # p
    QUERY: Final = 0x51  # Q
    SYNC: Final = 0x53  # S
    TERMINATE: Final = 0x58  # X


class Back:
    """Codes of messages from a server."""

    AUTHENTICATION: Final = 0x52  # R
    BACKEND_KEY_DATA: Final = 0x4B  # K
    BIND_COMPLETE: Final = 0x32  # 2
    CLOSE_COMPLETE: Final = 0x33  # 3
    COMMAND_COMPLETE: Final = 0x43  # C
    COPY_BOTH: Final = 0x57  # W
    COPY_DATA: Final = 0x64  # d
    COPY_DONE: Final = 0x63  # c
    COPY_IN: Final = 0x47  # G
    COPY_OUT: Final = 0x48  # H
    DATA_ROW: Final = 0x44  # D
    EMPTY_QUERY: Final = 0x49  # I
    ERROR: Final = 0x45  # E
    FUNCTION_RESULT: Final = 0x56  # V
    NEGOTIATE: Final = 0x76  # v
    NO_DATA: Final = 0x6E  # n
    NOTICE: Final = 0x4E  # N
    NOTIFICATION: Final = 0x41  # A
    PARAMETER_DESCRIPTION: Final = 0x74  # t
    PARAMETER_STATUS: Final = 0x53  # S
    PARSE_COMPLETE: Final = 0x31  # 1
    PORTAL_SUSPENDED: Final = 0x73  # s
    READY: Final = 0x5A  # Z
    ROW_DESCRIPTION: Final = 0x54  # T


def codes(of: type) -> frozenset[int]:
    """All that a class of constants names."""
    return frozenset(value for name, value in vars(of).items() if name.isupper() and isinstance(value, int))


def uint32(raw: bytes, position: int) -> int:
    """Raises struct.error, or IndexError where it is compiled, for a number that is cut short."""
    if COMPILED:
        return (raw[position] << 24) | (raw[position + 1] << 16) | (raw[position + 2] << 8) | raw[position + 3]
    number: int = INT32.unpack_from(raw, position)[0]
    return number


def uint16(raw: bytes, position: int) -> int:
    """Raises like `uint32`."""
    if COMPILED:
        return (raw[position] << 8) | raw[position + 1]
    number: int = INT16.unpack_from(raw, position)[0]
    return number


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
