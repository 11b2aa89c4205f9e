"""Events to signals. Pure.

What an agent does counts for everyone it acts for, too: a budget of a person covers their agents. Names are relations,
rules, codes and databases; of a key column's value only the event's own keyed digest is compared, and never shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from analytics.project import ProjectionError
from analytics.project.document import MessageFacts, RelationFacts, message_facts, qualified
from decision.model import events as e
from decision.model.decision import PolicyEffect
from decision.model.principal import Principal
from ingest.detectors.hours import WorkingHours
from ingest.detectors.sessions import Session, Sessions
from ingest.detectors.signals import ADDRESS, CLAIMED, POINT, POLICY, Amounts, Items, Key, Signal

_SYSTEM = frozenset({"pg_catalog", "information_schema", "pg_toast"})
_MOST_KEYS = 64
_MOST_ALIKE = 4_096
_OURS_TO_MEND = ("journal_", "service_", "issuer_unavailable", "policy_")


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
        self._alike: dict[tuple[int, int, str, PolicyEffect], _Decided] = {}
        self.counts = {"unattributed": 0, "unreadable": 0}

    def signals(self, event: e.AuditEvent) -> list[Signal]:
        match event.payload:
            case e.StatementExecuted() as payload:
                return self._executed(event, payload)
            case e.StatementDecided() as payload:
                return self._decided(event, payload)
            case e.SessionOpened() as payload:
                self.sessions.open(payload.session_id, _keys(payload.principal), payload.database)
            case e.SessionClosed() as payload:
                pass  # reports of what ran may still follow
            case e.SessionRefused() as payload:
                return _refused(event, payload)
            case e.ApprovalRequested() as payload:
                while len(self._requesters) >= self._meaning.approvals:
                    del self._requesters[next(iter(self._requesters))]
                self._requesters[payload.approval_id] = payload.requester
            case e.ApprovalGranted() as payload:
                return self._granted(event, payload)
            case e.PolicyActivated() | e.PolicyRejected() | e.EnforcementGapReported() as payload:
                return _system(event, payload)
            case _:
                pass
        return []

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _decided(self, event: e.AuditEvent, payload: e.StatementDecided) -> list[Signal]:
        session = self.sessions.get(payload.session_id)
        if session is None:
            session = self.sessions.open(payload.session_id, _keys(payload.principal), payload.database)
        parsed = payload.message_kind == "parse"
        known = self._known(payload)
        if not parsed:
            session.decided(payload.decision_id, known.tables)
        amounts: list[tuple[str, int]] = [] if parsed else [("statements", 1)]
        items: list[tuple[str, str]] = list(known.items)
        if payload.effect is PolicyEffect.DENY:
            # Drivers send a bind right behind its parse: both are refused, and that is one statement.
            if payload.message_kind != "bind" or session.refused != payload.statement_digest:
                amounts.append(("denials", 1))
                items.extend(known.rules)
                items.append(("denials.database", payload.database))
            session.refused = payload.statement_digest if parsed else b""
        elif not parsed:
            self._allowed(event.draft.time_unix_nano, payload, known, amounts, items)
        if payload.pinned and not parsed:
            items.extend(_pinned(payload))
        return _each(event, session, tuple(amounts), tuple(items), "denials.by")

    def _allowed(
        self,
        time: int,
        payload: e.StatementDecided,
        known: _Decided,
        amounts: list[tuple[str, int]],
        items: list[tuple[str, str]],
    ) -> None:
        items.extend(known.sensitive)
        if payload.effect is not PolicyEffect.ALLOW:
            return
        if known.privileged and not self._meaning.hours.contain(time):
            amounts.append(("privileged_off_hours", 1))
            items.extend(known.privileged)
            items.append(("privileged_off_hours.database", payload.database))
        if known.glass:
            amounts.append(("break_glass", 1))
            items.extend(known.glass)
            items.append(("break_glass.database", payload.database))

    def _known(self, payload: e.StatementDecided) -> _Decided:
        """What follows from facts and rules, once for statements alike: their objects are shared by decoding."""
        try:
            facts = message_facts(payload.input_json)
        except ProjectionError:
            self.counts["unreadable"] += 1
            facts = None
        place = (id(facts), id(payload.results), payload.database, payload.effect)
        known = self._alike.get(place)
        if known is None or known.facts is not facts or known.results is not payload.results:
            if len(self._alike) >= _MOST_ALIKE:
                self._alike.clear()
            known = self._alike[place] = _Decided(payload, facts, self._meaning)
        return known

    def _executed(self, event: e.AuditEvent, payload: e.StatementExecuted) -> list[Signal]:
        session = self.sessions.get(payload.session_id)
        if session is None:
            self.counts["unattributed"] += 1
            return []
        # Only rows that are sent have bytes: what an INSERT changed did not leave.
        if not payload.bytes:
            return []
        tables = session.tables.get(payload.decision_id, ())
        amounts = [("rows_out", payload.rows), ("bytes_out", payload.bytes)]
        if payload.masked_cells:
            amounts.append(("masked_cells", payload.masked_cells))
        items = (("rows_out.database", session.database), *[("rows_out.table", table) for table in tables])
        return _each(event, session, tuple(amounts), items, "rows_out.by")

    # ── approvals ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _granted(self, event: e.AuditEvent, payload: e.ApprovalGranted) -> list[Signal]:
        requester = self._requesters.get(payload.approval_id)
        if requester is None or not payload.approver.involves(requester):
            return []
        items = (("self_dealing.approval", payload.approval_id),)
        return [_signal(event, payload.approver.key, (("self_dealing", 1),), items)]


class _Decided:
    """What is the same for every decision with these facts, rules, database and effect. `facts` and `results` are kept
    so that their ids stay their own."""

    __slots__ = ("facts", "glass", "items", "privileged", "results", "rules", "sensitive", "tables")

    def __init__(self, payload: e.StatementDecided, facts: MessageFacts | None, meaning: Meaning) -> None:
        self.facts = facts
        self.results = payload.results
        relations = [] if facts is None else [one for part in facts.statements for one in part.relations]
        own = [one for one in relations if one.kind != "system" and one.schema not in _SYSTEM]
        self.tables = tuple(dict.fromkeys(_named(payload.database, one) for one in own))
        self.items: Items = tuple(("tables", table) for table in self.tables)
        tagged = {(one.schema, one.name) for one in own if _sensitive(one.tags, meaning.sensitive)}
        for part in () if facts is None else facts.statements:
            tagged |= {(one.schema, one.table) for one in part.columns if _sensitive(one.tags, meaning.sensitive)}
        named = sorted(f"{payload.database}: {qualified(*one)}" for one in tagged)
        self.sensitive: Items = tuple(("sensitive_tables", one) for one in named)
        spoke = [result.rule for result in payload.results if result.effect is payload.effect]
        self.rules: Items = tuple(("denials.rule", rule) for rule in spoke or [payload.error_code or "none"])
        kinds = () if facts is None else tuple(kind for kind in facts.kinds if kind in meaning.privileged)
        self.privileged: Items = tuple(("privileged_off_hours.kind", kind) for kind in kinds)
        glass = [rule for rule in spoke if any(word in rule for word in meaning.break_glass)]
        self.glass: Items = tuple(("break_glass.rule", rule) for rule in glass)


def _named(database: str, relation: RelationFacts) -> str:
    return f"{database}: {qualified(relation.schema, relation.name)}"


def _sensitive(tags: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(tag == one or tag.startswith(f"{one}.") for tag in tags for one in wanted)


def _keys(principal: Principal) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(member.key for member in principal.chain()))


def _pinned(payload: e.StatementDecided) -> Items:
    items: list[tuple[str, str]] = []
    for value in payload.pinned[:_MOST_KEYS]:
        if value.role == "pinned" and value.mac:
            column = f"{payload.database}: {qualified(value.schema, value.table, value.column)}"
            items.append(("keys", f"{column} {value.mac[:8].hex()}"))
            items.append(("keys.column", column))
    return tuple(dict.fromkeys(items))


def _each(event: e.AuditEvent, session: Session, amounts: Amounts, items: Items, by: str) -> list[Signal]:
    """A signal for the principal and one for each that it acts for; those name the principal."""
    if not amounts and not items:
        return []
    keys = session.keys
    signals = [_signal(event, keys[0], amounts, items)]
    if len(keys) > 1:
        counts = by.partition(".")[0]
        named = (*items, (by, keys[0][1])) if any(measure == counts for measure, _ in amounts) else items
        for part, key in enumerate(keys[1:], 1):
            signals.append(_signal(event, key, amounts, named, part))
    return signals


def _signal(event: e.AuditEvent, key: Key, amounts: Amounts, items: Items, part: int = 0) -> Signal:
    draft = event.draft
    return Signal(*key, draft.time_unix_nano, event.producer_id, event.epoch, event.seq, part, amounts, items)


def _refused(event: e.AuditEvent, payload: e.SessionRefused) -> list[Signal]:
    if payload.code.startswith(_OURS_TO_MEND):
        return []
    key = payload.principal.key if payload.principal is not None else (CLAIMED, payload.user)
    items = (("failed_sign_ins.code", payload.code), ("failed_sign_ins.database", payload.database))
    signals = [_signal(event, key, (("failed_sign_ins", 1),), items)]
    address = payload.client.address.rpartition(":")[0].strip("[]")
    if address:
        items = (("failed_sign_ins_address.code", payload.code), ("failed_sign_ins_address.database", payload.database))
        signals.append(_signal(event, (ADDRESS, address), (("failed_sign_ins_address", 1),), items, 1))
    return signals


def _system(
    event: e.AuditEvent, payload: e.PolicyActivated | e.PolicyRejected | e.EnforcementGapReported
) -> list[Signal]:
    match payload:
        case e.PolicyRejected():
            items: Items = (("policy_rejected.revision", payload.revision[:16]),)
            return [_signal(event, (POLICY, ""), (("policy_rejected", 1),), items)]
        case e.PolicyActivated():
            if payload.previous_revision in ("", payload.revision):
                return []
            items = (("policy_changed.revision", f"{payload.previous_revision[:16]} to {payload.revision[:16]}"),)
            return [_signal(event, (POLICY, ""), (("policy_changed", 1),), items)]
        case e.EnforcementGapReported():
            items = (("enforcement_gap.reason", payload.reason[:80]),)
            key = (POINT, payload.enforcement_point)
            return [_signal(event, key, (("enforcement_gap", max(1, payload.denials)),), items)]
