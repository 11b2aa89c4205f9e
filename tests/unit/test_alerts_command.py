"""`airlock alerts` and the settings `[detections]`, as people and programs meet them."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from airlock.commands.alerts import alerts
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from ingest.alerts import Detecting
from ingest.alerts_settings import DetectionSettings, RuleSettings, offsets
from ingest.counters import (
    Counters,
    CountersUnreadable,
    decode_counters,
    encode_counters,
    read_counters,
    write_counters,
)
from tests.support.streams_story import SECOND, denied, person, refused, told


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A burst of denials that grew from 12 to 20, and sign-ins that failed."""
    root, now = tmp_path_factory.mktemp("data"), time.time_ns() - 120 * SECOND
    burst = [denied(now + n * SECOND, "s", f"d{n}", person("alice")) for n in range(20)]
    events = told([*burst, *(refused(now + n, f"r{n}", "root") for n in range(10))])
    detecting = Detecting(DetectionSettings(), SystemClock())
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
        for begin, end in ((0, 12), (12, 30)):
            part = events[begin:end]
            store.apply(part, {"journal": end}, alerts=detecting.alerts(part))
        store.publish()
    return root


def asked(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(alerts, [*arguments, "--data-dir", str(data_dir)])


def listed(data_dir: Path, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(asked(data_dir, "list", "--format", "json", *arguments).output)
    return found


def test_an_alert_that_grew_is_listed_once_at_its_greatest(data_dir: Path) -> None:
    """Not as it was raised first."""
    found = {str(one["rule"]): one for one in listed(data_dir)}
    assert set(found) == {"denial_burst", "sign_in_failures"}
    assert (found["denial_burst"]["observed"], found["denial_burst"]["threshold"]) == (20, 10)
    assert found["denial_burst"]["principal"] == "alice"


def test_alerts_are_chosen_by_rule_principal_severity_and_time(data_dir: Path) -> None:
    """Each option narrows."""
    assert [one["rule"] for one in listed(data_dir, "--rule", "denial_burst")] == ["denial_burst"]
    assert [one["rule"] for one in listed(data_dir, "--principal", "root")] == ["sign_in_failures"]
    assert listed(data_dir, "--severity", "high") == []
    assert listed(data_dir, "--hours", "0.001") == []
    assert "no alerts" in asked(data_dir, "list", "--severity", "critical").output


def test_one_alert_is_shown_with_its_evidence_and_what_to_do(data_dir: Path) -> None:
    """By the beginning of its id; an unknown one is said so."""
    output = asked(data_dir, "show", "denial_burst-").output
    for text in ("guardrails.drop_critical", "Read `denials`", "SOC2:CC7.2", "20"):
        assert text in output
    missing = asked(data_dir, "show", "nothing")
    assert missing.exit_code == 1 and "no alert" in missing.output


def test_the_tail_begins_with_the_latest_in_every_form(data_dir: Path) -> None:
    """One line each; JSON and CSV for programs."""
    text = asked(data_dir, "tail", "--no-follow").output
    assert "denial_burst alice on shop: Many statements were denied, 20 (threshold 10)" in text
    lines = asked(data_dir, "tail", "--no-follow", "--format", "json").output.splitlines()
    assert {json.loads(line)["rule"] for line in lines} == {"denial_burst", "sign_in_failures"}
    rows = list(csv.DictReader(io.StringIO(asked(data_dir, "tail", "--no-follow", "--format", "csv").output)))
    assert [row["rule"] for row in rows].count("denial_burst") == 1
    assert not asked(data_dir, "tail", "--no-follow", "--last", "0").output


def test_without_a_store_the_way_out_is_named(tmp_path: Path) -> None:
    """Exit status 1 and a hint."""
    result = asked(tmp_path, "list")
    assert result.exit_code == 1 and "airlock up" in result.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rules": {"mass_reed": {}}}, "there is no such rule"),
        ({"working_hours": "9 to 5"}, "HH:MM-HH:MM"),
        ({"working_hours": "20:00-07:00"}, "before it ends"),
        ({"timezone": "Mars/Base"}, "no such time zone"),
        ({"rules": {"mass_read": {"threshold": 0}}}, "greater than or equal to 1"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_the_remedy(given: dict[str, object], said: str) -> None:
    """What is wrong, and how it is written."""
    with pytest.raises(ValidationError, match=said):
        DetectionSettings.model_validate(given)


def test_settings_reach_the_rules() -> None:
    """A threshold replaced, a rule gone."""
    settings = DetectionSettings(
        rules={"mass_read": RuleSettings(threshold=5), "policy_changed": RuleSettings(enabled=False)}
    )
    rules = {rule.id: rule for rule in settings.tuned()}
    assert rules["mass_read"].threshold == 5 and "policy_changed" not in rules


def test_a_time_zone_changes_its_clock_at_the_right_hour() -> None:
    """Zurich in 2026: to summer on 29 March, to winter on 25 October, both at 01:00 UTC."""
    found = dict(offsets("Europe/Zurich", 1_790_000_000))
    assert found[1_774_746_000] == 7_200
    assert found[1_792_890_000] == 3_600


def test_counters_travel_by_record_and_by_file_and_end_with_their_windows(tmp_path: Path) -> None:
    """Equal after both ways; what has left its window is not told."""
    one = Counters(("https://id.example", "alice"), 5, (("rows_out_1h", 7, 100), ("denials_10m", 1, 50)))
    assert decode_counters(encode_counters(one)) == one
    write_counters(tmp_path, [one])
    assert read_counters(tmp_path) == {one.principal: one}
    assert one.at(49) == (("rows_out_1h", 7), ("denials_10m", 1))
    assert one.at(50) == (("rows_out_1h", 7),)
    assert read_counters(tmp_path / "nothing") == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 9}', b'{"format": 1, "principals": [[1]]}'])
def test_counters_that_can_not_be_read_are_said_so(tmp_path: Path, content: bytes) -> None:
    """So that the reader keeps what it has."""
    (tmp_path / "counters.json").write_bytes(content)
    with pytest.raises(CountersUnreadable):
        read_counters(tmp_path)
    with pytest.raises(CountersUnreadable):
        decode_counters(b"\xff\xff")
