"""What OPA's own tools say of the shipped bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from decision.model.decision import MaskMethod
from decision.policy.bundle import load_bundle
from decision.policy.capabilities import PORTABLE
from decision.policy.combine import STRENGTH
from tests.support.policy import REGO

pytestmark = pytest.mark.opa


def run(opa: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(opa), *arguments], check=False, capture_output=True, text=True, timeout=120)


def test_rego_tests_pass_and_cover_the_policies(opa_binary: Path) -> None:
    """Every test passes on OPA; the lines they leave out are few."""
    done = run(opa_binary, "test", "-b", str(REGO))
    assert done.returncode == 0, done.stdout + done.stderr
    covered = json.loads(run(opa_binary, "test", "-b", str(REGO), "--coverage", "--format", "json").stdout)
    assert covered["coverage"] >= 95


def test_rego_is_formatted(opa_binary: Path) -> None:
    """`opa fmt --list --fail` names no file."""
    done = run(opa_binary, "fmt", "--list", "--fail", str(REGO))
    assert (done.returncode, done.stdout) == (0, "")


def test_rego_is_strict_and_typed_by_the_input_schema(opa_binary: Path) -> None:
    """No unused variable or import, and no reference to a field that the input lacks."""
    done = run(opa_binary, "check", "--strict", "-b", "--schema", str(REGO / "schemas" / "input.json"), str(REGO))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("typo", ["input.principl.kind", "input.resource.enviroment", "input.context.client.ip"])
def test_the_schema_catches_a_misspelt_field(opa_binary: Path, tmp_path: Path, typo: str) -> None:
    """The check of types has teeth."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "local").mkdir()
    (folder / "policies" / "local" / "local.rego").write_text(
        f'package policies.local\n\nadvice contains "a" if {typo} == "x"\n'
    )
    done = run(opa_binary, "check", "--strict", "-b", "--schema", str(REGO / "schemas" / "input.json"), str(folder))
    assert done.returncode != 0
    assert "undefined ref" in done.stderr


def test_rego_keeps_to_portable_builtins(opa_binary: Path, tmp_path: Path) -> None:
    """The capabilities file holds exactly what the loader takes for portable, and refuses the rest."""
    capabilities = REGO / "capabilities.json"
    assert {builtin["name"] for builtin in json.loads(capabilities.read_text())["builtins"]} == PORTABLE
    done = run(opa_binary, "check", "--capabilities", str(capabilities), "-b", str(REGO))
    assert done.returncode == 0, done.stderr
    (tmp_path / "x.rego").write_text('package x\n\ny := io.jwt.decode("a")\n')
    assert run(opa_binary, "check", "--capabilities", str(capabilities), str(tmp_path)).returncode != 0


def test_opa_builds_the_bundle(opa_binary: Path, tmp_path: Path) -> None:
    """The folder is a bundle that any OPA can serve."""
    revision = load_bundle(REGO).revision
    made = tmp_path / "bundle.tar.gz"
    done = run(opa_binary, "build", "-b", str(REGO), "--revision", revision, "-o", str(made))
    assert done.returncode == 0, done.stderr
    assert made.stat().st_size > 1_000


def test_methods_are_ordered_alike_everywhere() -> None:
    """The strength of masks is the same in the model, the reference and main.rego."""
    assert {method.value: method.strength for method in MaskMethod} == STRENGTH
    text = "".join((REGO / "airlock" / "main.rego").read_text().split())
    assert "strength:={" + ",".join(f'"{name}":{rank}' for name, rank in STRENGTH.items()) in text
