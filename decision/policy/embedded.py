"""The embedded Rego engine: regorus' tree engine in this process, one per thread.

What bounds it. regorus has no time limit and holds the GIL while it evaluates, so a policy can't be interrupted. Three
things stand in for that:

- a document over `max_document_bytes` is refused before it is evaluated (analysis bounds what a statement can say);
- an evaluation that took longer than `budget_ns` raises PolicyTimeout after the fact: a slow policy denies and is seen
  at once, it does not go unnoticed;
- a bundle becomes active only if its smoke test stays within the budget (decision.policy.reload).

The residual risk is a bundle, made by those who keep the policies, whose cost explodes on an input that passes the
first bound: it holds up this process until done. An OPA server (decision.policy.opa) has a real deadline.

Rust panics surface as PanicException, a BaseException; they, any other exception and `"<undefined>"` all deny.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator

import regorus

from decision.model.decision import Evaluation
from decision.model.errors import BundleRejected, PolicyTimeout, PolicyUnavailable, PolicyUndefined
from decision.model.metrics import Histogram, Sample
from decision.model.ports import Clock
from decision.model.session import PolicyStatus
from decision.policy.bundle import ENTRY, Bundle, engine_message
from decision.policy.evaluation import decode_evaluation
from decision.policy.input import READS_EVERYTHING, Reads
from decision.policy.metrics import engine_samples

MAX_DOCUMENT_BYTES = 1024 * 1024
BUDGET_NS = 250_000_000
CACHE_ENTRIES = 4_096
CACHE_OUTPUTS = 512


class _Owner:
    """Stands for one EmbeddedEngine: its engines outlive it in their threads until those take notice."""


class _Engines(threading.local):
    """This thread's regorus engines, by whose they are. An engine must end in the thread that it began in, but what
    owns it may be collected in any: so the thread holds it, and lets go of those whose owners are gone when it makes
    another."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[weakref.ref[_Owner], str, regorus.Engine]] = {}

    def find(self, owner: _Owner, revision: str) -> regorus.Engine | None:
        found = self.held.get(id(owner))
        return found[2] if found is not None and found[0]() is owner and found[1] == revision else None

    def keep(self, owner: _Owner, revision: str, engine: regorus.Engine) -> None:
        self.held = {number: one for number, one in self.held.items() if one[0]() is not None}
        self.held[id(owner)] = (weakref.ref(owner), revision, engine)

    def drop(self, owner: _Owner) -> None:
        self.held.pop(id(owner), None)


_ENGINES = _Engines()


class EvaluationCache:
    """Evaluations by (revision, key), the least recently used dropped first. Used from one thread."""

    def __init__(self, entries: int = CACHE_ENTRIES) -> None:
        self._entries = entries
        self._held: OrderedDict[tuple[str, bytes], Evaluation] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get(self, revision: str, key: bytes) -> Evaluation | None:
        found = self._held.get((revision, key))
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._held.move_to_end((revision, key))
        return found

    def put(self, revision: str, key: bytes, evaluation: Evaluation) -> None:
        if self._entries <= 0:
            return
        self._held[revision, key] = evaluation
        if len(self._held) > self._entries:
            self._held.popitem(last=False)

    def clear(self) -> None:
        self._held.clear()


def make_engine(bundle: Bundle) -> regorus.Engine:
    """A regorus engine with the bundle, for the calling thread alone. Raises BundleRejected."""
    engine = regorus.Engine()
    if problem := _fill(engine, bundle):
        del engine  # an exception would keep it, and it must end in the thread that it began in
        raise BundleRejected(f"the embedded engine refuses the bundle: {problem}")
    return engine


def _fill(engine: regorus.Engine, bundle: Bundle) -> str:
    try:
        for path, source in bundle.modules:
            engine.add_policy(path, source)
        engine.add_data_json(bundle.data.decode())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return engine_message(error)
    return ""


def evaluate_with(engine: regorus.Engine, document: bytes) -> str:
    """The JSON of `data.airlock.decision`. Raises PolicyUndefined for whatever goes wrong."""
    try:
        engine.set_input_json(document.decode())
        return str(engine.eval_rule_as_json(ENTRY))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        kind = type(error).__name__  # its message may quote the input
    del engine  # an exception would keep it
    raise PolicyUndefined(f"the policy failed on this input ({kind})", hint="airlock policy explain")


class EmbeddedEngine:
    """PolicyEngine over regorus. Evaluations run in the calling thread (the event loop's): they take less time than
    handing them to another one would."""

    name = "embedded"

    def __init__(
        self,
        clock: Clock,
        *,
        cache_entries: int = CACHE_ENTRIES,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
        budget_ns: int = BUDGET_NS,
    ) -> None:
        self._clock = clock
        self._bundle: Bundle | None = None
        self._activated = 0
        self._rejected = ""
        self._owner = _Owner()
        self._cache = EvaluationCache(cache_entries)
        self._evaluated = Histogram()
        self._outputs: dict[str, Evaluation] = {}
        self._max_document_bytes = max_document_bytes
        self._budget_ns = budget_ns

    @property
    def bundle(self) -> Bundle | None:
        return self._bundle

    @property
    def revision(self) -> str:
        return "" if self._bundle is None else self._bundle.revision

    @property
    def reads(self) -> Reads:
        """What the active bundle reads of the context, for InputBuilder."""
        return READS_EVERYTHING if self._bundle is None else self._bundle.reads

    @property
    def cache(self) -> EvaluationCache:
        return self._cache

    async def prepare(self, bundle: Bundle, documents: tuple[bytes, ...]) -> None:
        """Whether the bundle could become active: it loads and answers `documents` within the budget.
        Raises BundleRejected."""
        if not bundle.portable:
            raise BundleRejected(
                "the bundle needs an OPA server, which the embedded engine is not",
                hint='set policy.engine to "opa", or keep the bundle to portable builtins',
            )
        if problem := self._tried(bundle, documents):
            raise BundleRejected(problem, hint="airlock policy check, airlock policy test")

    def _tried(self, bundle: Bundle, documents: tuple[bytes, ...]) -> str:
        """What is wrong with the bundle's answers, if anything."""
        engine = make_engine(bundle)
        for document in documents:
            started = self._clock.monotonic_ns()
            try:
                decode_evaluation(evaluate_with(engine, document), bundle.revision)
            except PolicyUndefined as error:
                return f"the bundle fails its smoke test: {error.message}"
            if self._clock.monotonic_ns() - started > self._budget_ns:
                return f"the bundle is too slow: an evaluation took over {self._budget_ns} ns"
        return ""

    async def activate(self, bundle: Bundle) -> None:
        """Make the bundle the one that decides from now on. It was prepared before."""
        self._cache.clear()
        self._bundle = bundle
        self._activated = self._clock.time_unix_nano()
        self._rejected = ""

    def note_rejected(self, error: str) -> None:
        self._rejected = error

    async def evaluate(self, document: bytes, key: bytes = b"") -> Evaluation:
        return self.evaluate_now(document, key)

    def evaluate_now(self, document: bytes, key: bytes = b"") -> Evaluation:
        """`evaluate` without an event loop."""
        bundle = self._bundle
        if bundle is None:
            raise PolicyUnavailable("no policy bundle is active", hint="airlock policy status")
        # A key made for another bundle's reads (just before a reload) is good for nothing.
        shared = key if key.startswith(bundle.reads.tag) and len(key) > len(bundle.reads.tag) else b""
        if shared and (found := self._cache.get(bundle.revision, shared)) is not None:
            return found
        if len(document) > self._max_document_bytes:
            raise PolicyTimeout(f"the statement's facts exceed {self._max_document_bytes} bytes", hint="split it up")
        started = self._clock.monotonic_ns()
        evaluation = self._decoded(evaluate_with(self._engine(bundle), document), bundle.revision)
        took = self._clock.monotonic_ns() - started
        self._evaluated.observe(took)
        if took > self._budget_ns:
            raise PolicyTimeout("the policy took too long for this statement", hint="airlock policy bench")
        if shared:
            self._cache.put(bundle.revision, shared, evaluation)
        return evaluation

    def _decoded(self, output: str, revision: str) -> Evaluation:
        """The policy says the same of most statements: what was said before is one object, checked once."""
        found = self._outputs.get(output)
        if found is None or found.policy_revision != revision:
            found = decode_evaluation(output, revision)
            if len(self._outputs) >= CACHE_OUTPUTS:
                self._outputs.clear()
            self._outputs[output] = found
        return found

    def _engine(self, bundle: Bundle) -> regorus.Engine:
        """This thread's engine with this bundle: an engine used from another thread panics."""
        engine = _ENGINES.find(self._owner, bundle.revision)
        if engine is None:
            engine = make_engine(bundle)
            _ENGINES.keep(self._owner, bundle.revision, engine)
        return engine

    def status(self) -> PolicyStatus:
        bundle = self._bundle
        return PolicyStatus(
            engine=self.name,
            revision="" if bundle is None else bundle.revision,
            activated_unix_nano=self._activated,
            policies=() if bundle is None else bundle.policies,
            rejected=self._rejected,
        )

    def samples(self) -> Iterator[Sample]:
        """See decision.model.metrics."""
        return engine_samples(self._evaluated, self._cache.hits, self._cache.misses, self.status())

    async def close(self) -> None:
        self._bundle = None
        _ENGINES.drop(self._owner)
        self._owner = _Owner()
        self._cache.clear()
