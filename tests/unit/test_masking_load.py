"""The compiled form is used when it is of exactly this source, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from enforcement.masking import _load
from tests.support.masking_forms import form

SHOW = (
    "import enforcement.masking.engine, enforcement.masking.rows as r, enforcement.masking.copy_text as t,"
    " enforcement.masking.copy_csv as c, enforcement.masking.copy_binary as b;"
    " print(r.COMPILED, t.COMPILED, c.COMPILED, b.COMPILED)"
)
ROOT = Path(__file__).resolve().parents[2]


def shown(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_same_import_finds_the_compiled_form() -> None:
    """Once it is built, nobody has to ask for it."""
    form("rows", "compiled")
    assert shown() == "True True True True"


def test_the_environment_forces_the_source() -> None:
    """AIRLOCK_NO_COMPILED=1 is for looking for faults, and for tests of both."""
    form("rows", "compiled")
    assert shown(AIRLOCK_NO_COMPILED="1") == "False False False False"
    assert shown(AIRLOCK_NO_COMPILED="0") == "True True True True"


def test_an_outdated_form_is_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its name holds the digest of the source it was made of."""
    form("rows", "compiled")
    for name in ("rows.py", "__init__.py"):
        (tmp_path / name).write_bytes((_load.HERE / name).read_bytes())
    monkeypatch.setattr(_load, "HERE", tmp_path)
    assert _load.compiled_path("rows").exists()
    (tmp_path / "rows.py").write_bytes((tmp_path / "rows.py").read_bytes() + b"\n# changed\n")
    assert not _load.compiled_path("rows").exists()
    assert _load.load_compiled("rows") is None


def test_a_broken_form_falls_back_to_the_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that can't be loaded is as good as none."""
    monkeypatch.setattr(_load, "COMPILED", tmp_path)
    _load.compiled_path("rows").write_bytes(b"no shared object")
    assert _load.load_compiled("rows") is None
