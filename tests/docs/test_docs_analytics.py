"""Every line that docs/analytics.md and docs/iceberg.md give an analyst is run, in the order of the page."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from airlock.main import cli
from airlock.settings import load_settings
from analytics.store import FOLDER, AnalyticsStore, StoreSettings
from decision.clock import SystemClock, Uuid7Source
from tests.support.analytics_story import story

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = {name: BLOCK.findall((DOCS / name).read_text()) for name in ("analytics.md", "iceberg.md")}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an audit store in `.airlock`, some of it in segments, some in the catalog."""
    events = story(12)
    with AnalyticsStore(
        tmp_path / ".airlock" / FOLDER, SystemClock(), Uuid7Source(), StoreSettings(seal_events=30)
    ) as store:
        store.apply(events[:50], {"journal": 50})
        store.publish()
        store.apply(events[50:], {"journal": len(events)})
        store.publish()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AIRLOCK_")]:
        monkeypatch.delenv(name)
    return tmp_path


def run_shell(line: str) -> None:
    words = shlex.split(line.replace("$who", r"\$who"))
    if words[0] == "airlock":
        result = CliRunner().invoke(cli, [word.replace(r"\$", "$") for word in words[1:]])
        assert result.exit_code == 0, (line, result.output)
    elif words[0] == "duckdb":
        assert words[1] == "-readonly" and words[3] == "-c"
        if shutil.which("duckdb"):
            import subprocess

            subprocess.run(words, check=True, capture_output=True)
        else:  # what the program does with these arguments
            with duckdb.connect(words[2], read_only=True) as connection:
                connection.execute(words[4])
    else:
        assert words[0] in ("chgrp", "chmod"), line


@pytest.mark.parametrize("page", PAGES)
def test_each_line_does_what_the_page_says(page: str, place: Path) -> None:
    """Shell, SQL, Python and settings alike."""
    for language, text in PAGES[page]:
        if language == "sh":
            for line in text.splitlines():
                run_shell(line)
        elif language == "sql":
            with duckdb.connect(".airlock/analytics/catalog.duckdb", read_only=True) as connection:
                assert connection.execute(text).fetchall()
        elif language == "python":
            found: dict[str, object] = {}
            try:
                exec(compile(text, page, "exec"), found)
            except ModuleNotFoundError as error:
                assert error.name in ("pandas", "polars"), text
        elif language == "toml":
            (place / "settings.toml").write_text(text)
            settings = load_settings(place / "settings.toml")
            for section, keys in tomllib.loads(text).items():
                assert set(keys) <= set(type(getattr(settings, section)).model_fields)
    if page == "analytics.md":
        assert (place / "decisions.parquet").stat().st_size > 0


def test_the_classes_of_the_page_are_the_settings_defaults(place: Path) -> None:
    """What docs/analytics.md shows under [retention] is what holds without it."""
    text = next(text for language, text in PAGES["analytics.md"] if language == "toml")
    assert tomllib.loads(text)["retention"] == load_settings().retention.model_dump()
