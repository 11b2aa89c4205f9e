"""The protocol core gives the same result however the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from decision.model.decision import Decision, Limits, MaskMethod, PolicyEffect, StatementObligations
from decision.model.session import ExecutionReport
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.exchange import CopyMasker, RowMasker
from enforcement.postgres.protocol.messages import Back, Front, codes, message
from enforcement.postgres.protocol.parsing import CopyFormats, Field
from tests.clients.port import masks
from tests.clients.raw import bind, describe, execute


class Upper:
    """A masker that makes every row recognisable: it replaces the value by M of the same length."""

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        out, rows = b"", 0
        while start < end:
            length = int.from_bytes(buffer[start + 1 : start + 5], "big")
            out += buffer[start : start + 11] + b"M" * (length - 10)
            start += 1 + length
            rows += 1
        return out, rows, rows


class UpperCopy:
    """The same for CopyData."""

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        out, rows = b"", 0
        while start < end:
            length = int.from_bytes(buffer[start + 1 : start + 5], "big")
            out += buffer[start : start + 5] + b"M" * (length - 4)
            start += 1 + length
            rows += 1
        return out, rows, rows

    def finish(self) -> bytes:
        return b""


class UpperMasks:
    def for_rows(
        self, obligations: StatementObligations, fields: tuple[Field, ...], formats: tuple[int, ...]
    ) -> RowMasker:
        return Upper()

    def for_copy(self, obligations: StatementObligations, text: bytes, index: int, formats: CopyFormats) -> CopyMasker:
        return UpperCopy()

    def clean(self, fields: dict[str, str]) -> dict[str, str]:
        return {**fields, "M": "cleaned"}


DESCRIPTION = message(Back.ROW_DESCRIPTION, pack("!H", 1) + b"c\0" + pack("!IhIhih", 0, 0, 25, -1, -1, 0))
COMPLETE = message(Back.COMMAND_COMPLETE, b"SELECT 2\0")
READY = messages.ready_for_query("I")
ERROR = messages.error_response("22012", "division by zero: secret")
SYNTAX = messages.error_response("42601", 'syntax error at or near "airlock"')


def row(value: bytes) -> bytes:
    return message(Back.DATA_ROW, pack("!HI", 1, len(value)) + value)


ROWS = [row(b"one"), row(b"x" * 300), row(b""), row(b"last")]
PARSED, BOUND = message(Back.PARSE_COMPLETE, b""), message(Back.BIND_COMPLETE, b"")
MASKED = (masks((1, MaskMethod.FULL), count=1),)

Decide = Callable[[bytes], Decision]
LIMITED = Limits(rows=2)


def decision_for(text: bytes) -> Decision:
    if b"deny" in text:
        return Decision("d-deny", PolicyEffect.DENY, message="no")
    if b"mask" in text:
        return Decision("d-mask", PolicyEffect.ALLOW, statements=MASKED)
    if b"limit" in text:
        return Decision("d-limit", PolicyEffect.ALLOW, limits=LIMITED)
    return Decision("d-allow", PolicyEffect.ALLOW)


def simple(text: bytes, answer: bytes) -> tuple[bytes, bytes]:
    return messages.query(text), answer + READY


def extended(text: bytes, answer: bytes) -> tuple[bytes, bytes]:
    sent = messages.parse(b"", text) + bind(b"", b"", []) + execute(b"") + messages.SYNC
    return sent, answer + READY


RESULT = DESCRIPTION + b"".join(ROWS) + COMPLETE
COPIED = b"".join(
    (
        message(Back.COPY_OUT, b"\0\0\1\0\0"),
        message(Back.COPY_DATA, b"row\n"),
        message(Back.COPY_DONE, b""),
        message(Back.COMMAND_COMPLETE, b"COPY 1\0"),
    )
)
STEPS = [
    simple(b"select plain", RESULT),
    simple(b"select mask", RESULT),
    simple(b"select limit", RESULT),
    simple(b"select deny", SYNTAX),
    simple(b"select fail", DESCRIPTION + ROWS[0] + ERROR),
    simple(b"select mask fail", DESCRIPTION + ROWS[0] + ERROR),
    simple(b"copy plain to stdout", COPIED),
    extended(b"select plain", PARSED + BOUND + b"".join(ROWS) + COMPLETE),
    extended(b"select deny", SYNTAX),
    extended(b"select fail", PARSED + BOUND + ERROR),
]


class World:
    """The core with an instant decision service; remembers everything that came out."""

    def __init__(self) -> None:
        self.core = SessionCore("s", UpperMasks())
        self.client = b""
        self.server = b""
        self.reports: list[ExecutionReport] = []
        self.commands: list[str] = []

    def settle(self) -> None:
        state = self.core.state
        while state.asks:
            asked, state.asks = state.asks, []
            for exchange in asked:
                self.core.decided(exchange, decision_for(self.core.request(exchange).text))
        self.client += b"".join(state.to_client)
        self.server += b"".join(state.to_server)
        state.to_client.clear()
        state.to_server.clear()
        self.reports += state.reports
        state.reports = []
        for command in state.commands:
            self.commands.append(type(command).__name__)
        state.commands = []
        if state.cancelling:
            self.core.cancel_finished()
            self.settle()

    def play(self, steps: list[int], cuts: list[int]) -> None:
        cut = 0

        def pieces(data: bytes) -> list[bytes]:
            nonlocal cut
            out = []
            while data:
                size = cuts[cut % len(cuts)] if cuts else len(data)
                cut += 1
                out.append(data[:size])
                data = data[size:]
            return out

        for index in steps:
            sent, answer = STEPS[index]
            for piece in pieces(sent):
                self.core.client_data(piece)
                self.settle()
            for piece in pieces(answer):
                self.core.server_data(piece)
                self.settle()

    def seen(self) -> tuple[bytes, bytes, list[ExecutionReport], list[str]]:
        return self.client, self.server, self.reports, self.commands


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, len(STEPS) - 1), min_size=1, max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_any_cutting_gives_the_same_bytes_reports_and_commands(steps: list[int], cuts: list[int]) -> None:
    """Bytes to both sides, execution reports and commands do not depend on how the streams were cut."""
    whole, cut = World(), World()
    whole.play(steps, [])
    cut.play(steps, cuts)
    assert cut.seen() == whole.seen()
    assert whole.core.idle
    assert whole.client.count(b"Z\0\0\0\5I") == len(steps)


def test_masked_rows_and_errors_hold_nothing_of_the_value() -> None:
    """Under a mask neither a row nor an error text comes through as the server sent it."""
    world = World()
    world.play([1, 5], [])
    assert b"one" not in world.client and b"secret" not in world.client and b"cleaned" in world.client


def test_denied_text_never_reaches_the_server() -> None:
    """The substitute reaches the server instead of the denied text; the client gets 42501."""
    world = World()
    world.play([3, 8], [])
    assert b"deny" not in world.server.replace(b"d-deny", b"")
    assert world.client.count(b"C42501") == 2


def test_describe_is_asked_for_before_a_masked_bind() -> None:
    """A masked prepared statement is described before it is bound; the client sees none of it."""
    world = World()
    world.core.client_data(messages.parse(b"s", b"select mask") + messages.SYNC)
    world.settle()
    world.core.server_data(PARSED + READY)
    world.settle()
    before = len(world.server)
    world.core.client_data(bind(b"", b"s", []) + execute(b"") + messages.SYNC)
    world.settle()
    assert world.server[before:] == describe(b"S", b"s") + messages.FLUSH
    client = len(world.client)
    world.core.server_data(message(Back.PARAMETER_DESCRIPTION, b"\0\0") + DESCRIPTION)
    world.settle()
    assert world.server.endswith(execute(b"") + messages.SYNC)
    world.core.server_data(BOUND + row(b"one") + COMPLETE + READY)
    world.settle()
    assert world.client[client:] == BOUND + row(b"MMM") + COMPLETE + READY
    assert world.reports[-1].masked_cells == 1


def test_front_and_back_codes_are_the_protocols() -> None:
    """Codes are single ASCII letters or digits."""
    assert all(chr(code).isalnum() for code in codes(Front) | codes(Back))
