"""What an enforcement point counts of itself: plain integers, kept where things happen anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from decision.model.decision import Decision, PolicyEffect
from decision.model.metrics import Histogram, Sample, counter, gauge
from decision.model.session import ExecutionReport, Outcome

ENDINGS = ("refused", "denied", "upstream", "network", "fault")
"""Why a connection came to no session: what it asked for, who it was, its database, its network, a fault of ours."""
REASONS = ("journal_unavailable", "service_unavailable", "session_unknown")
"""Why a denial is given alone; anything else is `other`."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is so now, asked for at a scrape."""

    name: str
    help: str
    value: Callable[[], float]


class PointMeter:
    """Used on the enforcement point's event loop; `samples` from any thread."""

    def __init__(self, levels: Iterable[Level] = ()) -> None:
        self._levels = tuple(levels)
        self.connections = self.turned_away = self.sessions = self.cancels = self.upstream_losses = 0
        self.failures = dict.fromkeys(ENDINGS, 0)
        self.alone = dict.fromkeys((*REASONS, "other"), 0)
        self.decisions = {effect: Histogram() for effect in PolicyEffect}
        self.unanswered = self.holds = self.holding = self.bytes_in = self.bytes_out = 0
        self.outcomes = dict.fromkeys((outcome.value for outcome in Outcome), 0)
        self.duration = Histogram()
        self.rows = self.masked = self.unrecorded = 0

    # ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, answer: Decision | Exception, took_ns: int) -> None:
        """The decision service has answered, or why it has not."""
        if isinstance(answer, Exception):
            self.unanswered += 1
        else:
            self.decisions[answer.effect].observe(took_ns)

    def denied_alone(self, reason: str) -> None:
        self.alone[reason if reason in self.alone else "other"] += 1

    def executed(self, reports: Sequence[ExecutionReport]) -> None:
        """Executions that are on their way to the decision service."""
        for report in reports:
            self.outcomes[report.outcome.value] += 1
            self.rows += report.rows
            self.masked += report.masked_cells
            self.duration.observe(report.duration_ns)

    def session_over(self, reason: str, lost_reports: int) -> None:
        self.unrecorded += lost_reports
        self.upstream_losses += reason == "server"

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def samples(self) -> Iterator[Sample]:
        yield counter("proxy_connections", "Connections accepted.", self.connections)
        yield counter("proxy_turned_away", "Connections closed at once: there were too many.", self.turned_away)
        yield counter("proxy_sessions", "Sessions that began.", self.sessions)
        for reason, count in self.failures.items():
            yield counter("proxy_sign_in_failures", "Connections that came to no session.", count, reason=reason)
        yield counter("proxy_upstream_losses", "Sessions that the database's side ended.", self.upstream_losses)
        yield counter("proxy_cancels", "Cancel requests of clients.", self.cancels)
        yield from self._of_decisions()
        yield from self._of_executions()
        yield counter("proxy_bytes", "Bytes of clients (in) and to them (out).", self.bytes_in, direction="in")
        yield counter("proxy_bytes", "Bytes of clients (in) and to them (out).", self.bytes_out, direction="out")
        for level in self._levels:
            yield gauge(level.name, level.help, level.value())

    def _of_decisions(self) -> Iterator[Sample]:
        for effect, found in self.decisions.items():
            yield counter("proxy_decisions", "Decisions received, by effect.", found.count, effect=effect.value)
        for effect, found in self.decisions.items():
            yield found.sample(
                "proxy_decision_duration_seconds", "From asking the decision service to its answer.",
                (("effect", effect.value),),
            )  # fmt: skip
        yield counter("proxy_unanswered", "Questions that the decision service did not answer.", self.unanswered)
        for reason, count in self.alone.items():
            yield counter(
                "proxy_denied_alone", "Denials given without a record, because nobody could make one.", count,
                reason=reason,
            )  # fmt: skip
        yield counter("proxy_holds", "Statements whose client was kept waiting for an approval.", self.holds)
        yield gauge("proxy_holding", "Statements whose client waits for an approval now.", self.holding)

    def _of_executions(self) -> Iterator[Sample]:
        for outcome, count in self.outcomes.items():
            yield counter("proxy_executions", "Statements that the database ran, by outcome.", count, outcome=outcome)
        yield self.duration.sample("proxy_execution_duration_seconds", "From forwarding a statement to its end.")
        yield counter("proxy_rows", "Rows returned or affected.", self.rows)
        yield counter("proxy_masked_values", "Values masked.", self.masked)
        yield counter("proxy_unrecorded_executions", "Executions whose report was given up.", self.unrecorded)
