"""Plain DuckDB on the published files, as another account of the machine uses it: it reads, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.catalog import CATALOG
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import story

# What is imported is imported before the account changes: the interpreter may lie where only its owner looks.
SCRIPT = """
import json, os, sys
import duckdb, pytz
catalog, segment, other = sys.argv[1:4]
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with duckdb.connect(catalog, read_only=True) as plain:
    views = ("events", "denials", "sessions")
    seen = [plain.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0] for view in views]
failed = {}
def attempt(name, work):
    try:
        work()
        failed[name] = ""
    except Exception as error:
        failed[name] = type(error).__name__
def reading(sql):
    def work():
        with duckdb.connect(catalog, read_only=True) as plain:
            plain.execute(sql)
    return work
attempt("open to write", lambda: duckdb.connect(catalog).execute("CREATE TABLE t (a INTEGER)"))
attempt("delete", reading("DELETE FROM hot.events"))
attempt("drop", reading("DROP VIEW denials"))
attempt("overwrite a segment", reading(f"COPY (SELECT 1) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)"))
attempt("a new segment", reading(f"COPY (SELECT 1) TO '{other}' (FORMAT parquet)"))
attempt("remove a segment", lambda: os.unlink(segment))
attempt("open a segment to write", lambda: open(segment, "ab"))
attempt("replace the catalog", lambda: os.rename(catalog, catalog + ".old"))
attempt("change the rights", lambda: os.chmod(segment, 0o666))
print(json.dumps([seen, failed]))
"""


@pytest.fixture
def opened_folder() -> Iterator[Path]:
    """A store whose folders others may enter, as docs/analytics.md says."""
    with tempfile.TemporaryDirectory(prefix="airlock-tests-") as name:
        root = Path(name)
        with AnalyticsStore(root / FOLDER, SystemClock(), Uuid7Source(), StoreSettings(seal_events=30)) as store:
            store.apply(story(6), {"journal": 42})
            store.publish()
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        yield root


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another account")
def test_another_account_reads_and_can_change_nothing(opened_folder: Path) -> None:
    """Neither through DuckDB nor past it: not the catalog, not a segment, not the folder."""
    folder = opened_folder / FOLDER
    segment = next((folder / "segments" / "events").rglob("*.parquet"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / CATALOG), str(segment), str(segment.with_name("new.parquet"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen, failed = json.loads(done.stdout)
    assert seen == [42, 6, 6]
    assert {name for name, error in failed.items() if not error} == set()
    assert len(failed) == 9
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_owner_needs_a_second_thought(opened_folder: Path) -> None:
    """The files have no permission to write even for their owner; the folder is made for its owner alone."""
    folder = opened_folder / FOLDER
    for path in [folder / CATALOG, *(folder / "segments").rglob("*.parquet")]:
        assert path.stat().st_mode & 0o222 == 0
    with tempfile.TemporaryDirectory() as name, AnalyticsStore(Path(name) / FOLDER, SystemClock(), Uuid7Source()):
        assert (Path(name) / FOLDER).stat().st_mode & 0o077 == 0
