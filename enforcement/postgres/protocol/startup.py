"""What a client sends before there is a session: encryption requests, cancel requests and the startup packet.

The startup packet's parameters are sorted here: what is ours (intent, ticket), what may be forwarded, what is refused.
A parameter that is not known to be harmless is refused by name, so that nothing changes how later texts are read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from enforcement.postgres.protocol.errors import StartupRefused
from enforcement.postgres.protocol.messages import INT32

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
LONGEST_STARTUP = 10_000  # bytes, as in PostgreSQL
NEWEST_MINOR = 2

FORWARDED = {
    name.lower(): name
    for name in (
        "application_name", "DateStyle", "IntervalStyle", "TimeZone", "search_path", "extra_float_digits",
        "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
        "transaction_timeout", "bytea_output", "xmloption", "xmlbinary", "geqo", "jit", "plan_cache_mode",
        "enable_seqscan", "enable_indexscan", "enable_bitmapscan", "default_transaction_isolation",
        "default_transaction_deferrable", "client_min_messages", "lc_messages", "random_page_cost",
        "default_statistics_target",
    )
}  # fmt: skip
OWN = {"airlock.intent": "intent", "airlock.ticket": "ticket"}
UTF8_NAMES = frozenset({"utf8", "utf-8", "unicode", "auto"})
REPLICATION_OFF = frozenset({"", "false", "off", "no", "0"})


@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    """SSLRequest or, with `gss`, GSSENCRequest."""

    gss: bool


@dataclass(frozen=True, slots=True)
class CancelRequest:
    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Startup:
    """A client's wish for a session. `minor` is the protocol's minor version to be used, `unrecognised` the `_pq_.`
    options that are not known; `negotiate` tells that the client has to be told of either."""

    user: str
    database: str
    minor: int = 0
    negotiate: bool = False
    unrecognised: tuple[str, ...] = ()
    intent: str = ""
    ticket: str = ""
    replication: bool = False
    application: str = ""
    forwarded: Mapping[str, str] = field(default_factory=dict)


def read_packet(packet: bytes) -> EncryptionRequest | CancelRequest | Startup:
    """Read one complete packet, its length included. Raises StartupRefused."""
    try:
        (code,) = INT32.unpack_from(packet, 4)
        if code in (SSL_REQUEST, GSSENC_REQUEST) and len(packet) == 8:
            return EncryptionRequest(gss=code == GSSENC_REQUEST)
        if code == CANCEL_REQUEST and 16 <= len(packet) <= 268:
            return CancelRequest(INT32.unpack_from(packet, 8)[0], packet[12:])
    except struct.error as error:
        raise StartupRefused("08P01", "the startup packet is cut short") from error
    if code >> 16 != 3:
        raise StartupRefused(
            "0A000", f"frontend protocol {code >> 16}.{code & 0xFFFF} is not supported: use 3.0 to 3.2"
        )
    return read_startup(code & 0xFFFF, parameters_of(packet))


def parameters_of(packet: bytes) -> dict[str, str]:
    parts = packet[8:].split(b"\x00")
    if len(parts) < 2 or parts[-1] or parts[-2]:
        raise StartupRefused("08P01", "the startup packet is not ended as it should be")
    parts = parts[:-2]
    if len(parts) % 2:
        raise StartupRefused("08P01", "the startup packet names a parameter without a value")
    try:
        texts = [part.decode("utf-8") for part in parts]
    except UnicodeDecodeError as error:
        raise StartupRefused("22021", "the startup packet is not UTF-8") from error
    return dict(zip(texts[::2], texts[1::2], strict=True))


def read_startup(minor: int, parameters: dict[str, str]) -> Startup:
    user = parameters.pop("user", "")
    if not user:
        raise StartupRefused("28000", "no user name is given in the startup packet")
    database = parameters.pop("database", "") or user
    replication = parameters.pop("replication", "").lower() not in REPLICATION_OFF
    unrecognised = tuple(name for name in parameters if name.startswith("_pq_."))
    given = {name: value for name, value in parameters.items() if not name.startswith("_pq_.")}
    given.update(split_options(given.pop("options", "")))
    own = dict.fromkeys(OWN.values(), "")
    forwarded: dict[str, str] = {}
    for name, value in given.items():
        lowered = name.lower()
        if lowered in OWN:
            own[OWN[lowered]] = value
        else:
            forwarded.update(admit(lowered, value))
    used = NEWEST_MINOR if minor >= NEWEST_MINOR else 0
    return Startup(
        user=user,
        database=database,
        minor=used,
        negotiate=bool(unrecognised) or minor != used,
        unrecognised=unrecognised,
        intent=own["intent"],
        ticket=own["ticket"],
        replication=replication,
        application=forwarded.get("application_name", ""),
        forwarded=forwarded,
    )


def admit(name: str, value: str) -> dict[str, str]:
    """What to forward for one parameter. Raises StartupRefused for one that is not known to be harmless."""
    if name == "client_encoding":
        if value.strip("'\"").lower() in UTF8_NAMES:
            return {}
        raise StartupRefused(
            "22023",
            f"client_encoding {value!r} is refused: statements are analysed as UTF-8",
            hint="set client_encoding (PGCLIENTENCODING) to UTF8",
        )
    if name == "standard_conforming_strings" and value.lower() in ("on", "true", "yes", "1"):
        return {}
    if name == "default_transaction_read_only" and value.lower() in ("on", "true", "yes", "1"):
        return {name: "on"}
    if name in FORWARDED:
        return {FORWARDED[name]: value}
    raise StartupRefused(
        "42501",
        f"the startup parameter {name!r} may not be set through Airlock",
        hint="leave it out of the connection's options; after connecting, policy decides on SET",
    )


def split_options(options: str) -> dict[str, str]:
    """`-c name=value`, `-cname=value` and `--name=value`, with backslashes as PostgreSQL's pg_split_opts reads them."""
    words = split_words(options)
    found: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "-c" and position < len(words):
            word = words[position]
            position += 1
        elif (word.startswith("-c") and len(word) > 2) or (word.startswith("--") and len(word) > 2):
            word = word[2:]
        else:
            raise StartupRefused("22023", f"the startup option {word!r} is not of the form -c name=value")
        name, equals, value = word.partition("=")
        if not equals:
            raise StartupRefused("22023", f"the startup option {name!r} has no value")
        found[name.replace("-", "_")] = value
    return found


def split_words(options: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    escaped = False
    for letter in options:
        if escaped:
            word = [*(word or []), letter]
            escaped = False
        elif letter == "\\":
            word = word or []
            escaped = True
        elif letter.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word if word is not None else []
            word.append(letter)
    if word is not None:
        words.append("".join(word))
    return words
