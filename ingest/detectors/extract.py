"""Events to signals. Pure.

What an agent does counts for everyone it acts for, too: a budget of a person covers their agents. Names are relations,
rules, codes and databases; of a key column's value only the event's own keyed digest is compared, and never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from analytics.project import ProjectionError
from analytics.project.document import MessageFacts, RelationFacts, message_facts, qualified
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.model.principal import Principal
from ingest.detectors.hours import WorkingHours
from ingest.detectors.read import Decided, Pinned, Place
from ingest.detectors.sessions import Session, Sessions
from ingest.detectors.signals import ADDRESS, CLAIMED, POINT, POLICY, Amounts, Items, Key, Signal

_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})
_MOST_KEYS = 64
_MOST_ALIKE = 4_096
_OURS_TO_MEND = ("journal_", "service_", "issuer_unavailable", "policy_")


_STATEMENT: Amounts = (("statements", 1),)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the settings say of events. `sensitive`: tags, or what they begin with up to a dot, that make a table
    sensitive. `privileged`: kinds of statements. `break_glass`: parts of the ids of rules that let somebody in for an
    emergency. `sessions`: at most so many are remembered."""

    sensitive: tuple[str, ...] = ("pii", "secret", "critical", "financial", "health")
    privileged: frozenset[str] = frozenset({"ddl", "dcl", "truncate", "maintenance", "utility"})
    break_glass: tuple[str, ...] = ("break_glass",)
    hours: WorkingHours = field(default_factory=WorkingHours)
    sessions: int = 100_000
    approvals: int = 10_000


class Extraction:
    """In the order of each session's events. Not thread-safe. `counts`: executions whose session is not known
    (`unattributed`), inputs that can't be read (`unreadable`)."""

    def __init__(self, meaning: Meaning | None = None) -> None:
        self._meaning = meaning or Meaning()
        self.sessions = Sessions(self._meaning.sessions)
        self._requesters: dict[str, Principal] = {}
        self._alike: dict[tuple[int, str], _Facts] = {}
        self.counts = {"unattributed": 0, "unreadable": 0}

    def signals(self, event: e.AuditEvent) -> list[Signal]:
        place = Place(event.draft.time_unix_nano, event.producer_id, event.epoch, event.seq)
        match event.payload:
            case e.StatementExecuted() as x:
                return self.executed(place, x.session_id, x.decision_id, x.rows, x.bytes, x.masked_cells)
            case e.StatementDecided() as d:
                spoke = [result.rule for result in d.results if result.effect is d.effect]
                return self.decided(place, d, d.effect, spoke, lambda: keys_of(d.principal))
            case e.SessionOpened() as payload:
                self.sessions.open(payload.session_id, keys_of(payload.principal), payload.database)
            case e.SessionRefused() as payload:
                return _refused(place, payload)
            case e.ApprovalRequested() as payload:
                while len(self._requesters) >= self._meaning.approvals:
                    del self._requesters[next(iter(self._requesters))]
                self._requesters[payload.approval_id] = payload.requester
            case e.ApprovalGranted() as payload:
                return self._granted(place, payload)
            case e.PolicyActivated() | e.PolicyRejected() | e.EnforcementGapReported() as payload:
                return _system(place, payload)
            case _:  # a closed session, too: reports of what ran in it may still follow
                pass
        return []

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────

    def decided(
        self,
        place: Place,
        payload: Decided,
        effect: PolicyEffect,
        spoke: Sequence[str],
        keys: Callable[[], tuple[Key, ...]],
    ) -> list[Signal]:
        """`spoke`: the rules that led to `effect`; `keys`: the principal and everyone it acts for."""
        session = self.sessions.get(payload.session_id)
        if session is None:
            session = self.sessions.open(payload.session_id, keys(), payload.database)
        kind, database = payload.message_kind, session.database
        parsed = kind == "parse"
        known = self._known(payload.input_json, database)
        if not parsed:
            session.decided(payload.decision_id, known.tables)
        amounts = () if parsed else _STATEMENT
        items = known.items
        if effect is PolicyEffect.DENY:
            # Drivers send a bind right behind its parse: both are refused, and that is one statement.
            digest = payload.statement_digest
            if kind != "bind" or session.refused != digest:
                amounts = (*amounts, ("denials", 1))
                rules = [("denials.rule", rule) for rule in spoke or (payload.error_code or "none",)]
                items = (*items, *rules, ("denials.database", database))
            session.refused = digest if parsed else b""
        elif not parsed:
            items = (*items, *known.sensitive)
            if effect is PolicyEffect.ALLOW:
                amounts, items = self._allowed(place.time_unix_nano, database, known, spoke, amounts, items)
        if not parsed and payload.pinned:
            items = (*items, *_pinned(database, payload.pinned))
        return _each(place, session, amounts, items, "denials.by")

    def _allowed(
        self, time: int, database: str, known: _Facts, spoke: Sequence[str], amounts: Amounts, items: Items
    ) -> tuple[Amounts, Items]:
        if known.privileged and not self._meaning.hours.contain(time):
            amounts = (*amounts, ("privileged_off_hours", 1))
            items = (*items, *known.privileged, ("privileged_off_hours.database", database))
        glass = [("break_glass.rule", rule) for rule in spoke for word in self._meaning.break_glass if word in rule]
        if glass:
            amounts = (*amounts, ("break_glass", 1))
            items = (*items, *glass, ("break_glass.database", database))
        return amounts, items

    def _known(self, input_json: bytes, database: str) -> _Facts:
        """What follows from the facts, once for statements alike: reading facts shares equal ones."""
        try:
            facts = message_facts(input_json)
        except ProjectionError:
            self.counts["unreadable"] += 1
            facts = None
        known = self._alike.get((id(facts), database))
        if known is None or known.facts is not facts:
            if len(self._alike) >= _MOST_ALIKE:
                self._alike.clear()
            known = self._alike[id(facts), database] = _Facts(database, facts, self._meaning)
        return known

    def executed(
        self, place: Place, session_id: str, decision_id: str, rows: int, size: int, masked_cells: int
    ) -> list[Signal]:
        """Only rows that are sent have a `size`: what an INSERT changed did not leave."""
        session = self.sessions.get(session_id)
        if session is None:
            self.counts["unattributed"] += 1
            return []
        if not size:
            return []
        amounts: Amounts = (("rows_out", rows), ("bytes_out", size))
        if masked_cells:
            amounts = (*amounts, ("masked_cells", masked_cells))
        items: Items = (("rows_out.database", session.database),)
        for table in session.tables.get(decision_id, ()):
            items = (*items, ("rows_out.table", table))
        return _each(place, session, amounts, items, "rows_out.by")

    # ── approvals ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _granted(self, place: Place, payload: e.ApprovalGranted) -> list[Signal]:
        requester = self._requesters.get(payload.approval_id)
        if requester is None or not payload.approver.involves(requester):
            return []
        items = (("self_dealing.approval", payload.approval_id),)
        return [_signal(place, payload.approver.key, 0, (("self_dealing", 1),), items)]


class _Facts:
    """What is the same for every decision with these facts. `facts` is kept so that its id stays its own."""

    __slots__ = ("facts", "items", "privileged", "sensitive", "tables")

    def __init__(self, database: str, facts: MessageFacts | None, meaning: Meaning) -> None:
        self.facts = facts
        relations = [] if facts is None else [one for part in facts.statements for one in part.relations]
        own = [one for one in relations if one.kind != "system" and one.schema not in _SYSTEM]
        self.tables = tuple(dict.fromkeys(_named(database, one) for one in own))
        self.items: Items = tuple(("tables", table) for table in self.tables)
        tagged = {(one.schema, one.name) for one in own if _sensitive(one.tags, meaning.sensitive)}
        for part in () if facts is None else facts.statements:
            tagged |= {(one.schema, one.table) for one in part.columns if _sensitive(one.tags, meaning.sensitive)}
        named = sorted(f"{database}: {qualified(*one)}" for one in tagged)
        self.sensitive: Items = tuple(("sensitive_tables", one) for one in named)
        kinds = () if facts is None else tuple(kind for kind in facts.kinds if kind in meaning.privileged)
        self.privileged: Items = tuple(("privileged_off_hours.kind", kind) for kind in kinds)


def _named(database: str, relation: RelationFacts) -> str:
    return f"{database}: {qualified(relation.schema, relation.name)}"


def _sensitive(tags: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(tag == one or tag.startswith(f"{one}.") for tag in tags for one in wanted)


def keys_of(principal: Principal) -> tuple[Key, ...]:
    """The principal and everyone it acts for, nearest first."""
    return tuple(dict.fromkeys(member.key for member in principal.chain()))


def _pinned(database: str, pinned: Iterable[Pinned]) -> Items:
    items: dict[tuple[str, str], None] = {}
    for value in islice(pinned, _MOST_KEYS):
        if value.role == "pinned" and value.mac:
            column = f"{database}: {qualified(value.schema, value.table, value.column)}"
            items["keys", f"{column} {value.mac[:8].hex()}"] = None
            items["keys.column", column] = None
    return tuple(items)


def _each(place: Place, session: Session, amounts: Amounts, items: Items, by: str) -> list[Signal]:
    """A signal for the principal and one for each that it acts for; those name the principal."""
    if not amounts and not items:
        return []
    keys = session.keys
    first = _signal(place, keys[0], 0, amounts, items)
    if len(keys) == 1:
        return [first]
    counts = by.partition(".")[0]
    named = (*items, (by, keys[0][1])) if any(measure == counts for measure, _ in amounts) else items
    return [first, *[_signal(place, key, part, amounts, named) for part, key in enumerate(keys[1:], 1)]]


def _signal(place: Place, key: Key, part: int, amounts: Amounts, items: Items) -> Signal:
    return Signal(key[0], key[1], *place, part, amounts, items)


def _refused(place: Place, payload: e.SessionRefused) -> list[Signal]:
    if payload.code.startswith(_OURS_TO_MEND):
        return []
    key = payload.principal.key if payload.principal is not None else (CLAIMED, payload.user)
    items = (("failed_sign_ins.code", payload.code), ("failed_sign_ins.database", payload.database))
    signals = [_signal(place, key, 0, (("failed_sign_ins", 1),), items)]
    address = payload.client.address.rpartition(":")[0].strip("[]")
    if address:
        items = (("failed_sign_ins_address.code", payload.code), ("failed_sign_ins_address.database", payload.database))
        signals.append(_signal(place, (ADDRESS, address), 1, (("failed_sign_ins_address", 1),), items))
    return signals


def _system(place: Place, payload: e.PolicyActivated | e.PolicyRejected | e.EnforcementGapReported) -> list[Signal]:
    match payload:
        case e.PolicyRejected():
            items: Items = (("policy_rejected.revision", payload.revision[:16]),)
            return [_signal(place, (POLICY, ""), 0, (("policy_rejected", 1),), items)]
        case e.PolicyActivated():
            if payload.previous_revision in ("", payload.revision):
                return []
            items = (("policy_changed.revision", f"{payload.previous_revision[:16]} to {payload.revision[:16]}"),)
            return [_signal(place, (POLICY, ""), 0, (("policy_changed", 1),), items)]
        case e.EnforcementGapReported():
            items = (("enforcement_gap.reason", payload.reason[:80]),)
            key = (POINT, payload.enforcement_point)
            return [_signal(place, key, 0, (("enforcement_gap", max(1, payload.denials)),), items)]
