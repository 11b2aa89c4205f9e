"""The standard questions: each answers, takes its parameters as values, and says what it needs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airlock.commands.query import query
from airlock.commands.report import report
from analytics.query import CatalogReader, QueryError
from analytics.questions import moment, question, questions
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import START, story

NOW = datetime.fromtimestamp(START // 1_000_000_000, UTC)
SESSIONS = 6


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sessions of the story, some rows in segments, some in the catalog."""
    root = tmp_path_factory.mktemp("questions")
    events = story(SESSIONS)
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source(), StoreSettings(seal_events=20)) as store:
        store.apply(events[:25], {"journal": 25})
        store.publish()
        store.apply(events[25:], {"journal": len(events)})
        store.publish()
    return root


def asked(data_dir: Path, name: str, **given: str) -> list[dict[str, object]]:
    found = question(name)
    with CatalogReader(data_dir) as reader:
        answer = reader.ask(found.sql, found.bind(given, NOW))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


WHO = "agent-7 for alice"


@pytest.mark.parametrize(
    ("name", "given", "rows", "first"),
    [
        ("who-read", {"table": "customers"}, 1, {"who": WHO, "reads": SESSIONS, "rows": 30, "human": "alice"}),
        ("who-read", {"table": "public.customers"}, 1, {"reads": SESSIONS, "via": ["direct"]}),
        ("who-read", {"table": "other.customers"}, 0, {}),
        ("who-read", {"table": "customers", "from": "2100-01-01"}, 0, {}),
        ("did", {"principal": "alice"}, 3 * SESSIONS, {"who": WHO, "outcome": "completed", "ticket": "OPS-1"}),
        ("did", {"principal": "agent-7"}, 3 * SESSIONS, {"rules": ["access.write"]}),
        ("did", {"principal": "bob"}, 0, {}),
        ("denials-by-rule", {}, 1, {"rule": "guardrails.drop_critical", "denials": SESSIONS, "principals": 1}),
        ("percentiles", {}, 1, {"database": "shop", "decisions": 18, "executions": 12, "execution_p99_ms": 2.5}),
        ("first-access", {}, 1, {"table_name": "public.customers", "times": 12, "decision_id": "d0.0"}),
        ("first-access", {"from": "2100-01-01"}, 0, {}),
        ("first-access", {"table": "public.customers"}, 1, {"who": WHO}),
        ("first-access", {"table": "customers"}, 1, {"times": 12}),
        ("first-access", {"table": "mers"}, 0, {}),
        ("enumeration", {"least": "2"}, 1, {"of": "tables", "different": 2}),
        ("event", {"id": "ep1.5"}, 1, {"type": "StatementDecided", "seq": 5}),
        ("event", {"id": "' OR true --"}, 0, {}),
        ("who-changed", {"table": "customers", "column": "email"}, SESSIONS, {"who": WHO, "value_mac": "bb"}),
        ("who-changed", {"table": "customers", "column": "email", "row": "aa"}, SESSIONS, {"outcome": "completed"}),
        ("who-changed", {"table": "customers", "column": "email", "row": "ab"}, 0, {}),
    ],
)
def test_each_question_answers(
    data_dir: Path, name: str, given: dict[str, str], rows: int, first: dict[str, object]
) -> None:
    """What the story tells is what comes out, and parameters are values, never SQL."""
    found = asked(data_dir, name, **given)
    assert len(found) == rows
    assert not rows or first.items() <= found[0].items()


def test_there_are_eight_of_them_with_a_meaning_each() -> None:
    """And none that was not understood when the file was read."""
    assert len(questions()) == 8
    assert all(one.meaning and one.sql.lstrip().startswith(("SELECT", "WITH")) for one in questions().values())
    for one in questions().values():
        for parameter in one.parameters:
            assert f"${parameter.name}" in one.sql, (one.name, parameter.name)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("who-read", {}, "needs table"),
        ("who-read", {"table": "x", "tabel": "y"}, "no parameter 'tabel'"),
        ("enumeration", {"least": "many"}, "no number"),
        ("denials-by-rule", {"from": "yesterday"}, "no time"),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said(name: str, given: dict[str, str], says: str) -> None:
    """With the way on."""
    with pytest.raises(QueryError) as caught:
        question(name).bind(given, NOW)
    assert says in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-21T10:30", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        ("2026-11-21T10:30+02:00", datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
        ("30d", NOW - timedelta(days=30)),
        ("12h", NOW - timedelta(hours=12)),
        ("15m", NOW - timedelta(minutes=15)),
        ("999999d", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_given_as_people_write_them(text: str, wanted: datetime) -> None:
    """A date, a time, or how long ago."""
    assert moment(text, NOW) == wanted


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(report, [*arguments, "--data-dir", str(data_dir)])


def test_a_report_is_a_question_with_options(data_dir: Path) -> None:
    """`airlock report NAME` and `airlock query --question NAME` give the same."""
    one = run(data_dir, "who-read", "--table", "customers", "--format", "json")
    two = CliRunner().invoke(
        query,
        ["--question", "who-read", "--param", "table=customers", "--format", "json", "--data-dir", str(data_dir)],
    )
    assert one.exit_code == two.exit_code == 0 and one.output == two.output
    assert json.loads(one.output)[0]["reads"] == SESSIONS


def test_the_sql_of_a_report_can_be_had(data_dir: Path) -> None:
    """It runs by `airlock query` as it is, with the values given by name."""
    sql = run(data_dir, "event", "--sql").output
    result = CliRunner().invoke(query, [sql, "--param", "id=ep1.5", "--format", "json", "--data-dir", str(data_dir)])
    assert json.loads(result.output)[0]["event_id"] == "ep1.5"


def test_wrong_reports_say_what_to_do(data_dir: Path) -> None:
    """A missing value, a name that is none, a pair that is none."""
    assert "needs table" in run(data_dir, "who-read").output
    assert run(data_dir, "who-knows").exit_code == 2
    wrong = CliRunner().invoke(query, ["--question", "nothing", "--data-dir", str(data_dir)])
    assert "there are: who-read" in wrong.output
    wrong = CliRunner().invoke(query, ["--question", "event", "--param", "id", "--data-dir", str(data_dir)])
    assert wrong.exit_code == 2 and "KEY=VALUE" in wrong.output


def test_the_list_shows_views_and_questions(data_dir: Path) -> None:
    """With what each needs."""
    listed = CliRunner().invoke(query, ["--list", "--format", "json", "--data-dir", str(data_dir)])
    found = {row["name"]: row for row in json.loads(listed.output)}
    assert found["denials"]["kind"] == "view" and found["did"]["kind"] == "question"
    assert "principal, [from], [to]" in found["did"]["holds"]
