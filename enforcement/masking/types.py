"""PostgreSQL's built-in types by OID, as far as masks must know them: which hold text, and a safe constant of the
others.

Domains are described by their base type. Types of extensions and users (citext, enums, composites) have OIDs of their
own database: what is not listed, and not known to be text (known.py), has no safe constant, and is masked by NULL.
"""

from __future__ import annotations

from struct import pack

UNKNOWN = 0  # the type is not known, as in COPY output of a query
BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID, JSON, XML = 16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 142
FLOAT4, FLOAT8, MACADDR8, MACADDR, CIDR, INET = 700, 701, 774, 829, 650, 869
BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1042, 1043, 1082, 1083, 1114, 1184
INTERVAL, TIMETZ, VARBIT, NUMERIC, UUID, TSVECTOR, JSONB = 1186, 1266, 1562, 1700, 2950, 3614, 3802
UNKNOWN_LITERAL, CSTRING = 705, 2275

TEXT_TYPES = frozenset({CHAR, NAME, TEXT, UNKNOWN_LITERAL, BPCHAR, VARCHAR, CSTRING})

# Element type by array type.
ARRAYS: dict[int, int] = {
    143: XML, 199: JSON, 651: CIDR, 775: MACADDR8, 1000: BOOL, 1001: BYTEA, 1002: CHAR, 1003: NAME, 1005: INT2,
    1007: INT4, 1009: TEXT, 1014: BPCHAR, 1015: VARCHAR, 1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1028: OID,
    1040: MACADDR, 1041: INET, 1115: TIMESTAMP, 1182: DATE, 1183: TIME, 1185: TIMESTAMPTZ, 1187: INTERVAL,
    1231: NUMERIC, 1263: CSTRING, 1270: TIMETZ, 1563: VARBIT, 2951: UUID, 3643: TSVECTOR, 3807: JSONB,
}  # fmt: skip
RANGES = frozenset({3904, 3906, 3908, 3910, 3912, 3926})
MULTIRANGES = frozenset({4451, 4532, 4533, 4534, 4535, 4536})

# (text form, binary form) of a value that is valid under every setting of the session: dates are ISO.
CONSTANTS: dict[int, tuple[bytes, bytes]] = {
    BOOL: (b"f", b"\x00"),
    BYTEA: (rb"\x", b""),
    INT8: (b"0", bytes(8)),
    INT2: (b"0", bytes(2)),
    INT4: (b"0", bytes(4)),
    OID: (b"0", bytes(4)),
    FLOAT4: (b"0", bytes(4)),
    FLOAT8: (b"0", bytes(8)),
    NUMERIC: (b"0", bytes(8)),
    DATE: (b"2000-01-01", bytes(4)),
    TIME: (b"00:00:00", bytes(8)),
    TIMETZ: (b"00:00:00+00", bytes(12)),
    TIMESTAMP: (b"2000-01-01 00:00:00", bytes(8)),
    TIMESTAMPTZ: (b"2000-01-01 00:00:00+00", bytes(8)),
    INTERVAL: (b"00:00:00", bytes(16)),
    UUID: (b"00000000-0000-0000-0000-000000000000", bytes(16)),
    JSON: (b"{}", b"{}"),
    JSONB: (b"{}", b"\x01{}"),
    XML: (b"<masked/>", b"<masked/>"),
    INET: (b"0.0.0.0", b"\x02\x20\x00\x04" + bytes(4)),
    CIDR: (b"0.0.0.0/32", b"\x02\x20\x01\x04" + bytes(4)),
    MACADDR: (b"00:00:00:00:00:00", bytes(6)),
    MACADDR8: (b"00:00:00:00:00:00:00:00", bytes(8)),
    VARBIT: (b"", bytes(4)),
    TSVECTOR: (b"", bytes(4)),
}


def constant(type_oid: int, code: int) -> bytes | None:
    """A value of the type that says nothing, in text (code 0) or binary (code 1) format; None if there is none."""
    if type_oid in CONSTANTS:
        return CONSTANTS[type_oid][code]
    if type_oid in ARRAYS:
        return pack("!iiI", 0, 0, ARRAYS[type_oid]) if code else b"{}"
    if type_oid in RANGES:
        return b"\x01" if code else b"empty"
    if type_oid in MULTIRANGES:
        return bytes(4) if code else b"{}"
    return None
