"""The import contracts of pyproject.toml hold, are complete, and each one fails on a violation."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("decision", "enforcement", "ingest", "analytics", "console", "airlock")
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: dict[str, dict[str, Any]] = {contract["name"]: contract for contract in SETTINGS["contracts"]}

# (contract, where the violating module is put, what it imports)
VIOLATIONS = [
    ("The program composes, the parts don't know it", "analytics/violation_1.py", "import airlock.main"),
    ("The program composes, the parts don't know it", "enforcement/violation_2.py", "import ingest.local"),
    ("Inside the decision service", "decision/analysis/violation_3.py", "import decision.policy.input"),
    ("Inside the decision service", "decision/journal/violation_4.py", "import decision.service"),
    ("The published language needs the standard library only", "decision/model/violation_5.py", "import orjson"),
    ("Pure modules do no I/O and know no clock, chance or log", "decision/analysis/violation_6.py", "import time"),
    ("Pure modules do no I/O and know no clock, chance or log", "decision/approvals/violation_7.py", "import logging"),
    ("Pure modules do no I/O and know no clock, chance or log", "analytics/project/violation_8.py", "import random"),
    ("Pure modules do no I/O and know no clock, chance or log", "enforcement/masking/violation_9.py", "import os"),
    ("Enforcement points know the published language and the client", "enforcement/violation_10.py",
     "from decision.service import DecisionService"),
    ("Ingest and analytics read events, they decide nothing", "ingest/violation_11.py", "import decision.judge"),
    ("The console looks and asks, it decides nothing", "console/violation_14.py", "import decision.service"),
    ("Folds know neither the store nor the journal", "analytics/project/violation_12.py", "import analytics.store"),
    ("The protocol core knows no shell", "enforcement/postgres/protocol/violation_13.py",
     "import enforcement.postgres.server"),
]  # fmt: skip


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("lint-imports"))
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def violated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy in which every contract is violated."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    for _, place, line in VIOLATIONS:
        (folder / place).write_text(f"{line}\n")
    done = lint(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_fails_on_a_violation(contract: str, violated: str) -> None:
    """A contract that nothing breaks would protect nothing."""
    assert contract in {name for name, _, _ in VIOLATIONS}
    assert f"{contract} BROKEN" in violated


@pytest.mark.parametrize(("contract", "place", "line"), VIOLATIONS)
def test_a_violation_is_named(contract: str, place: str, line: str, violated: str) -> None:
    """The linter says which module broke the contract."""
    module = place.removesuffix(".py").replace("/", ".")
    section = violated.split("Broken contracts", 1)[1].split(f"\n{contract}\n", 1)[1]
    assert module in section


def test_the_contracts_are_kept() -> None:
    """The code as it is breaks none."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_part_of_the_decision_service_is_weighed_for_others() -> None:
    """What enforcement, ingest and analytics may not import is listed in full, new modules included."""
    present = {
        f"decision.{path.stem}"
        for path in (ROOT / "decision").iterdir()
        if path.stem not in ("__init__", "__pycache__") and not path.name.startswith(".")
    }
    for contract, allowed in (
        (
            "Enforcement points know the published language and the client",
            {"model", "client", "client_batch", "client_stream", "client_settings", "compiled", "endpoint", "wire"},
        ),
        (
            "Ingest and analytics read events, they decide nothing",
            {"model", "wire", "journal", "clock", "approvals", "tags", "client_batch", "client_stream",
             "client_settings", "endpoint"},
        ),
    ):  # fmt: skip
        forbidden = set(CONTRACTS[contract]["forbidden_modules"])
        assert present - forbidden - {f"decision.{name}" for name in allowed} == set(), contract


def test_the_folders_of_the_program_are_all_linted() -> None:
    """Every import package at the top is under the contracts."""
    present = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert present == set(SETTINGS["root_packages"]) == set(PACKAGES)
