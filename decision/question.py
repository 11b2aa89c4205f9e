"""One message to decide, and what became of it: the values that judging and recording hand to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from decision.analysis import Analysis, SessionState
from decision.analysis.redact import redact
from decision.model.catalog import CatalogSnapshot
from decision.model.decision import Decision, Evaluation
from decision.model.events import MaskedColumn
from decision.model.facts import Facts
from decision.model.policy import ApprovalContext, Context, Figures
from decision.model.ports import CounterSource
from decision.model.principal import Principal
from decision.model.session import DecideRequest
from decision.obligations import TagIndex
from decision.sessions import Session
from decision.template import Template


@dataclass(frozen=True, slots=True)
class Catalog:
    """The newest snapshot of a database, with what is prepared from it."""

    snapshot: CatalogSnapshot
    index: TagIndex


@dataclass(slots=True)
class Question:
    """One message to decide, with everything that its decision depends on. `intent` and `ticket` are the message's
    own or the session's. `grant` is set once, before it is judged, and so is `sealed_text`, where texts are kept
    encrypted."""

    session: Session
    request: DecideRequest
    decision_id: str
    time_unix: int
    catalog: Catalog | None
    statement_digest: bytes
    parameters_digest: bytes
    intent: str
    ticket: str
    facts: Facts | None = None
    grant: ApprovalContext | None = None
    sealed_text: bytes | None = None


@dataclass(slots=True)
class Judged:
    """The decision and what it rests on: the policy input, the evaluation, the analysis and the session's state that it
    was made in (None where there was no analysis)."""

    decision: Decision
    evaluation: Evaluation
    document: bytes = b""
    analysis: Analysis | None = None
    state: SessionState | None = None
    made: Template | None = None
    error_code: str = ""

    @property
    def masked(self) -> tuple[MaskedColumn, ...]:
        return () if self.made is None else self.made.masked

    def statement_text(self, text: bytes) -> str:
        """What the audit keeps of `text` for all to read: normalized, without literals."""
        return redact(text) if self.analysis is None else self.analysis.normalized_text


GrantFor = Callable[[Question], ApprovalContext | None]


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of who asks and of whom it acts for, as in Context."""

    own: Figures = ()
    behind: tuple[tuple[str, str, Figures], ...] = ()

    @staticmethod
    def of(principal: Principal, source: CounterSource, time_unix_nano: int) -> Counted:
        first, *others = principal.chain()
        behind = [(one.issuer, one.subject, source.of(one.key, time_unix_nano)) for one in others]
        return Counted(source.of(first.key, time_unix_nano), tuple(behind))

    def in_context(self, context: Context) -> bool:
        """Whether they are those of `context`."""
        return context.counters == self.own and context.counters_behind == self.behind


UNCOUNTED = Counted()


def context_of(question: Question, counted: Counted = UNCOUNTED) -> Context:
    """The context of the policy input: one object for as long as a session's context stays as it is, so that it need
    not be written out again for every statement."""
    session, request = question.session, question.request
    if question.grant is None:
        known = session.context
        if (
            known is not None
            and known.time_unix == question.time_unix
            and known.transaction_status == request.transaction_status
            and known.intent == question.intent
            and known.ticket == question.ticket
            and counted.in_context(known)
        ):
            return known
    context = Context(
        session_id=session.session_id,
        time_unix=question.time_unix,
        intent=question.intent,
        ticket=question.ticket,
        client=session.request.client,
        enforcement_point=session.request.enforcement_point,
        transaction_status=request.transaction_status,
        approval=question.grant,
        counters=counted.own,
        counters_behind=counted.behind,
    )
    if question.grant is None:
        session.context = context
    return context
