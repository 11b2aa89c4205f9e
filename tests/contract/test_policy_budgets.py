"""The example policy of budgets, as OPA's own tools see it beside the shipped bundle."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.policy import REGO

EXAMPLE = REGO.parent / "docs" / "examples" / "budgets"


@pytest.mark.opa
def test_the_example_is_sound_rego_and_passes_its_tests(opa_binary: Path, tmp_path: Path) -> None:
    """Formatted, strict, typed by the input's schema; every one of its tests passes."""
    bundle = tmp_path / "rego"
    shutil.copytree(REGO, bundle)
    shutil.copytree(EXAMPLE, bundle / "policies" / "budgets")
    schema = str(REGO / "schemas" / "input.json")
    for arguments in (
        ("fmt", "--list", "--fail", str(EXAMPLE)),
        ("check", "--strict", "-b", "--schema", schema, str(bundle)),
        ("test", "-b", "--run", "budgets_test", str(bundle)),
    ):
        done = subprocess.run([opa_binary, *arguments], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 6/6" in done.stdout
