"""The reader of the catalog reads, and does nothing else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.query import CatalogMissing, CatalogReader, QueryError, QueryRefused, QueryTimeout
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import story

SECRET = "the-word-that-must-not-come-out"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some rows in segments, some in the catalog itself."""
    root = tmp_path_factory.mktemp("audit")
    events = story(20)
    with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source(), StoreSettings(seal_events=70)) as store:
        store.apply(events[:100], {"journal": 100})
        store.publish()
        store.apply(events[100:], {"journal": 140})
        store.publish()
    (root / "secret.txt").write_text(f"{SECRET},1\n")
    (root / "secret.json").write_text(f'{{"word": "{SECRET}"}}\n')
    pq.write_table(pa.table({"word": [SECRET]}), root / "secret.parquet")
    with duckdb.connect(str(root / "other.duckdb")) as other:
        other.execute(f"CREATE TABLE t AS SELECT '{SECRET}' AS word")
    return root


@pytest.fixture
def reader(data_dir: Path) -> Iterator[CatalogReader]:
    with CatalogReader(data_dir) as reader:
        yield reader


def test_the_latest_denials_say_who_what_why_and_by_which_rule(reader: CatalogReader) -> None:
    """The question of the README."""
    answer = reader.ask("select * from denials order by time desc limit 5")
    row = dict(zip(answer.columns, answer.rows[0], strict=True))
    assert len(answer.rows) == 5
    assert (row["who"], row["statement"], row["rules"]) == (
        "agent-7 for alice", "DROP TABLE payments", ["guardrails.drop_critical"],
    )  # fmt: skip
    assert (row["intent"], row["ticket"], row["policy_revision"]) == ("look into ticket", "OPS-1", "rev-1")


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("sessions WHERE outcome = 'closed' AND statements = 3", 20),
        ("decisions", 60),
        ("statements", 60),
        ("statements WHERE outcome = 'completed'", 40),
        ("executions WHERE who = 'agent-7 for alice'", 40),
        ("denials", 20),
        ("masked_reads WHERE masked_cells = 5", 20),
        ("table_access WHERE table_name = 'customers' AND access = 'read' AND outcome = 'completed'", 20),
        ("column_access WHERE column_name = 'email' AND usage = 'output'", 20),
        ("column_changes WHERE row_keys['id'] = 'aa' AND outcome = 'completed'", 20),
        ("decision_rules WHERE effect = 'deny'", 20),
        ("events WHERE size > 0", 140),
        ("gaps", 0),
        ("chain_breaks", 0),
        ("dead_letters", 0),
        ("meta.segments WHERE rows > 0", None),
    ],
)
def test_every_view_answers(reader: CatalogReader, question: str, count: int | None) -> None:
    """Each view shows the story's rows, from segments and from the catalog's own rows alike."""
    found = reader.ask(f"SELECT count(*) FROM {question}").rows[0][0]
    assert found == count if count is not None else found


CASES = Path(__file__).parents[1] / "cases" / "analytics" / "refused.sql"
REFUSED = [line for line in CASES.read_text().splitlines() if line and not line.startswith("--")]


def filled_in(sql: str, data_dir: Path, reader: CatalogReader) -> str:
    segment = str(reader.ask("SELECT path FROM meta.segments WHERE table_name = 'events'").rows[0][0])
    live = str(data_dir / FOLDER / "live.duckdb")
    return sql.replace("{root}", str(data_dir)).replace("{segment}", segment).replace("{live}", live)


def files(data_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in data_dir.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sql", [*REFUSED, ""])
def test_whatever_is_no_question_is_refused(data_dir: Path, reader: CatalogReader, sql: str) -> None:
    """Writing, attaching, copying, loading, setting and reading other files: each refused, nothing changed."""
    python_variable, python_frame = [SECRET], pa.table({"word": [SECRET]})
    assert python_variable and python_frame
    before = files(data_dir)
    with pytest.raises(QueryError) as caught:
        reader.ask(filled_in(sql, data_dir, reader))
    assert SECRET not in caught.value.message
    assert before == files(data_dir)
    assert reader.ask("SELECT count(*) FROM events").rows == [(140,)]


def test_the_locked_connection_alone_lets_nothing_out(data_dir: Path) -> None:
    """Should the look at the statement miss something: run without it, no case writes a file or reads the secret."""
    python_variable, python_frame = [SECRET], pa.table({"word": [SECRET]})
    assert python_variable and python_frame
    before = files(data_dir)
    for sql in REFUSED:
        if "sleep_ms" in sql:
            continue
        with CatalogReader(data_dir) as reader:
            text = filled_in(sql, data_dir, reader)
            try:
                done = reader._connection.execute(text)
                found: object = done.fetchall() if done is not None else []
            except (duckdb.Error, ValueError) as error:
                found = str(error)
            assert SECRET not in repr(found), sql
        assert before == files(data_dir), sql


QUESTIONS = [
    "DESCRIBE denials",
    "SUMMARIZE executions",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "EXPLAIN SELECT * FROM denials",
    "EXPLAIN ANALYZE SELECT count(*) FROM denials",
    "FROM events SELECT count(*)",
    "TABLE sessions",
    "VALUES (1), (2)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) FROM n",
    "PIVOT denials ON stage IN ('statement') USING count(*)",
    "SELECT rule, count(*) FROM (SELECT unnest(rules) AS rule FROM denials) GROUP BY ALL",
    "SELECT * FROM range(3) r, LATERAL (SELECT r.range + 1)",
    "SELECT key, value FROM json_each('{\"a\": 1}')",
    "SELECT path, num_rows FROM meta.segments, LATERAL (FROM parquet_file_metadata('{segment}')) LIMIT 1",
    "SELECT count(*) FROM read_parquet('{segment}')",
]


@pytest.mark.parametrize("sql", QUESTIONS)
def test_whatever_reads_is_answered(data_dir: Path, reader: CatalogReader, sql: str) -> None:
    """The guard is in nobody's way who only asks."""
    assert reader.ask(filled_in(sql, data_dir, reader)).rows


def test_values_are_bound_by_place_and_by_name(reader: CatalogReader) -> None:
    """What is bound is never read as SQL."""
    assert reader.ask("SELECT count(*) FROM sessions WHERE principal = ?", ["agent-7"]).rows == [(20,)]
    named = "SELECT count(*) FROM sessions WHERE principal = $who"
    assert reader.ask(named, {"who": "agent-7"}).rows == [(20,)]
    assert reader.ask(named, {"who": "' OR true --"}).rows == [(0,)]


def test_a_question_beyond_the_memory_is_ended_with_advice(data_dir: Path) -> None:
    """It fails alone; nothing is written to disk for it."""
    with CatalogReader(data_dir, memory_limit="100MB") as reader, pytest.raises(QueryError) as caught:
        reader.ask("SELECT count(*) FROM (SELECT range, random() AS r FROM range(50000000) ORDER BY r)")
    assert "narrow" in caught.value.hint


def test_published_files_have_no_permission_to_write(data_dir: Path) -> None:
    """Segments and catalog are read-only files, for those who open them with DuckDB alone."""
    published = [*(data_dir / FOLDER / "segments").rglob("*.parquet"), data_dir / FOLDER / "catalog.duckdb"]
    assert len(published) > 5
    assert all(not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) for path in published)


def test_a_question_that_takes_too_long_is_ended(reader: CatalogReader) -> None:
    """The time limit interrupts, and the reader still answers afterwards."""
    with pytest.raises(QueryTimeout):
        reader.ask("SELECT count(*) FROM range(10000000) a, range(10000000) b", timeout_s=0.2)
    assert reader.ask("SELECT 1").rows == [(1,)]


def test_an_answer_ends_at_its_limit(reader: CatalogReader) -> None:
    """More rows than the limit: the answer has as many and says that there are more."""
    answer = reader.ask("SELECT * FROM events", limit=7)
    assert len(answer.rows) == 7 and answer.truncated
    assert not reader.ask("SELECT * FROM events", limit=140).truncated


def test_no_time_to_answer_is_refused(reader: CatalogReader) -> None:
    """No question may take longer than replaced files are kept."""
    with pytest.raises(QueryRefused):
        reader.ask("SELECT 1", timeout_s=601)


def test_a_mistake_says_where_to_look(reader: CatalogReader) -> None:
    """An unknown view or column is answered with the way to those there are."""
    with pytest.raises(QueryError) as caught:
        reader.ask("SELECT * FROM denial")
    assert "--list" in caught.value.hint
    with pytest.raises(QueryError) as caught:
        reader.describe("denial")
    assert "denials" in caught.value.hint


def test_without_a_catalog_the_way_on_is_said(tmp_path: Path) -> None:
    """Nothing was ever projected there."""
    with pytest.raises(CatalogMissing) as caught:
        CatalogReader(tmp_path)
    assert "--data-dir" in caught.value.hint
