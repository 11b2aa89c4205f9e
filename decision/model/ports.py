"""The ports: what the parts ask of each other. Adapters are built once, in the composition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, Evaluation
from decision.model.errors import JournalUnavailable
from decision.model.events import AuditEvent, EventDraft
from decision.model.policy import Figures
from decision.model.session import (
    Approval,
    ApprovalState,
    DecideRequest,
    EnforcementGap,
    ExecutionReport,
    PolicyStatus,
    SessionEnd,
    SessionGrant,
    SessionRequest,
)

Appended = Callable[[JournalUnavailable | None], None]
"""Whom a journal tells that an event is durable, or why it is not."""


class Clock(Protocol):
    """Time as an argument. Wall time for events, monotonic time for durations and deadlines."""

    def time_unix_nano(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class IdSource(Protocol):
    def new_id(self) -> str:
        """A new UUIDv7 (RFC 9562) as text; later ids of one source sort after earlier ones."""
        ...


class Journal(Protocol):
    """The local durable log of one process slot."""

    def append(self, draft: EventDraft) -> Awaitable[AuditEvent]:
        """Queue the event; the awaitable is done once it is fsynced. Order of calls is the order of the chain.

        Raises JournalFull, JournalBusy or JournalPoisoned (from the call or the awaitable); then nothing may be
        answered but a denial.
        """
        ...

    def append_then(self, draft: EventDraft, done: Appended) -> None:
        """`append` without a future: `done` is called once, on the event loop and never within this call, with None
        when the event is fsynced, else with why it will not be. Those of one journal are called in the order of the
        chain.

        Raises JournalFull, JournalBusy or JournalPoisoned; then `done` is not called.
        """
        ...

    def append_encoded(self, before: bytes, after: bytes, done: Appended) -> None:
        """`append_then` for an event that is encoded already: `before` and `after` are the halves of its bytes, between
        which its place in the chain is to stand (decision.wire.hot)."""
        ...

    def check(self) -> None:
        """Raise the JournalUnavailable that an append would meet now, if any. No I/O."""
        ...

    async def close(self) -> None: ...


class JournalReader(Protocol):
    """Reading a journal, from the same or another process, while it is written."""

    def read(self, after_seq: int, limit: int) -> Sequence[AuditEvent]:
        """Up to `limit` durable events with seq > `after_seq`, in order. Opens and closes its read transaction."""
        ...

    def head(self) -> tuple[int, bytes]:
        """(seq, hash) of the newest durable event; (0, zero hash) when empty."""
        ...


class PolicyEngine(Protocol):
    """A Rego engine with one active bundle."""

    @property
    def name(self) -> str: ...

    async def evaluate(self, document: bytes, key: bytes = b"") -> Evaluation:
        """Evaluate `data.airlock.decision` over the canonical JSON `document`.

        `key` stands for everything in `document` that the active bundle can read: under one revision, equal keys may
        share one evaluation. Empty: evaluate afresh. Raises a PolicyError on time-out, exception, undefined or
        malformed output.
        """
        ...

    def status(self) -> PolicyStatus: ...

    async def close(self) -> None: ...


@runtime_checkable
class PromptEngine(Protocol):
    """What a policy engine in the same process can do beside PolicyEngine: answer without being waited for."""

    @property
    def revision(self) -> str:
        """The active bundle's; empty when there is none."""
        ...

    def evaluate_now(self, document: bytes, key: bytes = b"") -> Evaluation:
        """`PolicyEngine.evaluate`, at once."""
        ...


class DecisionPort(Protocol):
    """The decision service as enforcement points and the console see it: in process or over gRPC."""

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        """Verify the credential and open a session, durably. Raises IdentityError, SessionRefused, Denied."""
        ...

    async def decide(self, request: DecideRequest) -> Decision:
        """Decide one message. Returns only after the event is durable; denials by policy or analysis are Decisions.

        Raises JournalUnavailable, SessionUnknown or ServiceUnavailable: all to be answered with a denial.
        """
        ...

    async def decide_many(self, requests: Sequence[DecideRequest]) -> list[Decision | Exception]: ...

    async def report(self, report: ExecutionReport) -> None:
        """Record an execution, durably."""
        ...

    async def report_many(self, reports: Sequence[ExecutionReport]) -> list[Exception | None]:
        """Record several executions, durably, in their order; for each, why it could not be recorded, or None."""
        ...

    async def close_session(self, end: SessionEnd) -> None: ...

    async def sync_catalog(self, snapshot: CatalogSnapshot) -> None:
        """Make `snapshot` the one that later decisions for its database are made with."""
        ...

    async def report_gap(self, gap: EnforcementGap) -> None: ...

    async def policy_status(self) -> PolicyStatus: ...

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]: ...

    async def wait_approval(self, session_id: str, approval_id: str, timeout_s: float) -> ApprovalState:
        """The state of an approval that this session asked for, once it is no longer `requested` or time is over.

        For an enforcement point that keeps a client waiting; makes no event. Raises ApprovalError, SessionUnknown.
        """
        ...

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        """Vote as the credential's principal. Raises ApprovalError (self-approval, not an approver, closed …)."""
        ...


@runtime_checkable
class PromptDecisions(Protocol):
    """What a decision service in the same process can do beside DecisionPort: decide without a task to wait in."""

    def decide_now(self, request: DecideRequest, done: Callable[[Decision | Exception], None]) -> bool:
        """Decide a message for which nothing has to be waited for but the journal.

        True: it is decided, and `done` is called once, from the event loop and never within this call, after the
        event is durable, or with the exception that `decide` would have raised. False: nothing was done (something
        else must be waited for: a lock, a large text, a policy engine, an approval): ask `decide`. Calls of one
        session keep their order: it answers False while a `decide` of that session is under way. Never raises.
        """
        ...


class CounterSource(Protocol):
    """What principals did lately, as streams count it: about a second late, and never more than what was."""

    def of(self, principal: tuple[str, str], time_unix_nano: int) -> Figures:
        """Of the principal with this key at that time; a name that is missing is 0. The same object for as long as
        nothing changed. Where the streams have been away for too long, the only name is `stale`, its value 1."""
        ...


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Records of a topic: events with their partition and offset, in the order of each partition.

    `complete_ns`: at that moment (monotonic) the topic held nothing beyond this and the earlier batches; 0: not known.
    """

    records: tuple[tuple[AuditEvent, int, int], ...] = ()
    complete_ns: int = 0


class StateFeed(Protocol):
    """Events that change what later decisions depend on (approvals), in their one order, from whoever made them."""

    def follow(self) -> AsyncIterator[FeedBatch]:
        """From the first record on, for ever; records may come more than once. While the stream is away nothing comes,
        and after it all that was missed: it ends and fails for nothing but being closed."""
        ...
