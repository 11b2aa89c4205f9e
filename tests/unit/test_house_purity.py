"""Pure modules are pure: no I/O, clock, chance or logging, by import or by call; and the checks see violations."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = (
    "decision/model",
    "decision/analysis",
    "decision/policy/input",
    "decision/policy/combine",
    "decision/approvals",
    "decision/journal/algorithms",
    "decision/journal/checkpoints",
    "decision/journal/custody",
    "decision/journal/encoding",
    "decision/journal/merkle",
    "decision/journal/notes",
    "decision/journal/proofs",
    "decision/journal/trust",
    "decision/journal/verify_core",
    "enforcement/postgres/protocol",
    "enforcement/masking",
    "ingest/detectors",
    "analytics/project",
    "analytics/exports/context",
    "analytics/exports/ocsf",
    "analytics/exports/ocsf_entities",
    "analytics/exports/ocsf_parts",
    "analytics/exports/ocsf_record",
    "analytics/exports/ocsf_statements",
    "analytics/exports/telemetry",
)
CONTRACT = "Pure modules do no I/O and know no clock, chance or log"
DIRTY_CALLS = frozenset({"open", "input", "print", "exec", "eval", "breakpoint", "__import__"})
BANNED = [
    "import time\nNOW = time.time()\n",
    "import time\nNOW = time.monotonic_ns()\n",
    "from datetime import datetime\nNOW = datetime.now()\n",
    "import uuid\nID = uuid.uuid4()\n",
    "import random\nDICE = random.random()\n",
    "import secrets\nTOKEN = secrets.token_hex()\n",
    "import os\nNOISE = os.urandom(8)\n",
]


def sources(place: str) -> list[Path]:
    path = ROOT / place
    return (
        sorted(path.rglob("*.py")) if path.is_dir() else [file for file in [path.with_suffix(".py")] if file.exists()]
    )


def dirty_calls(source: str) -> list[str]:
    """Calls of built-ins that do I/O or run text, with their lines."""
    return [
        f"{node.func.id}() in line {node.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DIRTY_CALLS
    ]


def ruff(source: str, name: str) -> str:
    """What ruff says of `source` as the file `name` of this project."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--select", "TID251,DTZ",
         "--output-format", "concise", "--stdin-filename", str(ROOT / name), "-"],
        cwd=ROOT, input=source, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("place", PURE)
def test_pure_modules_call_no_built_in_that_does_io(place: str) -> None:
    """No open, print, eval or the like."""
    found = {str(file.relative_to(ROOT)): calls for file in sources(place) if (calls := dirty_calls(file.read_text()))}
    assert found == {}


def test_a_call_that_does_io_is_seen() -> None:
    """The check of the previous test is no decoration."""
    assert dirty_calls("def f(p):\n    with open(p) as file:\n        print(file)\n") == [
        "open() in line 2",
        "print() in line 3",
    ]


@pytest.mark.parametrize("source", BANNED)
@pytest.mark.parametrize("place", ["decision/model", "decision/analysis", "enforcement/masking", "analytics/project"])
def test_a_banned_call_in_a_pure_module_is_seen(place: str, source: str) -> None:
    """Ruff refuses clocks, ids and chance there."""
    assert "TID251" in ruff(source, f"{place}/violation.py")


def test_no_pure_module_is_excused_from_the_bans() -> None:
    """per-file-ignores lift no ban in a pure place."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    excused = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    lifted = [pattern for pattern, rules in excused.items() if {"TID251", "T20", "DTZ"} & set(rules)]
    assert [pattern for pattern in lifted if any(pattern.startswith(place) for place in PURE)] == []


def test_every_pure_place_that_exists_is_under_the_contract() -> None:
    """A pure module that is new joins the import contract."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(one for one in settings["tool"]["importlinter"]["contracts"] if one["name"] == CONTRACT)
    assert {place.replace("/", ".") for place in PURE if sources(place)} == set(contract["source_modules"])


def test_the_published_language_imports_the_standard_library_only() -> None:
    """Seen in the source, so that a package which no contract lists counts as well."""
    outside: set[str] = set()
    for file in sources("decision/model"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            outside |= {name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "decision"}}
    assert outside == set()
