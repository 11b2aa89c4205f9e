"""`airlock query`, `airlock rebuild` and `airlock tail` as people and programs meet them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airlock.commands.feed import is_denial, line, record
from airlock.commands.query import query
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import story


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(story(4), {"journal": 28})
        store.publish()
    return root


def asked(data_dir: Path, *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(query, [*arguments, "--data-dir", str(data_dir)], input=stdin)


def test_the_latest_denials_read_well(data_dir: Path) -> None:
    """The README's question shows who, what, why, rule and policy revision."""
    result = asked(data_dir, "select * from denials order by time desc limit 5")
    assert result.exit_code == 0
    for text in ("agent-7 for alice", "DROP TABLE payments", "guardrails.drop_critical", "OPS-1", "rev-1"):
        assert text in result.output
    assert "\x1b" not in result.output


def test_json_and_csv_are_for_programs(data_dir: Path) -> None:
    """Both parse, with the columns' names."""
    sql = "select who, rules, count(*) as n from denials group by all"
    assert json.loads(asked(data_dir, sql, "--format", "json").output) == [
        {"who": "agent-7 for alice", "rules": ["guardrails.drop_critical"], "n": 4}
    ]
    rows = list(csv.reader(io.StringIO(asked(data_dir, sql, "--format", "csv").output)))
    assert rows[0] == ["who", "rules", "n"] and rows[1][2] == "4"


def test_the_environment_names_the_data(data_dir: Path) -> None:
    """AIRLOCK_DATA_DIR stands for --data-dir."""
    result = CliRunner().invoke(query, ["select 1 as one", "--format", "json"], env={"AIRLOCK_DATA_DIR": str(data_dir)})
    assert json.loads(result.output) == [{"one": 1}]


def test_a_question_may_come_from_standard_input(data_dir: Path) -> None:
    """`-` reads it."""
    assert asked(data_dir, "-", "--format", "csv", stdin="select 7 as seven").output.split() == ["seven", "7"]


def test_views_and_columns_are_listed(data_dir: Path) -> None:
    """`--list` and `--describe` are the way in."""
    assert "Everything that was refused" in asked(data_dir, "--list").output
    described = asked(data_dir, "--describe", "denials", "--format", "json").output
    assert json.loads(described)[0]["column"] == "time"


def test_more_rows_than_the_limit_are_said(data_dir: Path) -> None:
    """On standard error, so that what is piped on stays clean."""
    result = asked(data_dir, "select * from events", "--limit", "3", "--format", "json")
    assert len(json.loads(result.stdout)) == 3 and "--limit" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("drop view denials",), "can only be read"),
        (("select * from denial",), "--list"),
        (("select",), "Error"),
        (("--describe", "nothing"), "there are: "),
        ((), "--list"),
    ],
)
def test_errors_say_what_to_do(data_dir: Path, arguments: tuple[str, ...], says: str) -> None:
    """Exit code not 0, and the way on."""
    result = asked(data_dir, *arguments)
    assert result.exit_code != 0 and says in result.output


def test_without_data_the_way_on_is_said(tmp_path: Path) -> None:
    """Nothing was projected yet."""
    result = asked(tmp_path, "select 1")
    assert result.exit_code == 1 and "airlock up" in result.output


def test_the_feed_tells_each_event_in_one_line() -> None:
    """Who did what, with which outcome; denials are known as such."""
    events = story(1)
    lines = [line(record(event)) for event in events]
    assert all("\n" not in text for text, _ in lines)
    refused, colour = lines[3]
    assert "DENY" in refused and "agent-7 for alice" in refused and "[guardrails.drop_critical]" in refused
    assert colour == "red"
    assert [is_denial(event.payload) for event in events] == [False, False, False, True, False, False, False]
