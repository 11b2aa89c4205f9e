"""What both directions of a session share: the pending answers, names, settings, and what is to be done outside."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from decision.model.session import ExecutionReport, Outcome
from enforcement.postgres.protocol.exchange import Exchange, Masks, Names, Portal, Statement
from enforcement.postgres.protocol.messages import Front

STATEMENT: Final = 0x53  # S
READ_BY_ANALYSIS = (
    "search_path", "standard_conforming_strings", "client_encoding", "server_version", "session_authorization",
    "is_superuser", "default_transaction_read_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CoreLimits:
    """`message_bytes`: the largest message that is held in memory whole; `asks`: decisions asked for ahead."""

    message_bytes: int = 64 * 1024 * 1024
    asks: int = 64


@dataclass(frozen=True, slots=True)
class HoldStarted:
    """The exchange at the head waits for an approval: tell the client, wait, then call `decided` or `refused`."""

    exchange: Exchange


@dataclass(frozen=True, slots=True)
class CancelUpstream:
    """Cancel what the server runs, then call `cancel_finished`; nothing is forwarded before."""


@dataclass(frozen=True, slots=True)
class SyncCatalog:
    """The catalog was changed and committed: read it again, then call `catalog_synced`. `shared`: other sessions see
    the change; they must wait for that, too."""

    shared: bool = True


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End both connections once what is to be sent has been sent."""

    reason: str


Command = HoldStarted | CancelUpstream | SyncCatalog | CloseSession


class State:
    """Mutable and shared on purpose: one session is one state machine with two inputs."""

    def __init__(self, session_id: str, limits: CoreLimits, masks: Masks, intent: str, ticket: str) -> None:
        self.session_id = session_id
        self.limits = limits
        self.masks = masks
        self.to_client: list[bytes] = []
        self.to_server: list[bytes] = []
        self.asks: list[Exchange] = []
        self.commands: list[Command] = []
        self.reports: list[ExecutionReport] = []
        self.pending: deque[Exchange] = deque()
        self.statements: Names[Statement] = Names()
        self.portals: Names[Portal] = Names()
        self.parameters: dict[str, str] = {}
        self.settings: tuple[tuple[str, str], ...] = ()
        self.readable = True  # texts still mean what analysis takes them for
        self.startup_own = {"intent": intent, "ticket": ticket}
        self.own = dict(self.startup_own)
        self.now_ns = 0
        self.status = "I"
        self.timed = False  # something forwarded since the last Ready has a time limit
        self.in_transaction = False
        self.segment = 0
        self.generation = 0  # counts executions: tells whether anything ran since a portal was bound
        self.barriers = 0
        self.asking = 0
        self.cancelling = 0  # cancel requests of ours that the server may not have taken yet
        self.catalog_dirty = False
        self.catalog_shared = False  # so that other sessions will see it
        self.catalog_syncing = 0  # changes, of this session or another, that are not read yet
        self.catalog_changes = 0  # changes of other sessions so far
        self.copy_in = False
        self.executed_in_segment = False
        self.unflushed = False  # answers may stay in the server's buffer until a Flush or Sync
        self.segment_open = False  # something of the extended protocol was forwarded since the last Sync
        self.read_only_default = False  # the session's default was set to read-only by us
        self.read_only_now = False  # the open transaction was made read-only by us
        # Something with masked columns was forwarded. From then on any error may quote their values: what was deferred
        # runs at COMMIT, a cursor at its FETCH, and a temporary table keeps what was put into it.
        self.touched = False
        self.muted = False
        self.poison = False
        self.statement_count = 0

    def settings_changed(self) -> None:
        known = self.parameters
        self.settings = tuple([(name, known[name]) for name in READ_BY_ANALYSIS if name in known])
        conforming = known.get("standard_conforming_strings", "on") == "on"
        self.readable = conforming and known.get("client_encoding", "UTF8") == "UTF8"

    def push(self, exchange: Exchange) -> None:
        """`exchange` has been forwarded: the server will answer it."""
        exchange.started_ns = self.now_ns
        self.pending.append(exchange)

    def pop(self) -> Exchange:
        done = self.pending.popleft()
        self.settle(done)
        if self.pending:
            following = self.pending[0]
            following.started_ns = max(following.started_ns, self.now_ns)  # the server begins with it now
        return done

    def settle(self, exchange: Exchange) -> None:
        if exchange.barrier:
            exchange.barrier = False
            self.barriers -= 1

    def drop(self, exchange: Exchange) -> None:
        """It will not be executed: the server skips it, or it was never forwarded."""
        exchange.dropped = True
        self.settle(exchange)
        if exchange.kind == Front.PARSE or (exchange.kind == Front.CLOSE and exchange.target == STATEMENT):
            self.statements.retract(exchange.name, exchange)
        elif exchange.kind in (Front.BIND, Front.CLOSE):
            self.portals.retract(exchange.name, exchange)

    def report(
        self,
        decision_id: str,
        index: int,
        outcome: Outcome,
        *,
        tag: str = "",
        rows: int = 0,
        size: int = 0,
        duration_ns: int = 0,
        sqlstate: str = "",
        masked: int = 0,
        in_transaction: bool = False,
    ) -> None:
        if decision_id:
            self.reports.append(
                ExecutionReport(
                    self.session_id,
                    decision_id,
                    index,
                    outcome,
                    tag,
                    rows,
                    size,
                    duration_ns,
                    sqlstate,
                    masked,
                    in_transaction,
                )
            )
