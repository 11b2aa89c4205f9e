"""Who may call the decision service, and where it refuses to listen."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import ServiceUnavailable, SessionRefused, SessionUnknown, SettingsError
from decision.model.session import DecideRequest, EnforcementGap, ExecutionReport, Outcome, SessionEnd, SessionRequest
from decision.server import DecisionServer
from decision.server_settings import ServerSettings, TokenEntry
from tests.fakes.decision_port import MemoryDecisionPort
from tests.support.certificates import Authority

TOKENS = {"edge-1": "a" * 40, "edge-2": "b" * 40}
REQUEST = SessionRequest("alice", "shop", enforcement_point="claimed")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@contextlib.asynccontextmanager
async def serving(settings: ServerSettings) -> AsyncIterator[tuple[MemoryDecisionPort, str]]:
    service = MemoryDecisionPort()
    server = DecisionServer(service, settings)
    await server.start()
    try:
        yield service, server.target
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def connected(target: str, **settings: Any) -> AsyncIterator[GrpcDecisionPort]:
    client = GrpcDecisionPort(ClientSettings(target=target, timeout_s=5, **settings))
    try:
        yield client
    finally:
        await client.close()


def token_settings(folder: Path, **more: Any) -> ServerSettings:
    entries = []
    for name, token in TOKENS.items():
        path = folder / name
        path.write_text(token + "\n")
        entries.append(TokenEntry(name=name, token_file=path))
    return ServerSettings(tokens=tuple(entries), grace_s=0.1, **more)


def mtls_settings(authority: Authority, **more: Any) -> ServerSettings:
    pair = authority.pair("server", "localhost")
    return ServerSettings(
        certificate_file=pair.certificate, key_file=pair.key, client_ca_file=authority.certificate, grace_s=0.1, **more
    )


def client_tls(authority: Authority, common_name: str, *alternative: str) -> dict[str, Any]:
    pair = authority.pair(common_name, *alternative)
    return {"ca_file": authority.certificate, "certificate_file": pair.certificate, "key_file": pair.key}


async def test_the_right_token_is_heard_and_names_the_enforcement_point(tmp_path: Path) -> None:
    """What the enforcement point claims to be is replaced by what it proved to be."""
    async with (
        serving(token_settings(tmp_path)) as (service, target),
        connected(target, token_file=tmp_path / "edge-1") as client,
    ):
        grant = await client.open_session(REQUEST)
        assert (await client.decide(DecideRequest(grant.session_id, b"allow"))).allowed
        await client.report_gap(EnforcementGap("claimed", "x", 1, 2, 3))
    assert service.opened[0].enforcement_point == service.gaps[0].enforcement_point == "edge-1"


@pytest.mark.parametrize("token", [None, "c" * 40, "a" * 39, "a" * 41])
async def test_no_token_or_a_wrong_one_is_refused_on_every_method(
    tmp_path: Path, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unary, streams and reports all deny; nothing reaches the port."""
    shown = {}
    if token is not None:
        monkeypatch.setenv("TEST_TOKEN", token)
        shown = {"token_env": "TEST_TOKEN"}
    async with serving(token_settings(tmp_path)) as (service, target), connected(target, **shown) as client:
        with pytest.raises(ServiceUnavailable, match="does not accept this enforcement point"):
            await client.open_session(REQUEST)
        # The server ends the stream at once: where that meets the client's first write, grpc calls it internal itself.
        with pytest.raises(ServiceUnavailable, match=r"can't be reached \((unauthenticated|internal)\)"):
            await client.decide(DecideRequest("session-1", b"allow"))
        with pytest.raises(ServiceUnavailable):
            await client.list_approvals("alice")
    assert not service.opened and not service.decided


async def test_a_session_belongs_to_the_enforcement_point_that_opened_it(tmp_path: Path) -> None:
    """Another one, itself authenticated, can't decide in it, report on it, wait in it or end it."""
    async with (
        serving(token_settings(tmp_path)) as (service, target),
        connected(target, token_file=tmp_path / "edge-1") as mine,
        connected(target, token_file=tmp_path / "edge-2") as other,
    ):
        grant = await mine.open_session(REQUEST)
        for forbidden in (
            other.decide(DecideRequest(grant.session_id, b"allow")),
            other.report(ExecutionReport(grant.session_id, "d", 0, Outcome.COMPLETED)),
            other.wait_approval(grant.session_id, "approval-1", 0.1),
            other.close_session(SessionEnd(grant.session_id)),
        ):
            with pytest.raises(SessionUnknown):
                await forbidden
        assert (await mine.decide(DecideRequest(grant.session_id, b"allow"))).allowed
    assert len(service.decided) == 1 and not service.reports and not service.ended


async def test_reflection_needs_the_token_and_health_does_not(tmp_path: Path) -> None:
    """A prober may ask for health; the contract is shown to callers only."""
    async with serving(token_settings(tmp_path)) as (_, target), grpc.aio.insecure_channel(target) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service="airlock.v1.DecisionService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_reflection_shows_the_contract() -> None:
    """Both services are listed where no authentication is configured."""
    async with serving(ServerSettings(grace_s=0.1)) as (_, target), grpc.aio.insecure_channel(target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        answer = await call.read()
        names = {service.name for service in answer.list_services_response.service}
        assert {"airlock.v1.DecisionService", "airlock.v1.ApprovalService"} <= names


async def test_a_client_certificate_of_the_authority_is_heard_by_its_name(authority: Authority) -> None:
    """mTLS: the alternative name stands for the enforcement point, else the common name."""
    async with serving(mtls_settings(authority)) as (service, target):
        async with connected(target, **client_tls(authority, "common", "edge.example")) as client:
            await client.open_session(REQUEST)
        async with connected(target, **client_tls(authority, "edge-common")) as client:
            await client.open_session(REQUEST)
    assert [request.enforcement_point for request in service.opened] == ["edge.example", "edge-common"]


async def test_without_a_certificate_of_the_authority_there_is_no_connection(
    authority: Authority, tmp_path: Path
) -> None:
    """None at all, or one of another authority."""
    stranger = Authority(tmp_path / "other", "other authority").pair("edge")
    async with serving(mtls_settings(authority)) as (service, target):
        for shown in ({}, {"certificate_file": stranger.certificate, "key_file": stranger.key}):
            async with connected(target, ca_file=authority.certificate, **shown) as client:
                with pytest.raises(ServiceUnavailable):
                    await client.open_session(REQUEST)
    assert not service.opened


async def test_a_certificate_whose_name_is_not_listed_is_refused(authority: Authority) -> None:
    """client_names narrows the authority's certificates."""
    async with serving(mtls_settings(authority, client_names=("edge.example",))) as (service, target):
        async with connected(target, **client_tls(authority, "visitor")) as client:
            with pytest.raises(ServiceUnavailable, match="does not accept"):
                await client.open_session(REQUEST)
        async with connected(target, **client_tls(authority, "c", "other.example", "edge.example")) as client:
            await client.open_session(REQUEST)
    assert [request.enforcement_point for request in service.opened] == ["edge.example"]


async def test_a_client_refuses_a_server_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    """The credential is never sent to an impostor."""
    other = Authority(tmp_path / "other", "other authority")
    settings = client_tls(authority, "edge") | {"ca_file": other.certificate}
    async with serving(mtls_settings(authority)) as (service, target), connected(target, **settings) as client:
        with pytest.raises(ServiceUnavailable):
            await client.open_session(REQUEST)
    assert not service.opened


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "db.example", "127.evil.example.x"])
def test_nothing_listens_beyond_loopback_without_tls_and_authentication(host: str, authority: Authority) -> None:
    """Neither alone is enough; the error names the settings."""
    pair = authority.pair("server")
    tls = {"certificate_file": pair.certificate, "key_file": pair.key}
    tokens = (TokenEntry(name="edge", token_env="X"),)
    for more in ({}, tls, {"tokens": tokens}):
        with pytest.raises(SettingsError) as caught:
            DecisionServer(MemoryDecisionPort(), ServerSettings(host=host, **more))  # type: ignore[arg-type]
        assert "grpc.certificate_file" in caught.value.hint
    ServerSettings(host=host, tokens=tokens, **tls).check()


async def test_an_enforcement_point_speaks_for_its_databases_only(tmp_path: Path) -> None:
    """It opens no session for another's database and can't tell lies about its catalog."""
    settings = token_settings(tmp_path, databases={"edge-1": ("shop",)})
    other = CatalogSnapshot("other", 180_004, "v1", ("public",), ())
    async with serving(settings) as (service, target):
        async with connected(target, token_file=tmp_path / "edge-1") as first:
            await first.open_session(REQUEST)
            await first.sync_catalog(replace(other, database="shop"))
            with pytest.raises(SessionRefused, match="does not stand in front of database 'other'"):
                await first.open_session(replace(REQUEST, database="other"))
            with pytest.raises(SessionRefused, match="'other'"):
                await first.sync_catalog(other)
        async with connected(target, token_file=tmp_path / "edge-2") as second:
            with pytest.raises(SessionRefused, match="'edge-2'"):
                await second.open_session(REQUEST)
    assert len(service.catalogs) == 1


def test_databases_are_named_for_callers_that_can_be(tmp_path: Path) -> None:
    """A misspelt name, or names where nobody has one, are refused at the start."""
    with pytest.raises(SettingsError, match="'edge-9', whom nobody can be"):
        token_settings(tmp_path, databases={"edge-9": ("shop",)}).check()
    with pytest.raises(SettingsError, match="without authentication"):
        ServerSettings(databases={"edge-1": ("shop",)}).check()


def test_settings_that_contradict_each_other_are_refused(authority: Authority, tmp_path: Path) -> None:
    """Half a key pair, certificates of callers without TLS, names without an authority, unreadable files."""
    pair = authority.pair("server")
    for settings in (
        ServerSettings(certificate_file=pair.certificate),
        ServerSettings(client_ca_file=authority.certificate),
        ServerSettings(certificate_file=pair.certificate, key_file=pair.key, client_names=("x",)),
        ServerSettings(certificate_file=pair.certificate, key_file=tmp_path / "missing"),
        ServerSettings(tokens=(TokenEntry(name="edge", token_file=tmp_path / "missing"),)),
        ServerSettings(tokens=(TokenEntry(name="edge"),)),
    ):
        with pytest.raises(SettingsError):
            DecisionServer(MemoryDecisionPort(), settings)


@pytest.mark.parametrize("text", ["", "tooshort", "has spaces in it, and is long enough otherwise", "é" * 40])
def test_a_token_that_can_not_be_random_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    """The error says how to make one."""
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        TokenEntry(name="edge", token_file=path).read()
    assert "openssl rand" in caught.value.hint and (not text or text not in str(caught.value))


def test_a_client_sends_nothing_beyond_loopback_without_tls() -> None:
    """Statements and credentials don't travel in clear."""
    with pytest.raises(SettingsError, match="without TLS"):
        ClientSettings(target="db.example:443").check()
    with pytest.raises(SettingsError, match="belong together"):
        ClientSettings(target="127.0.0.1:1", certificate_file=Path("x")).check()
    with pytest.raises(SettingsError, match="needs TLS"):
        ClientSettings(target="127.0.0.1:1", certificate_file=Path("x"), key_file=Path("y")).check()
    ClientSettings(target="db.example:443", tls=True).check()


async def test_a_port_in_use_is_told_as_a_settings_error() -> None:
    """Two services never share a port."""
    async with serving(ServerSettings(grace_s=0.1)) as (_, target):
        second = DecisionServer(MemoryDecisionPort(), ServerSettings(port=int(target.rsplit(":", 1)[1])))
        with pytest.raises(SettingsError, match="can't listen"):
            await second.start()
