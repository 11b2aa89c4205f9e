"""What is detected: each rule from the events that must raise it, and nothing below its threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from decision.model.decision import PolicyEffect, RuleResult
from decision.model.events import (
    AlertRaised,
    ApprovalGranted,
    ApprovalRequested,
    EnforcementGapReported,
    PinnedValue,
    PolicyActivated,
    PolicyRejected,
    StatementDecided,
)
from ingest.detectors import RULES, Detections, Extraction, Places
from ingest.detectors.hours import WorkingHours
from ingest.detectors.rules import Override, tuned
from tests.support.analytics_story import DROP, decided
from tests.support.streams_story import (
    ISSUER,
    SECOND,
    Told,
    agent_of,
    denied,
    looked,
    opened,
    person,
    read,
    refused,
    told,
)

MONDAY_NOON = 1_789_992_000 * SECOND  # 2026-09-21T12:00Z
MONDAY_NIGHT = MONDAY_NOON - 9 * 3_600 * SECOND
ALICE = person("alice")
BOT = agent_of("bot", ALICE)


def alerts(stories: Iterable[Told]) -> dict[tuple[str, str], AlertRaised]:
    """The alerts of a story by (rule, subject), in their last form."""
    extraction, detections = Extraction(), Detections()
    for event in told(stories):
        detections.add(extraction.signals(event))
    found = [draft.payload for draft in detections.flush()]
    return {(one.rule, one.subject): one for one in found if isinstance(one, AlertRaised)}


def times(count: int, make: Callable[[int, str], Told | list[Told]], gap_s: float = 1.0) -> list[Told]:
    stories: list[Told] = []
    for number in range(count):
        made = make(MONDAY_NOON + int(number * gap_s * SECOND), f"d{number}")
        stories += made if isinstance(made, list) else [made]
    return stories


def test_many_rows_within_an_hour_raise_mass_read_with_the_tables_they_came_from() -> None:
    """Eleven reads of 10,000 rows in eleven minutes are over 100,000 within an hour."""
    found = alerts(times(11, lambda time, d: read(time, "s", d, ALICE, 10_000), 60))["mass_read", "alice"]
    assert (found.observed, found.threshold, found.severity) == (110_000, 100_000, "high")
    assert dict(found.evidence)["tables"] == "shop: public.customers"
    assert found.database == "shop"
    assert found.issuer == ISSUER


def test_the_same_rows_spread_over_a_day_raise_nothing() -> None:
    """One read of 10,000 rows each two hours stays below."""
    assert not [
        rule for rule, _ in alerts(times(11, lambda t, d: read(t, "s", d, ALICE, 10_000), 7_200)) if "mass" in rule
    ]


def test_a_gigabyte_raises_mass_export() -> None:
    """Bytes count where rows are few and large."""
    found = alerts(times(3, lambda time, d: read(time, "s", d, ALICE, 1, 400_000_000)))
    assert found["mass_export", "alice"].observed == 1_200_000_000


def test_what_an_agent_reads_counts_for_its_human_who_is_told_through_whom() -> None:
    """A budget of a person covers their agents."""
    found = alerts(times(11, lambda time, d: read(time, "s", d, BOT, 10_000)))
    assert found["mass_read", "bot"].observed == found["mass_read", "alice"].observed == 110_000
    assert dict(found["mass_read", "alice"].evidence)["through"] == "bot"
    assert "through" not in dict(found["mass_read", "bot"].evidence)


def test_rows_that_were_changed_and_not_sent_are_no_rows_out() -> None:
    """An execution without bytes sent let nothing out."""
    stories = times(20, lambda time, d: read(time, "s", d, ALICE, 10_000))
    silent = [(t, s, replace(p, bytes=0) if type(p).__name__ == "StatementExecuted" else p) for t, s, p in stories]
    assert ("mass_read", "alice") not in alerts(silent)


def test_ten_denials_in_ten_minutes_raise_a_burst_and_nine_do_not() -> None:
    """The threshold itself raises."""
    assert ("denial_burst", "alice") not in alerts(times(9, lambda time, d: denied(time, "s", d, ALICE)))
    found = alerts(times(10, lambda time, d: denied(time, "s", d, ALICE)))["denial_burst", "alice"]
    assert found.observed == 10
    assert dict(found.evidence)["rules"] == "guardrails.drop_critical"


def test_a_burst_that_crosses_the_hour_is_seen() -> None:
    """Windows slide: five denials before and five after a full hour are ten within ten minutes."""
    base = MONDAY_NOON - 5 * SECOND
    assert ("denial_burst", "alice") in alerts(
        [denied(base + number * SECOND, "s", f"d{number}", ALICE) for number in range(10)]
    )


def test_a_parse_and_its_bind_are_one_denial() -> None:
    """Drivers send both; nine statements denied twice over stay below ten."""
    stories: list[Told] = []
    for time, session, payload in times(9, lambda time, d: denied(time, "s", d, ALICE)):
        assert isinstance(payload, StatementDecided)
        stories.append((time, session, replace(payload, message_kind="parse")))
        stories.append((time + 1, session, replace(payload, message_kind="bind")))
    assert ("denial_burst", "alice") not in alerts(stories)


def test_fifty_different_tables_in_an_hour_are_an_enumeration() -> None:
    """The same table again does not count."""
    same = times(60, lambda time, d: looked(time, "s", d, ALICE, "orders"))
    assert ("table_enumeration", "alice") not in alerts(same)
    many = times(50, lambda time, d: looked(time, "s", d, ALICE, f"t{d}"))
    found = alerts(many)["table_enumeration", "alice"]
    assert found.observed == 50
    assert dict(found.evidence)["tables"].endswith("and 40 more")


def test_five_hundred_keys_one_by_one_are_a_scrape_and_no_digest_is_shown() -> None:
    """Keys are compared by the event's keyed digests; an alert names the column."""

    def keyed(time: int, d: str) -> Told:
        mac = PinnedValue(0, "public", "customers", "id", "pinned", d.encode().ljust(16, b"."))
        payload = looked(time, "s", d, ALICE, "customers")[2]
        assert isinstance(payload, StatementDecided)
        return time, "s", replace(payload, pinned=(mac,))

    found = alerts(times(500, keyed))["key_enumeration", "alice"]
    assert dict(found.evidence)["columns"] == "shop: public.customers.id"
    assert b"d499".hex() not in repr(found)


def test_failed_sign_ins_are_counted_by_name_and_by_address() -> None:
    """Thirty names from one address: no name is guessed often, the address is."""
    found = alerts([refused(MONDAY_NOON + n * SECOND, f"s{n}", f"user{n}") for n in range(30)])
    assert set(found) == {("sign_in_failures_address", "10.0.0.7")}
    guessed = alerts([refused(MONDAY_NOON + n * SECOND, f"s{n}", "root", f"10.0.{n}.1:5") for n in range(10)])
    assert set(guessed) == {("sign_in_failures", "root")}


def test_the_first_use_of_a_sensitive_table_is_told_once() -> None:
    """A tagged column makes its table sensitive; later uses are not told."""
    stories = times(3, lambda time, d: read(time, "s", d, ALICE, 1))
    found = alerts(stories)["first_sensitive_access", "alice"]
    assert found.window_start_unix_nano == MONDAY_NOON
    detections, extraction = Detections(), Extraction()
    events = told(stories)
    detections.add(extraction.signals(events[0]))
    assert len(detections.flush()) == 1
    for event in events[1:]:
        detections.add(extraction.signals(event))
    assert not detections.flush()


def test_a_first_time_known_from_before_is_not_told_again() -> None:
    """What a worker remembers of the time before its windows."""
    detections, extraction = Detections(), Extraction()
    detections.remember((ISSUER, "alice"), "sensitive_tables", "shop: public.customers", MONDAY_NOON - SECOND)
    for event in told(times(1, lambda time, d: read(time, "s", d, ALICE, 1))):
        detections.add(extraction.signals(event))
    assert not detections.flush()


@pytest.mark.parametrize(("time", "raised"), [(MONDAY_NOON, False), (MONDAY_NIGHT, True)])
def test_privileged_work_is_told_outside_working_hours_only(time: int, raised: bool) -> None:
    """DDL at three in the morning, not at noon."""
    payload = decided("d", "s", DROP, "DROP TABLE payments", PolicyEffect.ALLOW, "access.dba", principal=ALICE)
    assert (("off_hours_privileged", "alice") in alerts([(time, "s", payload)])) is raised


def test_working_hours_follow_the_time_zone_and_its_changes() -> None:
    """19:30 UTC is evening in winter in Zurich, and over in summer."""
    hours = WorkingHours(7 * 3_600, 21 * 3_600, (0, 1, 2, 3, 4), ((0, 3_600), (MONDAY_NOON // SECOND, 7_200)))
    evening = MONDAY_NOON + int(7.5 * 3_600) * SECOND
    assert not hours.contain(evening)
    assert hours.contain(evening - 7 * 86_400 * SECOND)
    assert not hours.contain(MONDAY_NOON - 86_400 * SECOND), "a Sunday"


def test_consent_to_ones_own_request_is_told_as_self_dealing() -> None:
    """By the requester, or by who the requesting agent acts for."""
    request = ApprovalRequested("a1", "d", "s", BOT, "shop", "DROP", b"", b"", (), 0)
    own = [(MONDAY_NOON, "s", request), (MONDAY_NOON + SECOND, "s", ApprovalGranted("a1", ALICE))]
    assert dict(alerts(own)["approval_self_dealing", "alice"].evidence)["approvals"] == "a1"
    other = [(MONDAY_NOON, "s", request), (MONDAY_NOON + SECOND, "s", ApprovalGranted("a1", person("bob")))]
    assert not alerts(other)


def test_what_befalls_the_system_itself_is_told() -> None:
    """A gap in enforcement, a refused bundle, a changed one; the first bundle of all is no change."""
    found = alerts(
        [
            (MONDAY_NOON, "x", EnforcementGapReported("proxy-1", "service away", 7, MONDAY_NOON, MONDAY_NOON)),
            (MONDAY_NOON, "x", PolicyActivated("r1", "", "regorus")),
            (MONDAY_NOON, "x", PolicyRejected("r2", "syntax", "r1")),
            (MONDAY_NOON, "x", PolicyActivated("r3", "r1", "regorus")),
        ]
    )
    assert {rule for rule, _ in found} == {"enforcement_gap", "policy_rejected", "policy_changed"}
    assert found["enforcement_gap", "proxy-1"].observed == 7
    assert dict(found["policy_changed", ""].evidence)["revisions"] == "r1 to r3"


def test_emergency_access_is_told_by_the_rule_that_let_it_in() -> None:
    """A rule named for it that allowed."""
    payload = looked(MONDAY_NOON, "s", "d", ALICE, "orders")[2]
    assert isinstance(payload, StatementDecided)
    glass = replace(payload, results=(RuleResult("access.break_glass", PolicyEffect.ALLOW, "emergency"),))
    assert ("break_glass", "alice") in alerts([(MONDAY_NOON, "s", glass)])


def test_events_that_never_arrive_are_told_once_time_has_gone_on() -> None:
    """A hole is no alarm at once: another partition may be read later."""
    detections = Detections()
    detections.arrived([Places("p1", MONDAY_NOON, (1, 2, 5, 6))])
    assert not detections.flush()
    detections.arrived([Places("p1", MONDAY_NOON + 901 * SECOND, (7,))])
    (draft,) = detections.flush()
    assert isinstance(draft.payload, AlertRaised)
    assert (draft.payload.rule, draft.payload.observed) == ("missing_events", 2)
    assert dict(draft.payload.evidence)["first_missing"] == "3"
    assert not detections.flush()


def test_who_catches_up_does_not_take_what_it_has_yet_to_read_for_missing() -> None:
    """The reader's own time must have gone on, too."""
    detections = Detections()
    detections.arrived([Places("p1", MONDAY_NOON, (1, 2, 5))])
    assert not detections.flush(0)
    detections.arrived([Places("p1", MONDAY_NOON + 3_600 * SECOND, (6,))])
    assert not detections.flush(60 * SECOND)
    assert len(detections.flush(901 * SECOND)) == 1


def test_a_hole_that_was_filled_is_not_told() -> None:
    """What came late is not missing."""
    detections = Detections()
    detections.arrived([Places("p1", MONDAY_NOON, (1, 2, 5, 6))])
    detections.flush()
    detections.arrived([Places("p1", MONDAY_NOON, (4, 3))])
    detections.arrived([Places("p1", MONDAY_NOON + 2_000 * SECOND, (7,))])
    assert not detections.flush()


def test_settings_change_a_rule_or_turn_it_off() -> None:
    """Threshold and severity replaced, another rule gone."""
    rules = tuned({"denial_burst": Override(threshold=3, severity="high"), "mass_read": Override(enabled=False)})
    assert "mass_read" not in {rule.id for rule in rules}
    extraction, detections = Extraction(), Detections(rules)
    for event in told(times(3, lambda time, d: denied(time, "s", d, ALICE))):
        detections.add(extraction.signals(event))
    (draft,) = [one for one in detections.flush() if isinstance(one.payload, AlertRaised)]
    assert isinstance(draft.payload, AlertRaised)
    assert draft.payload.severity == "high"


def test_every_rule_names_controls_and_what_to_do() -> None:
    """An alert is for somebody who must act."""
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.controls and rule.advice and rule.severity in ("low", "medium", "high", "critical")


def test_an_execution_whose_session_is_unknown_is_counted_not_guessed() -> None:
    """`unattributed` says how many."""
    extraction = Extraction()
    execution = told(read(MONDAY_NOON, "s", "d", ALICE, 5))[1]
    assert extraction.signals(execution) == []
    assert extraction.counts["unattributed"] == 1
    extraction.signals(told([opened(MONDAY_NOON, "s", ALICE)])[0])
    assert len(extraction.signals(execution)) == 1
