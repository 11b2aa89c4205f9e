"""The values that live while messages are on their way: exchanges, prepared statements, portals, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from decision.model.decision import Decision, StatementObligations
from enforcement.postgres.protocol.messages import Front
from enforcement.postgres.protocol.parsing import BindMessage, CopyFormats, Field
from enforcement.postgres.protocol.text import first_word, fixed_shape, inert


class RowMasker(Protocol):
    """Masks complete DataRow messages of a result, or CopyData messages of a COPY."""

    def rewrite(self, buffer: bytes, start: int, end: int) -> tuple[bytes, int, int]:
        """The messages between `start` and `end` with their masks applied, the number of rows, of masked cells."""
        ...


class CopyMasker(RowMasker, Protocol):
    """Masks COPY output, whose rows need not end where messages do."""

    def finish(self) -> bytes:
        """The output is over. Raises ObligationUnfulfillable if a row was left without its end."""
        ...


class Masks(Protocol):
    """What the core asks of the masking engine. Each raises ObligationUnfulfillable for what can't be fulfilled."""

    def for_rows(
        self, obligations: StatementObligations, fields: tuple[Field, ...], formats: tuple[int, ...]
    ) -> RowMasker | None: ...

    def for_copy(
        self, obligations: StatementObligations, text: bytes, index: int, formats: CopyFormats
    ) -> CopyMasker | None: ...

    def clean(self, fields: dict[str, str]) -> dict[str, str]:
        """Error or notice fields without values."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that the client gets instead of what it asked for. `decision_id` is empty for a local refusal."""

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0
    decision_id: str = ""


class Statement:
    """A prepared statement. `fields` is what the server described it to return: None while unknown."""

    __slots__ = ("decision_id", "fields", "fixed_shape", "indirect", "inert", "name", "text", "type_oids")

    def __init__(self, name: bytes, text: bytes, type_oids: tuple[int, ...]) -> None:
        self.name = name
        self.text = text
        self.type_oids = type_oids
        self.fields: tuple[Field, ...] | None = None
        self.decision_id = ""
        self.inert = inert(text)
        self.fixed_shape = fixed_shape(text)
        self.indirect = first_word(text) in (b"fetch", b"execute", b"move")

    def type_of(self, index: int) -> int:
        return self.type_oids[index] if index < len(self.type_oids) else 0


class Portal:
    """A bound statement with the decision that covers its executions. `generation`: see State.generation."""

    __slots__ = ("bytes", "decision", "duration_ns", "generation", "masked", "masker", "message", "name", "rows",
                 "statement")  # fmt: skip

    def __init__(self, name: bytes, statement: Statement, message: BindMessage) -> None:
        self.name = name
        self.statement = statement
        self.message = message
        self.decision: Decision | None = None
        self.masker: RowMasker | None = None
        self.generation = 0
        self.rows = 0
        self.bytes = 0
        self.masked = 0
        self.duration_ns = 0


class Exchange:
    """One frontend message from its arrival to its last answer.

    It waits in the queue, is prepared (names resolved, decision asked for), decided, forwarded, and then stands in
    `pending` until it is answered. `internal` ones are ours: the client never sees their answers.
    """

    __slots__ = (
        "aborted", "asked", "barrier", "bind", "bytes", "changes", "copy_masker", "decision", "described",
        "dropped", "expect", "failed", "holding", "index", "internal", "kind", "masked", "masker", "name", "portal",
        "prepared", "raw", "refusal", "rows", "segment", "started_ns", "statement", "target", "text", "timed",
    )  # fmt: skip

    def __init__(self, kind: int, expect: int, raw: bytes) -> None:
        self.kind = kind
        self.expect = expect
        self.raw = raw
        self.segment = 0
        self.changes = 0  # State.catalog_changes when it was asked about
        self.text = b""
        self.name = b""
        self.target = 0
        self.bind: BindMessage | None = None
        self.statement: Statement | None = None
        self.portal: Portal | None = None
        self.decision: Decision | None = None
        self.refusal: Refusal | None = None
        self.asked = False
        self.prepared = False
        self.described = False
        self.dropped = False
        self.barrier = False
        self.holding = False
        self.internal = False
        self.aborted = False
        self.failed = False
        self.timed = False
        self.index = 0
        self.rows = 0
        self.bytes = 0
        self.masked = 0
        self.started_ns = 0
        self.masker: RowMasker | None = None
        self.copy_masker: CopyMasker | None = None

    @property
    def covering(self) -> Decision | None:
        """The decision under which the server works on it: an Execute runs under its portal's."""
        if self.kind == Front.EXECUTE and self.portal is not None:
            return self.portal.decision
        return self.decision

    @property
    def all_rows(self) -> int:
        """Rows that left so far, earlier portions of the same portal included: a limit holds for all of them."""
        return self.rows + (self.portal.rows if self.portal is not None else 0)

    @property
    def all_bytes(self) -> int:
        return self.bytes + (self.portal.bytes if self.portal is not None else 0)

    def obligations(self) -> StatementObligations | None:
        decision = self.covering
        if decision is None:
            return None
        return next((one for one in decision.statements if one.index == self.index), None)


def sensitive(obligations: StatementObligations | None) -> bool:
    return obligations is not None and bool(obligations.masks or obligations.guards or obligations.scan_text)


def guarded(decision: Decision | None) -> bool:
    """Whether any statement of the message touches masked columns, so that error texts have to be cleaned."""
    return decision is not None and any(sensitive(one) for one in decision.statements)


Named = TypeVar("Named", Statement, Portal)


class Unsettled:
    """Another segment's message about this name is still on its way: ask again when it is answered."""


UNSETTLED = Unsettled()


class Names(Generic[Named]):
    """What a name stands for at the server, once all that was announced has been answered.

    Within one segment (up to a Sync) an announced change may be relied on: if it fails, the server skips what relies
    on it. Across segments it may not: the name is unsettled until the server has answered.
    """

    def __init__(self) -> None:
        self._sure: dict[bytes, Named] = {}
        self._ahead: dict[bytes, tuple[Named | None, Exchange]] = {}

    def announce(self, name: bytes, thing: Named | None, by: Exchange) -> None:
        self._ahead[name] = (thing, by)

    def retract(self, name: bytes, by: Exchange) -> None:
        """`by` will not be executed."""
        ahead = self._ahead.get(name)
        if ahead is not None and ahead[1] is by:
            del self._ahead[name]

    def confirm(self, name: bytes, thing: Named | None, by: Exchange) -> None:
        """The server has done it."""
        self.retract(name, by)
        if thing is None:
            self._sure.pop(name, None)
        else:
            self._sure[name] = thing

    def find(self, name: bytes, segment: int) -> Named | Unsettled | None:
        ahead = self._ahead.get(name)
        if ahead is None:
            return self._sure.get(name)
        return ahead[0] if ahead[1].segment == segment else UNSETTLED

    def forget(self, name: bytes) -> None:
        self._sure.pop(name, None)

    def forget_all(self) -> list[Named]:
        gone = list(self._sure.values())
        self._sure.clear()
        return gone
