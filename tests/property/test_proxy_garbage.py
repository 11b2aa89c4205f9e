"""Whatever bytes come, the protocol core either understands them or ends the session; it never lets them pass."""

from __future__ import annotations

import contextlib
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.errors import ProtocolViolation, StartupRefused
from enforcement.postgres.protocol.messages import Back, Front, codes, message
from enforcement.postgres.protocol.parsing import parse_message, query_text
from enforcement.postgres.protocol.startup import Startup, read_packet, split_options
from tests.property.test_proxy_chunking import STEPS, World

CODES = st.sampled_from(sorted(codes(Front)))
PIECES = st.sampled_from([b"\0", b"S", b"P", b"a", b"deny", pack("!H", 1), pack("!I", 1)])
BODIES = st.one_of(st.binary(max_size=40), st.lists(PIECES).map(b"".join))
NAMES = st.sampled_from(["search_path", "TimeZone", "airlock.intent", "jit"])
ANSWERS = st.sampled_from(sorted(codes(Back)))


def split(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = 1 + int.from_bytes(data[1:5], "big")
        found.append(data[:end])
        data = data[end:]
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(CODES, BODIES), max_size=8))
def test_any_client_messages_are_understood_or_end_the_session(sent: list[tuple[int, bytes]]) -> None:
    """Only ProtocolViolation leaves the core, and a denied text never goes to the server."""
    world = World()
    try:
        for code, body in sent:
            world.core.client_data(message(code, body))
            world.settle()
    except ProtocolViolation:
        pass
    for raw in split(world.server):
        if raw[:1] == b"Q":
            assert b"deny" not in query_text(raw).replace(b"d-deny", b"")
        elif raw[:1] == b"P":
            assert b"deny" not in parse_message(raw).text.replace(b"d-deny", b"")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([0, 1, 2, 3, 6, 7, 8]), st.lists(st.tuples(ANSWERS, BODIES), max_size=8))
def test_any_server_messages_are_understood_or_end_the_session(step: int, sent: list[tuple[int, bytes]]) -> None:
    """A server that breaks the protocol ends the session by ProtocolViolation and nothing else."""
    world = World()
    world.core.client_data(STEPS[step][0])
    world.settle()
    try:
        for code, body in sent:
            world.core.server_data(message(code, body))
            world.settle()
    except ProtocolViolation as violation:
        assert violation.by == "server"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_startup_packet_is_read_or_refused(body: bytes) -> None:
    """Reading a startup packet gives a value or StartupRefused."""
    for head in (pack("!HH", 3, 0), pack("!I", 80877102), pack("!I", 80877103), b""):
        with contextlib.suppress(StartupRefused):
            read_packet(pack("!I", len(body) + 4 + len(head)) + head + body)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, st.text("abc \\'=-", max_size=8)))
def test_options_survive_escaping(values: dict[str, str]) -> None:
    """What libpq's escaping wrote into `options` is read back."""
    escaped = " ".join(
        f"-c {name}=" + "".join("\\" + letter if letter in "\\ " else letter for letter in value)
        for name, value in values.items()
    )
    assert split_options(escaped) == values
    packet = messages.startup({"user": "u", "options": escaped})
    read = read_packet(packet)
    assert isinstance(read, Startup)
    assert read.intent == values.get("airlock.intent", "")
