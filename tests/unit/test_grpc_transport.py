"""The transport's own promises: order, bounds, deadlines, loss, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.decision import Decision
from decision.model.errors import LimitExceeded, ServiceUnavailable, TextRefused
from decision.model.session import DecideRequest, ExecutionReport, Outcome, SessionEnd, SessionRequest
from decision.server import DecisionServer
from decision.server_handlers import status_of
from decision.server_settings import ServerSettings
from decision.wire.errors import ERROR_KEY, tree
from decision.wire.gen import common_pb2, decision_pb2, decision_pb2_grpc
from decision.wire.translate import decide_item
from tests.fakes.decision_port import MemoryDecisionPort
from tests.support.eventually import eventually_async


class Rig:
    """A server over a MemoryDecisionPort, a client, and a plain channel beside it."""

    def __init__(self, service: MemoryDecisionPort, server: DecisionServer, client: GrpcDecisionPort) -> None:
        self.service = service
        self.server = server
        self.client = client
        self.channel = grpc.aio.insecure_channel(server.target)
        self.stub: Any = decision_pb2_grpc.DecisionServiceStub(self.channel)  # type: ignore[no-untyped-call]

    async def session(self) -> str:
        return (await self.client.open_session(SessionRequest("alice", "shop"))).session_id


@contextlib.asynccontextmanager
async def rig(client: dict[str, Any] | None = None, **server: Any) -> AsyncIterator[Rig]:
    service = MemoryDecisionPort()
    listening = DecisionServer(service, ServerSettings(**{"grace_s": 0.2} | server))
    await listening.start()
    connected = GrpcDecisionPort(ClientSettings(target=listening.target, **client or {}))
    made = Rig(service, listening, connected)
    try:
        yield made
    finally:
        service.release()
        await connected.close()
        await made.channel.close()
        await listening.stop()


async def reached(condition: Any) -> None:
    async def check() -> bool:
        return bool(condition())

    await eventually_async(check)


async def test_sessions_do_not_wait_for_each_other_but_each_stays_in_order() -> None:
    """A waiting decision holds back its own session's answers only."""
    async with rig() as r:
        slow, fast = await r.session(), await r.session()
        held = [asyncio.ensure_future(r.client.decide(DecideRequest(slow, text))) for text in (b"wait", b"allow")]
        await reached(lambda: r.service.waiting)
        assert (await r.client.decide(DecideRequest(fast, b"allow"))).allowed
        assert not any(one.done() for one in held)
        r.service.release()
        first, second = await asyncio.gather(*held)
        assert int(first.decision_id.split("-")[1]) < int(second.decision_id.split("-")[1])


async def test_answers_of_a_session_leave_in_the_order_of_its_requests() -> None:
    """Seen on the raw stream: the quick second decision stands behind the slow first."""
    async with rig() as r:
        slow, fast = await r.session(), await r.session()
        call = r.stub.DecideStream()
        asked = [(1, slow, b"wait"), (2, slow, b"allow"), (3, fast, b"allow"), (4, slow, b"raise journal_busy")]
        items = [decide_item(DecideRequest(session, text), number) for number, session, text in asked]
        await call.write(decision_pb2.DecideStreamRequest(items=items))
        assert [answer.request_id for answer in (await call.read()).answers] == [3]
        r.service.release()
        seen: list[int] = []
        while len(seen) < 3:
            seen += [answer.request_id for answer in (await call.read()).answers]
        assert seen == [1, 2, 4]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_what_is_asked_in_one_turn_of_the_loop_leaves_as_one_message() -> None:
    """Two hundred decisions are a handful of messages, each within max_items."""
    async with rig({"max_items": 64}) as r:
        session = await r.session()
        sizes: list[int] = []
        inner = r.client._stream._batch

        def batch() -> list[Any]:
            items = inner()
            sizes.append(len(items))
            return items

        r.client._stream._batch = batch  # type: ignore[method-assign]
        answers = await r.client.decide_many([DecideRequest(session, b"allow")] * 200)
        assert all(isinstance(answer, Decision) for answer in answers)
        assert sizes == [64, 64, 64, 8]


async def test_no_answer_by_the_deadline_is_a_denial_and_the_stream_goes_on() -> None:
    """The late decision ends in the service; the session's next decision is answered."""
    async with rig({"timeout_s": 0.3}) as r:
        session = await r.session()
        with pytest.raises(ServiceUnavailable, match="no decision in time"):
            await r.client.decide(DecideRequest(session, b"wait"))
        assert (await r.client.decide(DecideRequest(session, b"allow"))).allowed
        assert len(r.service.decided) == 2


async def test_the_services_own_limit_holds_where_a_caller_would_wait_longer() -> None:
    """A decision that hangs is answered as an error at default_timeout_s."""
    async with rig(default_timeout_s=0.2) as r:
        with pytest.raises(ServiceUnavailable, match="no decision in time"):
            await r.client.decide(DecideRequest(await r.session(), b"wait"))


async def test_more_decisions_than_allowed_are_refused_at_once() -> None:
    """On the stream as an error of the item, unary as RESOURCE_EXHAUSTED with the same error in the metadata."""
    async with rig(max_in_flight=2) as r:
        session = await r.session()
        held = [asyncio.ensure_future(r.client.decide(DecideRequest(await r.session(), b"wait"))) for _ in range(2)]
        await reached(lambda: r.service.waiting == 2)
        with pytest.raises(ServiceUnavailable, match="more than 2 decisions"):
            await r.client.decide(DecideRequest(session, b"allow"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await r.stub.Decide(decision_pb2.DecideRequest(items=[decide_item(DecideRequest(session, b"allow"))]))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(caught.value.trailing_metadata())[ERROR_KEY]
        r.service.release()
        await asyncio.gather(*held)
        assert (await r.client.decide(DecideRequest(session, b"allow"))).allowed


async def test_a_stream_with_too_much_unanswered_is_not_read_further() -> None:
    """Back-pressure: the port sees no more than max_stream_in_flight, and later everything."""
    async with rig(max_stream_in_flight=8) as r:
        session = await r.session()
        held = [asyncio.ensure_future(r.client.decide(DecideRequest(session, b"wait"))) for _ in range(50)]
        await reached(lambda: r.service.waiting == 8)
        await r.client.policy_status()  # a full turn of the server in between
        assert len(r.service.decided) == 8
        r.service.release()
        assert len(await asyncio.gather(*held)) == 50


async def test_the_client_bounds_what_waits_and_what_it_sends() -> None:
    """One decision too many, one message too large: refused before anything is sent."""
    async with rig({"max_in_flight": 1, "max_message_bytes": 65_536}) as r:
        session = await r.session()
        with pytest.raises(LimitExceeded):
            await r.client.decide(DecideRequest(session, b"allow" + b" " * 40_000))
        held = asyncio.ensure_future(r.client.decide(DecideRequest(session, b"wait")))
        await reached(lambda: r.service.waiting)
        with pytest.raises(ServiceUnavailable, match="more than 1"):
            await r.client.decide(DecideRequest(session, b"allow"))
        r.service.release()
        await held


async def test_messages_beyond_the_limits_are_refused_by_the_service() -> None:
    """Too many bytes end the call; too many items are refused one by one."""
    async with rig(max_message_bytes=65_536, max_items=4) as r:
        session = await r.session()
        big = decision_pb2.DecideRequest(items=[decide_item(DecideRequest(session, b"x" * 70_000))])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await r.stub.Decide(big)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        many = [decide_item(DecideRequest(session, b"allow"), number) for number in range(5)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await r.stub.Decide(decision_pb2.DecideRequest(items=many))
        assert common_pb2.Error.FromString(dict(caught.value.trailing_metadata())[ERROR_KEY]).code == TextRefused.code
        call = r.stub.DecideStream()
        await call.write(decision_pb2.DecideStreamRequest(items=many))
        answers = [*(await call.read()).answers, *(await call.read()).answers]
        assert [(answer.request_id, answer.error.code) for answer in answers] == [(n, "text_refused") for n in range(5)]
        call.cancel()
        assert not r.service.decided


async def test_the_unary_call_decides_in_order_with_errors_in_their_places() -> None:
    """Decide: answers stand in the order of the items."""
    async with rig() as r:
        session = await r.session()
        texts = [b"allow", b"raise journal_full", b"deny"]
        items = [decide_item(DecideRequest(session, text), 7) for text in texts]
        answers = (await r.stub.Decide(decision_pb2.DecideRequest(items=items))).answers
        assert [answer.WhichOneof("answer") for answer in answers] == ["decision", "error", "decision"]
        assert answers[1].error.code == "journal_full"
        assert {answer.request_id for answer in answers} == {7}


async def test_an_unset_kind_is_refused_not_guessed() -> None:
    """A message without its kind is no simple query."""
    async with rig() as r:
        item = decision_pb2.DecideItem(request_id=3, session_id=await r.session(), text=b"allow")
        call = r.stub.DecideStream()
        await call.write(decision_pb2.DecideStreamRequest(items=[item]))
        (answer,) = (await call.read()).answers
        assert (answer.request_id, answer.error.code) == (3, "text_refused")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await r.stub.Decide(decision_pb2.DecideRequest(items=[item]))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        call.cancel()


async def test_a_lost_service_denies_everything_and_a_new_one_is_found() -> None:
    """What waits is refused when the stream breaks, never asked again; after repair decisions come again."""
    service = MemoryDecisionPort()
    first = DecisionServer(service, ServerSettings(grace_s=0))
    port = await first.start()
    client = GrpcDecisionPort(ClientSettings(target=first.target, timeout_s=5, backoff_max_s=0.2))
    session = (await client.open_session(SessionRequest("alice", "shop"))).session_id
    held = asyncio.ensure_future(client.decide(DecideRequest(session, b"wait")))
    await reached(lambda: service.waiting)
    await first.stop()
    with pytest.raises(ServiceUnavailable):
        await held
    with pytest.raises(ServiceUnavailable):
        await client.decide(DecideRequest(session, b"allow"))
    asked = len(service.decided)
    with pytest.raises(ServiceUnavailable):
        await client.report(ExecutionReport(session, "d", 0, Outcome.COMPLETED))
    second = DecisionServer(service, ServerSettings(port=port, grace_s=0))
    await second.start()

    async def decided() -> bool:
        try:
            return (await client.decide(DecideRequest(session, b"allow"))).allowed
        except ServiceUnavailable:
            return False

    await eventually_async(decided)
    assert len(service.decided) == asked + 1
    service.release()
    await client.close()
    await second.stop()


async def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """http_proxy of the environment is not asked to carry statements in clear."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    async with rig() as r:
        assert (await r.client.decide(DecideRequest(await r.session(), b"allow"))).allowed


async def test_nobody_listening_is_a_quick_denial() -> None:
    """Not after the deadline, and by every method."""
    client = GrpcDecisionPort(ClientSettings(target="127.0.0.1:1", timeout_s=30))
    async with asyncio.timeout(10):
        with pytest.raises(ServiceUnavailable):
            await client.decide(DecideRequest("s", b"allow"))
        with pytest.raises(ServiceUnavailable):
            await client.open_session(SessionRequest("alice", "shop"))
        (answer,) = await client.decide_many([DecideRequest("s", b"allow")])
        assert isinstance(answer, ServiceUnavailable)
    await client.close()
    with pytest.raises(ServiceUnavailable, match="closed"):
        await client.decide(DecideRequest("s", b"allow"))


async def test_a_caller_that_gives_up_leaves_the_decision_to_end_by_itself() -> None:
    """Cancelled at the client: its stream goes on, and the port's call is not cancelled."""
    async with rig() as r:
        session = await r.session()
        held = asyncio.ensure_future(r.client.decide(DecideRequest(session, b"wait")))
        await reached(lambda: r.service.waiting)
        held.cancel()
        r.service.release()
        assert (await r.client.decide(DecideRequest(session, b"allow"))).decision_id == "decision-2"


async def test_a_stopping_service_lets_decisions_end() -> None:
    """Within the grace what was asked is answered; then health says NOT_SERVING and nobody is heard."""
    async with rig(grace_s=5) as r:
        session = await r.session()
        item = decide_item(DecideRequest(session, b"wait"))
        held = asyncio.ensure_future(r.stub.Decide(decision_pb2.DecideRequest(items=[item])))
        await reached(lambda: r.service.waiting)
        stopping = asyncio.ensure_future(r.server.stop())
        r.service.release()
        assert (await held).answers[0].decision.decision_id == "decision-1"
        await r.client.close()
        await stopping


async def test_every_error_of_the_tree_crosses_both_ways_of_asking() -> None:
    """Unary statuses for people, the very class for the client, leaf by leaf."""
    leaves = [leaf for leaf in tree() if "code" in vars(leaf)]
    async with rig() as r:
        session = await r.session()
        asked = [DecideRequest(session, b"raise " + leaf.code.encode()) for leaf in leaves]
        answers = await r.client.decide_many(asked)
        assert [type(answer) for answer in answers] == leaves
        assert all(str(answer) == "as asked" for answer in answers)
    assert all(status_of(leaf("x")) not in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL) for leaf in leaves)


async def test_an_internal_error_is_logged_by_its_place_and_never_by_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """On the stream and unary: the class and the line are enough to find it."""
    async with rig() as r:
        request = DecideRequest(await r.session(), b"crash")
        (answer,) = await r.client.decide_many([request])
        answers = (await r.stub.Decide(decision_pb2.DecideRequest(items=[decide_item(request)]))).answers
        assert isinstance(answer, ServiceUnavailable) and answers[0].error.code == "service_unavailable"
    assert caplog.text.count("RuntimeError in a call") == 2 and "decision_port.py:" in caplog.text
    assert "4711" not in caplog.text


def test_the_transport_works_on_uvloop_too() -> None:
    """Both ends on uvloop: a session, a batch of decisions, a report, the end."""

    async def talk() -> int:
        async with rig() as r:
            session = await r.session()
            answers = await r.client.decide_many([DecideRequest(session, b"allow")] * 100)
            await r.client.report(ExecutionReport(session, "d", 0, Outcome.COMPLETED))
            await r.client.close_session(SessionEnd(session))
            return sum(isinstance(answer, Decision) for answer in answers)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(uvloop.run, talk()).result(30) == 100
