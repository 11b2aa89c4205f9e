"""The reader of the catalog reads, and does nothing else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.query import CatalogMissing, CatalogReader, QueryError, QueryRefused, QueryTimeout
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import story


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
    (root / "secret.txt").write_text("secret")
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


FORBIDDEN = [
    "INSERT INTO hot.events SELECT * FROM hot.events",
    "WITH x AS (INSERT INTO audit.hot.session_ends SELECT * FROM fact.session_ends RETURNING 1) SELECT * FROM x",
    "WITH x AS (DELETE FROM audit.hot.events RETURNING 1) SELECT * FROM x",
    "DELETE FROM hot.events",
    "UPDATE hot.decisions SET effect = 'allow'",
    "DROP VIEW denials",
    "CREATE TABLE t (a INTEGER)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "COPY (SELECT 1) TO '{root}/out.csv'",
    "COPY (SELECT 1) TO '{segment}' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (FORMAT parquet)",
    "/*     SELECT 1 --*/ EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (FORMAT parquet)",
    "ATTACH '{root}/other.duckdb'",
    "DETACH audit",
    "USE memory",
    "SELECT * FROM read_text('{root}/secret.txt')",
    "SELECT * FROM '{root}/secret.txt'",
    "SELECT * FROM read_csv('{root}/secret.txt')",
    "SELECT * FROM glob('{root}/*')",
    "SELECT * FROM read_blob('{live}')",
    "SELECT content FROM read_text('/etc/passwd')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET allowed_paths",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "PREPARE p AS SELECT 1",
    "CHECKPOINT",
    "EXPORT DATABASE '{root}/dump'",
    "SELECT 1; SELECT 2",
    "SELECT * FROM python_variable",
    "",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_whatever_is_no_question_is_refused(data_dir: Path, reader: CatalogReader, sql: str) -> None:
    """Writing, attaching, copying, loading, setting and reading other files: each refused, nothing changed."""
    python_variable = [1]
    assert python_variable
    segment = reader.ask("SELECT path FROM meta.segments WHERE table_name = 'events'").rows[0][0]
    before = {path: path.stat().st_mtime_ns for path in data_dir.rglob("*") if path.is_file()}
    text = sql.format(root=data_dir, segment=segment, live=data_dir / FOLDER / "live.duckdb")
    with pytest.raises(QueryError):
        reader.ask(text)
    assert before == {path: path.stat().st_mtime_ns for path in data_dir.rglob("*") if path.is_file()}
    assert reader.ask("SELECT count(*) FROM events").rows == [(140,)]


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
