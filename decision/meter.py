"""What a decision service counts of itself. Plain integers: counting costs a decision well under a microsecond."""

from __future__ import annotations

from collections.abc import Iterator

from decision.model.decision import Decision, PolicyEffect
from decision.model.metrics import Histogram, Sample, counter
from decision.model.ports import Clock

BUILTIN = "airlock."
"""What begins the rule ids of denials by construction (decision.denials) and of combination (rego/airlock)."""
UNDECIDED = f"{BUILTIN}undecided"
MOST_REASONS = 64
"""The most values that a label has here; what comes beyond is counted as `other`."""
MOST_RULES = 2_000


class Reasons:
    """Counts by a short code; codes come from the error tree, so the bound is for what nobody foresaw."""

    __slots__ = ("_most", "counts")

    def __init__(self, most: int = MOST_REASONS) -> None:
        self._most = most
        self.counts: dict[str, int] = {}

    def count(self, reason: str, by: int = 1) -> None:
        counts = self.counts
        if reason not in counts:
            if len(counts) >= self._most:
                reason = "other"
            counts.setdefault(reason, 0)
        counts[reason] += by

    def samples(self, name: str, help: str) -> Iterator[Sample]:
        for reason, count in list(self.counts.items()):
            yield counter(name, help, count, reason=reason)


class DecisionMeter:
    """Used on the service's event loop; `samples` from any thread."""

    __slots__ = (
        "_allowed", "_clock", "_denials", "_denied", "_held", "_refusals", "executions", "gap_denials",
        "sessions_closed", "sessions_opened", "unanswered", "warm",
    )  # fmt: skip

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._allowed, self._denied, self._held = Histogram(), Histogram(), Histogram()
        self._denials, self._refusals = Reasons(MOST_RULES), Reasons()
        self.unanswered = self.warm = self.executions = self.gap_denials = 0
        self.sessions_opened = self.sessions_closed = 0

    def answered(self, decision: Decision, started_ns: int) -> None:
        """The decision's event is durable and whoever asked is told now; asked at `started_ns` (monotonic)."""
        took = self._clock.monotonic_ns() - started_ns
        if decision.effect is PolicyEffect.ALLOW:
            self._allowed.observe(took)
        elif decision.effect is PolicyEffect.DENY:
            self._denied.observe(took)
            results = decision.results
            self._denials.count(results[0].rule if results else UNDECIDED)
        else:
            self._held.observe(took)

    def session_refused(self, code: str) -> None:
        self._refusals.count(code)

    def samples(self) -> Iterator[Sample]:
        by_effect = {"allow": self._allowed, "deny": self._denied, "hold": self._held}
        for effect, found in by_effect.items():
            yield counter("decisions", "Decisions answered, by effect.", found.count, effect=effect)
        for effect, found in by_effect.items():
            yield found.sample(
                "decision_duration_seconds",
                "From the question to the answer, the durable event included.",
                (("effect", effect),),
            )
        yield from _by_reason(self._denials).samples(
            "denials", "Denials by reason: policy, or the code of what could not be understood, resolved or evaluated."
        )
        yield counter("decisions_unanswered", "Questions that the journal did not let answer.", self.unanswered)
        yield counter("decisions_warm", "Decisions repeated whole from the cache of decisions.", self.warm)
        yield counter("executions", "Executions that enforcement points reported.", self.executions)
        yield counter("gap_denials", "Denials that enforcement points gave alone and reported later.", self.gap_denials)
        yield counter("sessions_opened", "Sessions opened.", self.sessions_opened)
        yield counter("sessions_closed", "Sessions closed.", self.sessions_closed)
        yield from self._refusals.samples("sessions_refused", "Sessions refused, by the error's code.")


def _by_reason(by_rule: Reasons) -> Reasons:
    """Rules of policies are one reason: which of them speaks is a question to the audit store."""
    found = Reasons()
    for rule, count in list(by_rule.counts.items()):
        found.count(rule.removeprefix(BUILTIN) if rule.startswith(BUILTIN) else "policy", count)
    return found
