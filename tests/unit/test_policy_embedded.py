"""The embedded engine: threads, failures, bounds, and the cache of evaluations."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from decision.clock import SystemClock
from decision.model.errors import BundleRejected, PolicyError, PolicyTimeout, PolicyUnavailable, PolicyUndefined
from decision.model.policy import Phase
from decision.policy.bundle import load_bundle
from decision.policy.embedded import EmbeddedEngine
from decision.policy.input import InputBuilder, Reads, principal_json
from decision.policy.reload import BundleReloader
from decision.policy.smoke import SMOKE_DOCUMENTS
from tests.support.policy import PRINCIPALS, REGO, analysed, context, document


class SteppingClock:
    """Monotonic time moves by `step` at every look."""

    def __init__(self, step: int) -> None:
        self.step, self.now = step, 0

    def monotonic_ns(self) -> int:
        self.now += self.step
        return self.now

    def time_unix_nano(self) -> int:
        return 0


@pytest.fixture
def engine() -> Iterator[EmbeddedEngine]:
    made = EmbeddedEngine(SystemClock())
    asyncio.run(BundleReloader(REGO, made).load())
    yield made
    asyncio.run(made.close())


def keyed(session: str = "s", sql: str = "SELECT 1", reads: Reads | None = None) -> tuple[bytes, bytes]:
    return InputBuilder(reads or load_bundle(REGO).reads).build(
        Phase.STATEMENT, principal_json(PRINCIPALS["human"]), "query", b'{"environment":"prod"}', analysed(sql),
        context(session_id=session),
    )  # fmt: skip


def test_nothing_active_is_unavailable() -> None:
    """Before the first bundle, and after close, everything is denied."""
    engine = EmbeddedEngine(SystemClock())
    with pytest.raises(PolicyUnavailable):
        engine.evaluate_now(document("SELECT 1"))


def test_engine_works_from_every_thread(engine: EmbeddedEngine) -> None:
    """Each thread gets an engine of its own, and the same answer."""
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.evaluate_now(document("DROP TABLE payments"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(repr, found))) == 1


def test_an_engine_may_be_collected_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread lets go of what it held, and not the one in which the garbage is found."""
    complaints: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", complaints.append)
    gc.collect()
    gone = EmbeddedEngine(SystemClock())
    asyncio.run(BundleReloader(REGO, gone).load())
    gone.evaluate_now(document("SELECT 1"))
    with pytest.raises(PolicyUndefined) as caught:
        gone.evaluate_now(b"{")
    watched = weakref.ref(gone)
    circle: list[object] = [gone, caught]
    circle.append(circle)
    del gone, caught, circle
    collecting = threading.Thread(target=gc.collect)
    collecting.start()
    collecting.join()
    assert watched() is None
    other = EmbeddedEngine(SystemClock())
    asyncio.run(BundleReloader(REGO, other).load())
    other.evaluate_now(document("SELECT 1"))
    asyncio.run(other.close())
    assert complaints == []


@pytest.mark.parametrize("broken", [b"", b"{", b"\xff\xfe", b"[]", b"5", b"{}", b"null"])
def test_broken_documents_deny(engine: EmbeddedEngine, broken: bytes) -> None:
    """Whatever the engine makes of it, no permission comes out, and the next statement is decided as ever."""
    try:
        assert engine.evaluate_now(broken).effect.value == "deny"
    except PolicyError as error:
        assert "{" not in error.message
    assert engine.evaluate_now(document("SELECT 1")).effect.value == "allow"


def test_a_panic_denies(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Rust panic is a BaseException; it becomes a denial, its text stays inside."""

    class PanicException(BaseException):
        pass

    class Panicking:
        def set_input_json(self, _: str) -> None:
            raise PanicException("secret literal")

    monkeypatch.setattr(engine, "_engine", lambda _: Panicking())
    with pytest.raises(PolicyUndefined) as denial:
        engine.evaluate_now(document("SELECT 1"))
    assert "secret" not in str(denial.value) + denial.value.hint


def test_a_large_document_is_refused_before_it_is_evaluated() -> None:
    """The bound on the input is the first bound on the time."""
    engine = EmbeddedEngine(SystemClock(), max_document_bytes=2_000)
    asyncio.run(engine.activate(load_bundle(REGO)))
    with pytest.raises(PolicyTimeout):
        engine.evaluate_now(document("SELECT " + ",".join(["id"] * 500) + " FROM orders"))


def test_a_slow_policy_denies() -> None:
    """An evaluation over its budget is not used, nor kept."""
    engine = EmbeddedEngine(SteppingClock(10_000), budget_ns=5_000)
    asyncio.run(engine.activate(load_bundle(REGO)))
    made, key = keyed()
    for _ in range(2):
        with pytest.raises(PolicyTimeout):
            engine.evaluate_now(made, key)
    assert engine.cache.hits == 0


def test_a_slow_bundle_does_not_become_active() -> None:
    """The smoke test has the same budget."""
    engine = EmbeddedEngine(SteppingClock(10_000), budget_ns=5_000)
    with pytest.raises(BundleRejected):
        asyncio.run(engine.prepare(load_bundle(REGO), SMOKE_DOCUMENTS))


def test_equal_keys_share_an_evaluation(engine: EmbeddedEngine) -> None:
    """Another session's same statement comes from the cache; without a key nothing does."""
    first = engine.evaluate_now(*keyed("one"))
    assert engine.evaluate_now(*keyed("two")) is first
    assert engine.cache.hits == 1
    engine.evaluate_now(keyed("one")[0])
    assert engine.cache.hits == 1


def test_a_key_for_other_reads_is_not_used(engine: EmbeddedEngine) -> None:
    """A document keyed just before a reload is evaluated afresh."""
    stale = keyed(reads=Reads(frozenset()))
    assert engine.evaluate_now(*stale) == engine.evaluate_now(*stale)
    assert engine.cache.hits == engine.cache.misses == 0


def test_cache_is_bounded_and_drops_what_was_not_used() -> None:
    """Two fit; the third drops the least recently used."""
    engine = EmbeddedEngine(SystemClock(), cache_entries=2)
    asyncio.run(BundleReloader(REGO, engine).load())
    one, two, three = (keyed(sql=f"SELECT {'1, ' * number}2") for number in range(3))
    first = engine.evaluate_now(*one)
    engine.evaluate_now(*two)
    assert engine.evaluate_now(*one) is first
    engine.evaluate_now(*three)
    assert engine.evaluate_now(*one) is first
    hits = engine.cache.hits
    engine.evaluate_now(*two)
    assert engine.cache.hits == hits


def test_a_cached_evaluation_does_not_outlive_its_revision(tmp_path: Path) -> None:
    """After a reload the same statement is decided by the new bundle."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    engine = EmbeddedEngine(SystemClock())
    reloader = BundleReloader(folder, engine)
    asyncio.run(reloader.load())
    made = InputBuilder(engine.reads).build(
        Phase.STATEMENT, principal_json(PRINCIPALS["agent"]), "query", b'{"environment":"prod"}', analysed("SELECT 1"),
        context(),
    )  # fmt: skip
    assert engine.evaluate_now(*made).limits.rows == 1000
    data = orjson.loads((folder / "data.json").read_bytes())
    data["settings"]["agents"]["limits"]["rows"] = 7
    (folder / "data.json").write_text(json.dumps(data))
    asyncio.run(reloader.load())
    assert engine.evaluate_now(*made).limits.rows == 7
