"""Which mask a column gets: method x type x format.

Text kinds (text, varchar, char(n), name, citext and domains over them) get what the method says:

    email      a***@example.com            what is no address: ***
    last_four  ****1234                    fewer than 8 letters and digits: ****
    partial    J***n                       fewer than 6 characters: ***
    hash       32 hexadecimal digits, HMAC-SHA-256 under the key: equal values stay equal
    full       ***
    null       NULL

Of the other types, hash keeps bigint, uuid and bytea joinable by a pseudonym of their own type. Every other method
gives a constant of the type that says nothing: 0, false, 2000-01-01, the nil UUID, {} for json and arrays, an empty
range. Types that have none (money, enums, composites, whatever is not built in), and null always, give NULL. NULL
stays NULL: that a value is absent is not hidden. Text and binary format of one value have the same pseudonym.

In COPY output of a query the types are unknown: text and csv are then masked as text, binary fields become NULL.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from decision.model.decision import MaskMethod
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking import rows, types
from enforcement.masking.numbers import numeric_text
from enforcement.masking.scan import scan

TEXT_ACTIONS: Final = {
    MaskMethod.EMAIL: rows.EMAIL,
    MaskMethod.LAST_FOUR: rows.LAST_FOUR,
    MaskMethod.PARTIAL: rows.PARTIAL,
}
# Opaque output of these types says too little to be closed; numbers that can hold a card are scanned.
HARMLESS: Final = frozenset({
    types.BOOL, types.INT2, types.INT4, types.OID, types.FLOAT4, types.FLOAT8, types.DATE, types.TIME, types.TIMETZ,
    types.TIMESTAMP, types.TIMESTAMPTZ, types.INTERVAL, types.UUID, 2278,
})  # fmt: skip


def column_mask(
    ordinal: int,
    method: MaskMethod,
    type_oid: int,
    code: int,
    key: bytes,
    text_types: frozenset[int] = frozenset(),
) -> rows.ColumnMask:
    """The mask of output column `ordinal` (1-based) in format `code` (0 text, 1 binary).

    `text_types` are OIDs of further types that look like text in both formats (citext). Raises
    ObligationUnfulfillable for an unknown format, or a pseudonym without a key.
    """
    if code not in (0, 1):
        raise ObligationUnfulfillable(f"format {code} of output column {ordinal} is unknown")
    if method is MaskMethod.HASH and not key:
        raise ObligationUnfulfillable("masking by hash needs a key")
    if method is MaskMethod.NULL:
        return rows.ColumnMask(ordinal, rows.NULL)
    if is_text(type_oid, code, text_types):
        return _text_mask(ordinal, method, type_oid, key)
    if method is MaskMethod.HASH and type_oid in PSEUDONYMS:
        make = PSEUDONYMS[type_oid]
        return rows.ColumnMask(ordinal, rows.CALL, function=lambda value: make(key, value, code))
    return closed(ordinal, type_oid, code)


def is_text(type_oid: int, code: int, text_types: frozenset[int]) -> bool:
    return type_oid in types.TEXT_TYPES or type_oid in text_types or (type_oid == types.UNKNOWN and code == 0)


def closed(ordinal: int, type_oid: int, code: int) -> rows.ColumnMask:
    """A constant of the type, or NULL."""
    constant = types.constant(type_oid, code)
    if constant is None:
        return rows.ColumnMask(ordinal, rows.NULL)
    return rows.ColumnMask(ordinal, rows.CONSTANT, constant=constant)


def _text_mask(ordinal: int, method: MaskMethod, type_oid: int, key: bytes) -> rows.ColumnMask:
    if type_oid == types.CHAR:  # "char" holds one byte
        return rows.ColumnMask(ordinal, rows.CONSTANT, constant=b"*")
    if method is MaskMethod.HASH:
        if type_oid == types.BPCHAR:  # padding is not significant in char(n)
            make = rows.Pseudonyms(key).text
            return rows.ColumnMask(ordinal, rows.CALL, function=lambda value: make(value.rstrip(b" ")))
        return rows.ColumnMask(ordinal, rows.HASH, key=key)
    action = TEXT_ACTIONS.get(method)
    if action is None:
        return rows.ColumnMask(ordinal, rows.CONSTANT, constant=rows.FULL_TEXT)
    return rows.ColumnMask(ordinal, action)


def scan_mask(
    ordinal: int, type_oid: int, code: int, text_types: frozenset[int] = frozenset()
) -> rows.ColumnMask | None:
    """For a column of unknown origin: text is scanned, harmless scalars pass (None), everything else is closed."""
    if is_text(type_oid, code, text_types):
        return rows.ColumnMask(ordinal, rows.CALL, function=scan)
    if type_oid in HARMLESS:
        return None
    if type_oid in (types.INT8, types.NUMERIC):
        nothing = types.CONSTANTS[type_oid][code]

        def number(value: bytes) -> bytes:
            text = value if code == 0 else _number_text(type_oid, value)
            return value if scan(text) == text else nothing

        return rows.ColumnMask(ordinal, rows.CALL, function=number)
    return closed(ordinal, type_oid, code)


def _number_text(type_oid: int, value: bytes) -> bytes:
    return numeric_text(value) if type_oid == types.NUMERIC else _int8_text(value)


# ── pseudonyms of other types ───────────────────────────────────────────────────────────────────────────────────────


def _int8_text(value: bytes) -> bytes:
    return str(int.from_bytes(value, "big", signed=True)).encode("ascii")


def _int8(key: bytes, value: bytes, code: int) -> bytes:
    digest = hmac.digest(key, _int8_text(value) if code else value, "sha256")
    number = int.from_bytes(digest[:8], "big") >> 1
    return number.to_bytes(8, "big") if code else str(number).encode("ascii")


def _uuid(key: bytes, value: bytes, code: int) -> bytes:
    """A UUID of version 8."""
    plain = value if code else bytes.fromhex(value.decode("ascii").replace("-", ""))
    made = bytearray(hmac.digest(key, plain, "sha256")[:16])
    made[6] = made[6] & 0x0F | 0x80
    made[8] = made[8] & 0x3F | 0x80
    if code:
        return bytes(made)
    text = made.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).encode("ascii")


def _bytea(key: bytes, value: bytes, code: int) -> bytes:
    plain = value if code else bytea_bytes(value)
    made = hmac.digest(key, plain, "sha256")[:16]
    return made if code else rb"\x" + made.hex().encode("ascii")


def bytea_bytes(text: bytes) -> bytes:
    """bytea's text form, of bytea_output hex or escape, as bytes."""
    if text.startswith(rb"\x"):
        return bytes.fromhex(text[2:].decode("ascii"))
    out = bytearray()
    position = 0
    while position < len(text):
        if text[position] != 92:
            out.append(text[position])
            position += 1
        elif text[position + 1 : position + 2] == b"\\":
            out.append(92)
            position += 2
        else:
            out.append(int(text[position + 1 : position + 4], 8))
            position += 4
    return bytes(out)


def _closing(make: Callable[[bytes, bytes, int], bytes]) -> Callable[[bytes, bytes, int], bytes | None]:
    """A value that is none of its type becomes NULL."""

    def safe(key: bytes, value: bytes, code: int) -> bytes | None:
        try:
            return make(key, value, code)
        except ValueError:
            return None

    return safe


PSEUDONYMS: Final = {types.INT8: _closing(_int8), types.UUID: _closing(_uuid), types.BYTEA: _closing(_bytea)}
