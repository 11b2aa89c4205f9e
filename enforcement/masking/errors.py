"""Errors and notices of the server without values, from the first statement of a session that touches masked columns.

A message may hold a value in clear (`invalid input syntax for type integer: "…"`, `Key (email)=(…) already exists`,
a RAISE with anything in it, even in the SQLSTATE of something harmless). So nothing is passed because it looks
harmless:

- SQLSTATE, severity, position and the server's source place stay;
- a message stays if it is one of a fixed list of constant texts, or if it is about the statement's own text: it has a
  position in it and comes from no function, so it was raised before any row was read;
- otherwise it is replaced by a text of ours for its SQLSTATE, with the names of constraint, table, column and type;
- those names stay unless a function set them itself (RAISE … USING CONSTRAINT = …);
- detail, context, internal query never stay; the hint stays with the message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

WITHHELD: Final = "(value withheld)"
HINT: Final = "The server's own text is withheld because this session has touched masked columns."
PLACES: Final = "SVCFLR"
NAMES: Final = "stcdn"
STATE: Final = re.compile(r"[0-9A-Z]{5}")
FRAME: Final = re.compile(r'SQL statement "|SQL function "|COPY |PL/pgSQL function ')
ABOUT_TEXT: Final = ("42", "0A")  # syntax, names, access; feature not supported

CONSTANT: Final = frozenset({
    "canceling statement due to user request",
    "canceling statement due to statement timeout",
    "canceling statement due to lock timeout",
    "canceling statement due to conflict with recovery",
    "terminating connection due to administrator command",
    "terminating connection due to idle-in-transaction timeout",
    "terminating connection due to transaction timeout",
    "terminating connection due to idle-session timeout",
    "the database system is shutting down",
    "the database system is starting up",
    "current transaction is aborted, commands ignored until end of transaction block",
    "there is already a transaction in progress",
    "there is no transaction in progress",
    "deadlock detected",
    "could not serialize access due to concurrent update",
    "could not serialize access due to concurrent delete",
    "could not serialize access due to read/write dependencies among transactions",
    "division by zero",
    "out of memory",
    "out of shared memory",
    "stack depth limit exceeded",
    "integer out of range",
    "bigint out of range",
    "smallint out of range",
    "numeric field overflow",
    "value out of range: overflow",
    "value out of range: underflow",
    "timestamp out of range",
    "date out of range",
    "interval out of range",
    "more than one row returned by a subquery used as an expression",
    "bind message has wrong number of parameters",
    "cannot execute DELETE in a read-only transaction",
    "cannot execute INSERT in a read-only transaction",
    "cannot execute UPDATE in a read-only transaction",
})  # fmt: skip

TYPES: Final = frozenset({
    "smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "boolean", "date", "time",
    "time with time zone", "timestamp", "timestamp with time zone", "interval", "uuid", "json", "jsonb", "xml", "bytea",
    "inet", "cidr", "macaddr", "macaddr8", "oid", "point", "line", "lseg", "box", "path", "polygon", "circle",
    "tsvector", "tsquery", "pg_lsn", "tid", "xid", "int4range", "int8range", "numrange", "daterange", "tsrange",
    "tstzrange", "bit", "bit varying", "regclass", "regtype", "regproc", "character", "character varying",
})  # fmt: skip
INVALID: Final = re.compile(r"invalid input syntax for type ([a-z0-9 _]{1,40})(?::|$)")
RANGE: Final = re.compile(r'value ".*" is out of range for type ([a-z0-9 ]{1,40})$', re.DOTALL)
TOO_LONG: Final = re.compile(r"value too long for type (character|character varying|bit|bit varying)\([0-9]{1,9}\)$")
PERMISSION: Final = re.compile(
    r'permission denied for (?:table|view|schema|sequence|function|database|type|language|foreign table|'
    r'materialized view|foreign server|large object|column) [A-Za-z_0-9]{1,63}'
)  # fmt: skip

# By SQLSTATE, else by its class. The names are filled in when the server gave them.
TEXTS: Final = {
    "22001": "value too long for its type (value withheld)",
    "22003": "numeric value out of range (value withheld)",
    "22007": "invalid date or time (value withheld)",
    "22008": "date or time out of range (value withheld)",
    "22P02": "invalid input syntax (value withheld)",
    "22P03": "invalid binary value (value withheld)",
    "22": "invalid data (value withheld)",
    "23502": "null value violates a not-null constraint",
    "23503": "a foreign key constraint is violated",
    "23505": "duplicate key value violates a unique constraint",
    "23514": "a check constraint is violated",
    "23P01": "an exclusion constraint is violated",
    "23": "an integrity constraint is violated",
    "0A": "the server does not support this (text withheld)",
    "3F": "a schema does not exist (name withheld)",
    "25": "the transaction's state does not allow this",
    "40": "the transaction was rolled back by the server; try again",
    "42501": "permission denied by the server",
    "42": "the statement can't be executed as it is written",
    "53": "the server lacks resources",
    "54": "a limit of the server is exceeded",
    "55": "an object is not in the state that this needs",
    "57": "the server ended the statement",
    "58": "a system error happened at the server",
    "P0": "a function raised an error (text withheld)",
    "XX": "an internal error happened at the server",
    "00": "notice (text withheld)",
    "01": "warning (text withheld)",
    "02": "no data (text withheld)",
}
OTHERWISE: Final = "the statement failed (text withheld)"
LABELS: Final = {"n": "constraint", "t": "table", "c": "column", "d": "type"}


def clean(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse, by their codes, that may leave."""
    state = fields.get("C", "")
    if not STATE.fullmatch(state):
        state = "XX000"
    found = {code: fields[code] for code in PLACES if code in fields} | {"C": state}
    if fields.get("P", "").isascii() and fields.get("P", "").isdigit():
        found["P"] = fields["P"]
    if _names_are_the_servers(fields.get("W", "")):
        found |= {code: fields[code] for code in NAMES if fields.get(code)}
    message = fields.get("M", "")
    if _about_the_text(state, fields):
        found["M"] = message
        if fields.get("H"):
            found["H"] = fields["H"]
        return found
    if message in CONSTANT:
        found["M"] = message
        return found
    found["M"] = _rewritten(state, message, fields) + _named(found)
    found["H"] = HINT
    return found


def _names_are_the_servers(context: str) -> bool:
    """Whether no function's own code raised it: the innermost frame is SQL, or there is none."""
    first = context.partition("\n")[0]
    return not first or (FRAME.match(first) is not None and "RAISE" not in first)


def _about_the_text(state: str, fields: Mapping[str, str]) -> bool:
    """Raised while the statement was parsed: `P` is set, and nothing ran inside of it."""
    return "P" in fields and state.startswith(ABOUT_TEXT) and not any(code in fields for code in "Wpq")


def _rewritten(state: str, message: str, fields: Mapping[str, str]) -> str:
    invalid = INVALID.match(message)
    if invalid and invalid[1] in TYPES:
        return f"invalid input syntax for type {invalid[1]} {WITHHELD}"
    outside = RANGE.fullmatch(message)
    if outside and outside[1] in TYPES:
        return f"value out of range for type {outside[1]} {WITHHELD}"
    if TOO_LONG.fullmatch(message) or (not fields.get("W") and PERMISSION.fullmatch(message)):
        return message
    return TEXTS.get(state) or TEXTS.get(state[:2]) or OTHERWISE


def _named(found: Mapping[str, str]) -> str:
    names = ", ".join(f'{LABELS[code]} "{found[code]}"' for code in LABELS if found.get(code))
    return f" ({names})" if names else ""
