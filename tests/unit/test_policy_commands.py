"""`airlock policy`: its answers and exit statuses, without a service."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airlock.commands.policy import policy
from decision.analysis.snapshot_json import dump
from decision.model.errors import BundleRejected
from decision.policy.bundle import INDEX_PATH, load_bundle
from tests.support.policy import REGO, document, shop


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.json"
    path.write_bytes(dump(shop()))
    return path


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(policy, list(arguments), input=stdin)


def test_check_says_what_would_decide() -> None:
    """Revision, packages and engines of the shipped bundle."""
    (row,) = json.loads(run("check", "--bundle", str(REGO), "--format", "json").stdout)
    assert row["revision"] == load_bundle(REGO).revision
    assert row["engines"] == ["embedded", "opa"]
    assert row["reads_of_context"] == ["approval"]


def test_check_refuses_a_broken_bundle(tmp_path: Path) -> None:
    """The error is the loader's."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "access" / "access.rego").write_text("nonsense")
    assert isinstance(run("check", "--bundle", str(folder)).exception, BundleRejected)


def test_index_writes_what_the_loader_makes(tmp_path: Path) -> None:
    """A new policy appears in the file that OPA's tools read."""
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "local").mkdir()
    (folder / "policies" / "local" / "x.rego").write_text('package policies.local\nadvice contains "a"\n')
    assert run("index", "--bundle", str(folder)).exit_code == 0
    assert "data.policies.local.advice" in (folder / INDEX_PATH).read_text()


def test_tests_run_without_opa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The embedded engine runs them, and a failing one fails the command."""
    monkeypatch.setattr("airlock.commands.policy_tests.find_opa", lambda: None)
    done = run("test", "--bundle", str(REGO))
    assert done.exit_code == 0, done.output
    assert "tests passed (embedded engine)" in done.stdout
    folder = tmp_path / "rego"
    shutil.copytree(REGO, folder)
    (folder / "policies" / "access" / "more_test.rego").write_text("package policies.more_test\ntest_no if 1 == 2\n")
    failed = run("test", "--bundle", str(folder))
    assert failed.exit_code == 1
    assert "FAIL: data.policies.more_test.test_no" in failed.stdout


@pytest.mark.opa
def test_tests_run_with_opa(opa_binary: Path) -> None:
    """The same tests, by OPA."""
    done = run("test", "--bundle", str(REGO), "--opa", str(opa_binary))
    assert done.exit_code == 0, done.output
    assert "PASS" in done.stdout


def test_explain_names_every_rule(catalog: Path) -> None:
    """For a statement by a made-up agent of a human, over a catalog; exit status 1 because it is denied."""
    done = run("explain", "--bundle", str(REGO), "--kind", "agent", "--on-behalf-of-groups", "developers",
               "--catalog", str(catalog), "--sql", "DROP TABLE payments", "--format", "json")  # fmt: skip
    assert done.exit_code == 1
    said = {(row["says"], row["rule"]) for row in json.loads(done.stdout)}
    assert ("deny", "guardrails.drop_critical") in said
    assert ("deny", "guardrails.agent_schema_change") in said
    assert ("allow", "access.production") in said


def test_explain_takes_groups_environment_and_approvals(catalog: Path) -> None:
    """A person's schema change is held, allowed in dev, and allowed with an approval."""
    change = ("explain", "--bundle", str(REGO), "--catalog", str(catalog), "--sql", "DROP TABLE notes")
    held = run(*change)
    assert held.exit_code == 1
    assert held.stdout.startswith("HOLD")
    assert "needs approval" in held.stdout
    assert run(*change, "--environment", "dev").exit_code == 0
    assert run(*change, "--approved", "approvals.schema_change").exit_code == 0


def test_explain_takes_a_whole_input() -> None:
    """From a file or standard input, as recorded."""
    done = run("explain", "--bundle", str(REGO), "--input", "-", stdin=document("SELECT 1", "agent"))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("ALLOW")
    assert "rows: 1000" in done.stdout


def test_explain_needs_one_input() -> None:
    """Neither or both is a wrong use."""
    assert run("explain", "--bundle", str(REGO)).exit_code == 2


def test_bench_measures() -> None:
    """Percentiles of uncached evaluations."""
    done = run("bench", "--bundle", str(REGO), "--count", "20")
    assert done.exit_code == 0
    assert "20 evaluations: p50" in done.stdout
