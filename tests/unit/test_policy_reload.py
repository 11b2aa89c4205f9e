"""Hot reload: sound bundles are swapped in at once, broken ones are refused once and the old one stays."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decision.clock import SystemClock
from decision.model.errors import BundleRejected, PolicyUnavailable
from decision.policy.bundle import Bundle
from decision.policy.embedded import EmbeddedEngine
from decision.policy.reload import BundleReloader
from tests.support.policy import REGO, document

DENY = 'deny contains {"rule": "local.no", "message": "no; ask", "severity": "low", "controls": []}'


class Watched:
    """A bundle in a folder of its own, an engine on it, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(REGO, folder)
        (folder / "policies" / "local").mkdir()
        self.policy = folder / "policies" / "local" / "local.rego"
        self.engine = EmbeddedEngine(SystemClock())
        self.told: list[tuple[str, ...]] = []
        self.reloader = BundleReloader(
            folder, self.engine, poll_s=0.01, on_activated=self._activated, on_rejected=self._rejected
        )

    async def _activated(self, revision: str, previous: str, policies: tuple[str, ...]) -> None:
        self.told.append(("activated", revision, previous, *policies))

    def _rejected(self, revision: str, error: str) -> None:
        self.told.append(("rejected", revision, error))

    async def polls(self, count: int) -> None:
        for _ in range(count):
            await self.reloader.poll()

    def effect(self) -> str:
        return self.engine.evaluate_now(document("SELECT 1")).effect.value


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path / "rego")
    await made.reloader.load()
    yield made
    await made.engine.close()


async def test_the_first_bundle_is_told(watched: Watched) -> None:
    """With its revision, no predecessor, and its policies."""
    ((kind, revision, previous, *policies),) = watched.told
    assert (kind, revision, previous) == ("activated", watched.engine.status().revision, "")
    assert "policies.guardrails" in policies


async def test_a_changed_bundle_decides_without_a_restart(watched: Watched) -> None:
    """Only after it was seen twice alike: a half-written edit is not taken."""
    assert watched.effect() == "allow"
    before = watched.engine.status().revision
    watched.policy.write_text(f"package policies.local\n{DENY}\n")
    await watched.polls(1)
    assert watched.effect() == "allow"
    await watched.polls(1)
    assert watched.effect() == "deny"
    assert watched.told[-1][:3] == ("activated", watched.engine.status().revision, before)


@pytest.mark.parametrize(
    "body",
    [
        "package policies.local\ndeny contains",
        'package policies.local\nadvice contains "a" if time.now_ns() > 1',
        'package policies.local\ndeny contains {"rule": "x"}',
        "package policies.local\nmask contains 5",
        'package policies.local\nlimit contains {"rule": "x", "cpu": 1, "rows": "many"}',
        "package policies.local\nadvice contains x if x := 1 / 0",
        "package elsewhere\nf := 1",
    ],
    ids=["syntax", "clock", "half a result", "no mask", "odd limit", "division", "foreign package"],
)
async def test_a_broken_bundle_is_refused_once_and_the_old_one_stays(watched: Watched, body: str) -> None:
    """Whether it breaks at loading or only when it is tried."""
    before = watched.engine.status().revision
    watched.policy.write_text(body)
    await watched.polls(6)
    assert [kind for kind, *_ in watched.told] == ["activated", "rejected"]
    assert watched.engine.status().revision == before
    assert watched.engine.status().rejected
    assert watched.effect() == "allow"


async def test_a_repaired_bundle_is_taken_again(watched: Watched) -> None:
    """And the refusal is forgotten."""
    watched.policy.write_text("package policies.local\nnonsense nonsense")
    await watched.polls(2)
    watched.policy.write_text(f"package policies.local\n{DENY}\n")
    await watched.polls(2)
    assert watched.effect() == "deny"
    assert watched.engine.status().rejected == ""


async def test_a_vanished_folder_is_refused_and_the_old_one_stays(watched: Watched) -> None:
    """Deleting the policies opens nothing."""
    shutil.rmtree(watched.folder)
    await watched.polls(3)
    assert [kind for kind, *_ in watched.told] == ["activated", "rejected"]
    assert watched.effect() == "allow"


async def test_a_broken_bundle_at_the_start_is_an_error(tmp_path: Path) -> None:
    """Nothing starts on no policy."""
    with pytest.raises(BundleRejected):
        await BundleReloader(tmp_path, EmbeddedEngine(SystemClock())).load()


async def test_running_it_follows_the_folder(watched: Watched) -> None:
    """The background task picks a change up, and ends when cancelled."""
    task = asyncio.create_task(watched.reloader.run())
    watched.policy.write_text(f"package policies.local\n{DENY}\n")
    for _ in range(500):
        if watched.effect() == "deny":
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watched.effect() == "deny"


async def test_what_a_listener_raises_does_not_undo_the_swap(tmp_path: Path) -> None:
    """The journal may be full when a bundle comes; decisions then fail by themselves."""
    engine = EmbeddedEngine(SystemClock())

    def failing(*_: object) -> None:
        raise RuntimeError("no room")

    await BundleReloader(REGO, engine, on_activated=failing).load()
    assert engine.status().revision


async def test_an_engine_that_can_not_be_asked_is_tried_again(tmp_path: Path) -> None:
    """An OPA server that is down is not the bundle's fault: nothing is reported refused."""

    class Down(EmbeddedEngine):
        down = True

        async def prepare(self, bundle: Bundle, documents: tuple[bytes, ...]) -> None:
            if self.down:
                raise PolicyUnavailable("down")
            await super().prepare(bundle, documents)

    engine, told = Down(SystemClock()), []
    reloader = BundleReloader(REGO, engine, on_rejected=lambda *said: told.append(said))
    await reloader.poll()
    await reloader.poll()
    assert engine.status().rejected
    engine.down = False
    await reloader.poll()
    assert engine.status().revision
    assert told == []
