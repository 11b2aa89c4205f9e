"""Readers in processes of their own, while segments are published, merged and expire: no error, no wrong count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analytics.query import CatalogReader
from analytics.retention_ledger import Ledger
from analytics.store import FOLDER

ROOT = Path(__file__).parents[2]
SESSIONS = 60


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.analytics_readers", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_readers_never_meet_an_error_or_a_wrong_count(tmp_path: Path) -> None:
    """Two readers, one by `airlock query`'s way and one with plain DuckDB, ask the eight standard questions in a loop;
    every answer is that of the story up to the event and from the days that the opened state names, also when the
    catalog was replaced under it."""
    readers = [started("read", str(tmp_path), str(SESSIONS), kind) for kind in ("reader", "plain")]
    writer = started("write", str(tmp_path), str(SESSIONS))
    _, said = writer.communicate(timeout=100)
    assert writer.returncode == 0, said
    replaced = 0
    for reader in readers:
        out, said = reader.communicate(timeout=60)
        assert reader.returncode == 0, said
        opened, asked, after = map(int, out.split())
        print(f"{opened} states opened, {asked} questions, {after} of them of a state that was replaced meanwhile")
        assert opened >= 3 and asked >= 9 * opened - 9
        replaced += after
    assert replaced > 0
    runs = Ledger(tmp_path / FOLDER).read().runs
    assert len(runs) >= 5 and sum(run.rows for run in runs) > 500
    with CatalogReader(tmp_path) as reader_now:
        merged = reader_now.ask("SELECT max(rows) FROM meta.segments WHERE table_name = 'events'").rows[0][0]
        assert isinstance(merged, int) and merged > 11
