"""Errors and notices of statements behind one that touched masked columns: they may quote its values."""

from __future__ import annotations

from decision.model.decision import Decision, MaskMethod, PolicyEffect
from enforcement.masking.engine import MaskingEngine
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.core import SessionCore
from enforcement.postgres.protocol.messages import Back, message
from tests.clients.port import masks

PLAIN = Decision("d", PolicyEffect.ALLOW)
MASKED = Decision("d", PolicyEffect.ALLOW, statements=(masks((1, MaskMethod.FULL), count=1),))
FAILED = messages.fields(
    Back.ERROR,
    {
        "S": "ERROR",
        "V": "ERROR",
        "C": "23505",
        "M": "duplicate key: maria@example.com",
        "D": "Key (e)=(maria@example.com)",
    },
)


def run(core: SessionCore, text: bytes, decision: Decision, answer: bytes) -> bytes:
    core.client_data(messages.query(text))
    core.decided(core.state.asks.pop(), decision)
    core.state.to_client.clear()
    core.server_data(answer)
    return b"".join(core.state.to_client)


def session() -> SessionCore:
    return SessionCore("s", MaskingEngine(bytes(32)))


def done(tag: bytes, status: str) -> bytes:
    return message(Back.COMMAND_COMPLETE, tag + b"\0") + messages.ready_for_query(status)


def test_what_fails_at_commit_quotes_nothing() -> None:
    """A deferred constraint, a cursor that is held: the COMMIT itself touches no column."""
    core = session()
    run(core, b"begin", PLAIN, done(b"BEGIN", "T"))
    run(core, b"insert into t select email from customers", MASKED, done(b"INSERT 0 1", "T"))
    client = run(core, b"commit", PLAIN, FAILED + messages.ready_for_query("I"))
    assert b"maria" not in client
    assert b"C23505" in client


def test_nor_does_a_later_notice() -> None:
    """Whether it belongs to a statement or comes on its own."""
    core = session()
    run(core, b"select email from customers", MASKED, done(b"SELECT 0", "I"))
    notice = messages.fields(Back.NOTICE, {"S": "NOTICE", "C": "00000", "M": "maria@example.com"})
    assert b"maria" not in run(core, b"move 1 from c", PLAIN, notice + done(b"MOVE 1", "I"))
    core.state.to_client.clear()
    core.server_data(notice)
    assert b"maria" not in b"".join(core.state.to_client)


def test_before_that_the_servers_own_words_pass() -> None:
    """A session that touched nothing masked gets all of them."""
    assert b"maria@example.com" in run(session(), b"commit", PLAIN, FAILED + messages.ready_for_query("I"))


def test_a_refused_statement_touches_nothing() -> None:
    """It was never forwarded."""
    core = session()
    core.client_data(messages.query(b"select email from customers"))
    core.decided(core.state.asks.pop(), Decision("d", PolicyEffect.DENY, message="no"))
    core.server_data(messages.error_response("42601", "syntax") + messages.ready_for_query("I"))
    assert b"maria@example.com" in run(core, b"commit", PLAIN, FAILED + messages.ready_for_query("I"))
