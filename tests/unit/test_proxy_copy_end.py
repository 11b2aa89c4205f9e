"""The end of masked COPY output, as the protocol core tells the client of it."""

from __future__ import annotations

from struct import pack

import pytest

from decision.model.decision import Decision, MaskMethod, PolicyEffect
from decision.model.session import ExecutionReport, Outcome
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.messages import Back, message
from enforcement.postgres.protocol.state import CancelUpstream
from tests.clients.port import masks

DECISION = Decision("d", PolicyEffect.ALLOW, statements=(masks((2, MaskMethod.FULL), count=2),))
BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TUPLE = pack("!HI", 2, 1) + b"1" + pack("!I", 6) + b"secret"
# The format's option, its code, whole rows, and a row whose end does not come.
CUT = [
    pytest.param("text", 0, b"1\tsecret\n", b"2\tsec", id="text"),
    pytest.param("csv", 0, b"1,secret\n", b'2,"sec\n', id="csv"),
    pytest.param("binary", 1, BINARY + TUPLE, TUPLE[:-3], id="binary"),
    pytest.param("binary", 1, BINARY + TUPLE, b"", id="binary without its trailer"),
]


def copied(form: str, code: int, *parts: bytes) -> tuple[bytes, list[ExecutionReport], bool]:
    """What the client gets, what is reported, whether the server was cancelled."""
    core = SessionCore("s", MaskingEngine(bytes(32)))
    core.client_data(messages.query(f"COPY people TO STDOUT (FORMAT {form})".encode()))
    core.decided(core.state.asks.pop(), DECISION)
    core.server_data(
        message(Back.COPY_OUT, pack("!bHHH", code, 2, code, code))
        + b"".join(message(Back.COPY_DATA, part) for part in parts if part)
        + message(Back.COPY_DONE, b"")
        + message(Back.COMMAND_COMPLETE, b"COPY 2\0")
        + messages.ready_for_query("I")
    )
    cancelled = any(isinstance(one, CancelUpstream) for one in core.state.commands)
    return b"".join(core.state.to_client), core.state.reports, cancelled


@pytest.mark.parametrize(("form", "code", "whole", "piece"), CUT)
def test_a_row_without_its_end_is_an_error(form: str, code: int, whole: bytes, piece: bytes) -> None:
    """The client is told that rows are missing, not that all came; what was cut does not leave."""
    client, reports, cancelled = copied(form, code, whole, piece)
    assert message(Back.COPY_DONE, b"") not in client
    assert b"COPY 2" not in client
    assert b"C42501" in client
    assert b"sec" not in client
    assert client.endswith(messages.ready_for_query("I"))
    assert [(one.outcome, one.sqlstate) for one in reports] == [(Outcome.DENIED, "42501")]
    assert cancelled


@pytest.mark.parametrize(
    ("form", "code", "parts"),
    [
        ("text", 0, [b"1\tsec", b"ret\n2\tx\n"]),
        ("csv", 0, [b"1,secret\n", b'2,"x\n', b'y"\n']),
        ("binary", 1, [BINARY, TUPLE[:5], TUPLE[5:] + TUPLE, b"\xff\xff"]),
        ("text", 0, []),
    ],
)
def test_a_whole_output_ends_as_the_server_ended_it(form: str, code: int, parts: list[bytes]) -> None:
    """However its rows were cut into messages."""
    client, reports, cancelled = copied(form, code, *parts)
    ending = message(Back.COPY_DONE, b"") + message(Back.COMMAND_COMPLETE, b"COPY 2\0") + messages.ready_for_query("I")
    assert client.endswith(ending)
    assert [one.outcome for one in reports] == [Outcome.COMPLETED]
    assert not cancelled
