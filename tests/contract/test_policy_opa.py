"""The OPA server as engine: which revision answers, and what happens when it is empty, silent, wrong or gone."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from decision.clock import SystemClock
from decision.model.errors import (
    BundleRejected,
    PolicyError,
    PolicyTimeout,
    PolicyUnavailable,
    PolicyUndefined,
    SettingsError,
)
from decision.policy.opa import KEPT_REVISIONS, OpaEngine, prefix_of
from decision.policy.reload import BundleReloader
from tests.support.opa import OpaServer, free_port, opa_server
from tests.support.policy import REGO, document

pytestmark = pytest.mark.opa


@pytest.fixture(scope="module")
def server(opa_binary: Path) -> Iterator[OpaServer]:
    with opa_server(opa_binary) as running:
        yield running


@pytest_asyncio.fixture
async def engine(server: OpaServer) -> AsyncIterator[OpaEngine]:
    made = OpaEngine(server.url, SystemClock(), timeout_s=5)
    await BundleReloader(REGO, made).load()
    yield made
    await made.close()


async def policies(engine: OpaEngine) -> set[str]:
    """The revision roots that the server holds."""
    return {path.split("/")[0] for path in await engine._client.get_policies_list()}


async def test_server_is_asked_by_revision(engine: OpaEngine) -> None:
    """Policies lie under a root that names the revision, and decide there."""
    assert await engine.check_health()
    assert prefix_of(engine.status().revision) in await policies(engine)
    found = await engine.evaluate(document("DROP TABLE payments", "agent"))
    assert (found.effect.value, found.policy_revision) == ("deny", engine.status().revision)


async def test_an_emptied_server_denies_and_is_filled_again(opa_binary: Path) -> None:
    """After a restart of OPA nothing passes until our bundle is back, which happens by itself."""
    with opa_server(opa_binary) as server:
        engine = OpaEngine(server.url, SystemClock(), timeout_s=5)
        await BundleReloader(REGO, engine).load()
        assert (await engine.evaluate(document("SELECT 1"))).effect.value == "allow"
        server.stop()
        with pytest.raises(PolicyUnavailable):
            await engine.evaluate(document("SELECT 1"))
        server.start()
        with pytest.raises(PolicyUndefined):
            await engine.evaluate(document("SELECT 1"))
        deadline = time.monotonic() + 20
        while True:
            try:
                assert (await engine.evaluate(document("SELECT 1"))).effect.value == "allow"
                break
            except PolicyError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        await engine.close()


async def test_reloads_leave_few_revisions_behind(server: OpaServer, tmp_path: Path) -> None:
    """Each change decides at once; the server keeps the newest ones only."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    engine = OpaEngine(server.url, SystemClock(), timeout_s=5)
    reloader = BundleReloader(folder, engine)
    revisions = []
    for rows in (11, 12, 13, 14):
        data = json.loads((folder / "data.json").read_text())
        data["settings"]["agents"]["limits"]["rows"] = rows
        (folder / "data.json").write_text(json.dumps(data))
        revisions.append(await reloader.load())
        assert (await engine.evaluate(document("SELECT 1", "agent"))).limits.rows == rows
    held = await policies(engine) & {prefix_of(revision) for revision in revisions}
    assert prefix_of(revisions[-1]) in held
    assert len(held) <= KEPT_REVISIONS
    await engine.close()


async def test_a_bundle_that_opa_refuses_is_rejected_and_the_old_one_stays(engine: OpaEngine, tmp_path: Path) -> None:
    """OPA's compiler sees what the loader lets through."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "local").mkdir()
    (folder / "policies" / "local" / "x.rego").write_text(
        'package policies.local\nadvice contains "a" if upper(1) == 2\n'
    )
    before = engine.status().revision
    with pytest.raises(BundleRejected, match="OPA refuses"):
        await BundleReloader(folder, engine).load()
    assert engine.status().revision == before
    assert (await engine.evaluate(document("SELECT 1"))).effect.value == "allow"


@asynccontextmanager
async def answering(reply: bytes | None) -> AsyncIterator[str]:
    """A server that answers every request with `reply`, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        if reply is None:
            await reader.read()
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(reply)
            writer.write(head + reply)
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (None, PolicyTimeout),
        (b"{}", PolicyUndefined),
        (b'{"result": {}}', PolicyUndefined),
        (b'{"result": true}', PolicyUndefined),
        (b"[]", PolicyUndefined),
        (b"no json", PolicyUndefined),
    ],
)
async def test_an_answer_that_is_none_denies(
    engine: OpaEngine, monkeypatch: pytest.MonkeyPatch, reply: bytes | None, error: type[PolicyError]
) -> None:
    """Silence, undefined and nonsense: a PolicyError within the deadline."""
    async with answering(reply) as url:
        monkeypatch.setattr(engine._client, "root_url", f"{url}/v1")
        monkeypatch.setattr(engine, "_timeout_s", 0.3)
        monkeypatch.setattr(engine, "_start_repair", lambda _: None)
        started = time.monotonic()
        with pytest.raises(error):
            await engine.evaluate(document("SELECT 1"))
        assert time.monotonic() - started < 3


async def test_a_server_that_is_away_is_unavailable() -> None:
    """At the start as later; nothing becomes active."""
    engine = OpaEngine(f"http://127.0.0.1:{free_port()}", SystemClock(), timeout_s=1)
    with pytest.raises(BundleRejected, match="could not be tried"):
        await BundleReloader(REGO, engine).load()
    with pytest.raises(PolicyUnavailable):
        await engine.evaluate(document("SELECT 1"))
    assert not await engine.check_health()
    await engine.close()


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8181", "", "http://opa.example:8181"])
def test_urls_that_will_not_do_are_refused(url: str) -> None:
    """Another scheme, none, or plain HTTP to another machine."""
    with pytest.raises(SettingsError):
        OpaEngine(url, SystemClock())


def test_plain_http_elsewhere_must_be_said() -> None:
    """Inside a network that somebody vouches for it is taken."""
    OpaEngine("http://opa:8181", SystemClock(), allow_plain_http=True)
    OpaEngine("https://opa.example", SystemClock())
