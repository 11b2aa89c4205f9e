"""The detections, as data. Pure.

A rule compares one measure of a key within a window with a threshold. Windows slide by a sixtieth of their length (at
least ten seconds) on the time of the events; one ends wherever something counted. `distinct` counts different items
instead of adding amounts; `first` raises once for each item that a key was never seen with.
`evidence` are (name, items): which items of the same window an alert names. They never hold literals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

HOUR_S = 3_600
TEN_MINUTES_S = 600


@dataclass(frozen=True, slots=True)
class Rule:
    """`advice` is for who looks at the alert: what to do. `window_s` is at least 10, `threshold` at least 1."""

    id: str
    title: str
    severity: str
    measure: str
    threshold: int
    window_s: int
    advice: str
    controls: tuple[str, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    distinct: bool = False
    first: bool = False
    enabled: bool = True

    @property
    def step_s(self) -> int:
        return step_of(self.window_s)


def step_of(window_s: int) -> int:
    """How far a window of this length slides at once, in seconds."""
    return max(10, window_s // 60)


@dataclass(frozen=True, slots=True)
class Override:
    """What the settings change of a rule; None leaves it as it is."""

    enabled: bool | None = None
    threshold: int | None = None
    window_s: int | None = None
    severity: str | None = None


RULES: tuple[Rule, ...] = (
    Rule(
        "mass_read", "Unusually many rows were read", "high", "rows_out", 100_000, HOUR_S,
        "Compare with the work this principal has; look at `statements` of the window; end the session and revoke "
        "the token if it does not fit.",
        ("SOC2:CC6.1", "SOC2:CC7.2", "ISO27001:A.8.12", "FedRAMP:AC-6(9)", "FedRAMP:SI-4"),
        (("databases", "rows_out.database"), ("tables", "rows_out.table"), ("through", "rows_out.by")),
    ),
    Rule(
        "mass_export", "Unusually many bytes left the database", "high", "bytes_out", 1_000_000_000, HOUR_S,
        "As for mass_read: find the statement with the most bytes in `statements`.",
        ("SOC2:CC6.7", "SOC2:CC7.2", "ISO27001:A.8.12", "FedRAMP:SI-4"),
        (("databases", "rows_out.database"), ("tables", "rows_out.table"), ("through", "rows_out.by")),
    ),
    Rule(
        "denial_burst", "Many statements were denied", "medium", "denials", 10, TEN_MINUTES_S,
        "Read `denials` of the window: one rule and one statement is a broken program, many are somebody trying.",
        ("SOC2:CC7.2", "ISO27001:A.8.16", "FedRAMP:AU-6", "FedRAMP:SI-4"),
        (("rules", "denials.rule"), ("databases", "denials.database"), ("through", "denials.by")),
    ),
    Rule(
        "table_enumeration", "Many different tables were looked at", "medium", "tables", 50, HOUR_S,
        "Somebody (or an agent) explores. Ask why; narrow its rights to the tables it needs.",
        ("SOC2:CC6.1", "SOC2:CC7.2", "ISO27001:A.5.15", "FedRAMP:AC-6", "FedRAMP:SI-4"),
        (("tables", "tables"),),
        distinct=True,
    ),
    Rule(
        "key_enumeration", "Many different keys of a table were asked for one by one", "high", "keys", 500,
        TEN_MINUTES_S,
        "A scrape that stays below row limits. Look at who it is; a service that works so gets a higher threshold.",
        ("SOC2:CC6.1", "SOC2:CC7.2", "ISO27001:A.8.12", "FedRAMP:SI-4"),
        (("columns", "keys.column"),),
        distinct=True,
    ),
    Rule(
        "sign_in_failures", "Many sign-ins failed", "medium", "failed_sign_ins", 10, TEN_MINUTES_S,
        "An expired credential in a program, or somebody guessing: see `sessions` that were refused.",
        ("SOC2:CC6.1", "SOC2:CC7.2", "ISO27001:A.8.5", "FedRAMP:AC-7", "FedRAMP:AU-6"),
        (("codes", "failed_sign_ins.code"), ("databases", "failed_sign_ins.database")),
    ),
    Rule(
        "sign_in_failures_address", "Many sign-ins failed from one address", "high", "failed_sign_ins_address", 30,
        TEN_MINUTES_S,
        "Somebody tries one name after the other. Block the address at the network if nobody knows it.",
        ("SOC2:CC6.1", "SOC2:CC6.6", "ISO27001:A.8.5", "FedRAMP:AC-7", "FedRAMP:SI-4"),
        (("codes", "failed_sign_ins_address.code"), ("databases", "failed_sign_ins_address.database")),
    ),
    Rule(
        "first_sensitive_access", "First use of a sensitive table", "low", "sensitive_tables", 1, HOUR_S,
        "Expected after a change of duties; else ask who gave the right, and why.",
        ("SOC2:CC6.1", "SOC2:CC6.3", "ISO27001:A.5.18", "FedRAMP:AC-6(9)"),
        (("tables", "sensitive_tables"),),
        first=True,
    ),
    Rule(
        "off_hours_privileged", "Privileged work outside working hours", "medium", "privileged_off_hours", 1, HOUR_S,
        "Match it with a change or an incident; without one, ask at once.",
        ("SOC2:CC6.1", "SOC2:CC7.2", "SOC2:CC8.1", "ISO27001:A.8.2", "FedRAMP:AC-6(9)", "FedRAMP:AU-6"),
        (("kinds", "privileged_off_hours.kind"), ("databases", "privileged_off_hours.database")),
    ),
    Rule(
        "approval_self_dealing", "Somebody tried to approve what they or their agent asked for", "high",
        "self_dealing", 1, HOUR_S,
        "It was not counted as consent. Talk to the person: a second look is what the hold is for.",
        ("SOC2:CC5.1", "SOC2:CC6.3", "ISO27001:A.5.3", "FedRAMP:AC-5"),
        (("approvals", "self_dealing.approval"),),
    ),
    Rule(
        "enforcement_gap", "An enforcement point had to deny alone", "high", "enforcement_gap", 1, HOUR_S,
        "The decision service or its journal was away: see `enforcement_gaps`, then `airlock doctor`.",
        ("SOC2:A1.2", "SOC2:CC7.3", "ISO27001:A.8.15", "FedRAMP:AU-5"),
        (("reasons", "enforcement_gap.reason"),),
    ),
    Rule(
        "policy_rejected", "A policy bundle was refused", "medium", "policy_rejected", 1, HOUR_S,
        "The bundle before stays in force: mend the new one (`airlock policy test`), see `policy_changes`.",
        ("SOC2:CC8.1", "ISO27001:A.8.32", "FedRAMP:CM-3"),
        (("revisions", "policy_rejected.revision"),),
    ),
    Rule(
        "policy_changed", "Another policy bundle is in force", "low", "policy_changed", 1, HOUR_S,
        "Match its revision with a reviewed change.",
        ("SOC2:CC8.1", "ISO27001:A.8.32", "FedRAMP:CM-3", "FedRAMP:CM-5(1)"),
        (("revisions", "policy_changed.revision"),),
    ),
    Rule(
        "missing_events", "Events of a journal never arrived", "critical", "missing_events", 1, 900,
        "Run `airlock verify` on the journal and see `gaps`: a relay that lags fills them, a deletion does not.",
        ("SOC2:CC7.2", "ISO27001:A.8.15", "FedRAMP:AU-9", "FedRAMP:AU-10"),
    ),
    Rule(
        "break_glass", "Emergency access was used", "high", "break_glass", 1, HOUR_S,
        "Read every statement of the session, and close the emergency in its ticket.",
        ("SOC2:CC6.1", "ISO27001:A.8.2", "FedRAMP:AC-6(9)", "FedRAMP:AU-6"),
        (("rules", "break_glass.rule"), ("databases", "break_glass.database")),
    ),
)  # fmt: skip


def tuned(overrides: Mapping[str, Override], rules: Iterable[Rule] = RULES) -> tuple[Rule, ...]:
    """The rules that are on, as the settings change them. KeyError names a rule that there is not."""
    known = {rule.id: rule for rule in rules}
    for name, change in overrides.items():
        rule = known[name]
        known[name] = replace(
            rule,
            enabled=rule.enabled if change.enabled is None else change.enabled,
            threshold=rule.threshold if change.threshold is None else change.threshold,
            window_s=rule.window_s if change.window_s is None else change.window_s,
            severity=rule.severity if change.severity is None else change.severity,
        )
    return tuple(rule for rule in known.values() if rule.enabled)
