"""Texts made to exhaust the parser, the stack or the clock, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decision.model.errors import AnalysisError
from tests.support.small_stack import text_of

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "cases" / "analysis" / "limits.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text().splitlines()]
CODES = {error.code for error in AnalysisError.__subclasses__()}
# Python calls: what the largest message that passes may cost (0.2 µs and more each); no load of the machine changes it.
CALLS = 5_000_000
SMALL = 512  # KiB; the default of a thread is 8192 on Linux, 512 on macOS


def _ends(file: Path, stack_kib: int) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.small_stack", str(file), str(stack_kib)],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def ends() -> dict[str, dict[str, Any]]:
    found = _ends(FILE, SMALL)
    return {case["note"]: end for case, end in zip(CASES, found, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["note"])
def test_a_hostile_text_ends_in_a_denial_within_its_budget(case: dict[str, Any], ends: dict[str, Any]) -> None:
    """It ends as the case says, by an error of the tree or by facts, never by a signal, in few enough calls."""
    end = ends[case["note"]]
    assert "died" not in end, f"signal {end}, {len(text_of(case))} bytes"
    assert end["code"] == (case["error"] or "")
    assert end["calls"] < CALLS
    if case.get("unknown"):
        assert end["unknown"]


def test_the_cases_are_distinct_and_name_errors_of_the_tree() -> None:
    """A case that names no known error, or another's note, would test nothing."""
    assert len({case["note"] for case in CASES}) == len(CASES)
    assert {case["error"] for case in CASES} - {None} <= CODES


def test_the_runner_sees_a_process_die(tmp_path: Path) -> None:
    """On a stack that is too small for anything, a case ends by a signal, and the runner says so."""
    file = tmp_path / "one.jsonl"
    deep = {"note": "x", "text": [["DO $x$ ", 1], ["BEGIN ", 999], ["NULL;", 1], [" END;", 999], [" $x$", 1]]}
    file.write_text(json.dumps(deep) + "\n")
    (end,) = _ends(file, 64)
    assert end.get("died", 0) < 0
