"""`airlock policy`: check, test and explain a policy bundle, without a running service."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from airlock.commands.common import data_dir_option, format_option, moment, show_rows
from decision.model.policy import Environment

if TYPE_CHECKING:
    from decision.model.decision import Evaluation
    from decision.policy.bundle import Bundle
    from decision.policy.embedded import EmbeddedEngine


def _shipped() -> Path:
    from airlock.settings import shipped_bundle

    return shipped_bundle()


bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="AIRLOCK_POLICY__BUNDLE",
    help="The bundle's folder (default: the one that comes with Airlock).",
)


@click.group("policy")
def policy() -> None:
    """Check, test and explain policies."""


def _load(bundle: Path | None) -> tuple[Bundle, EmbeddedEngine]:
    """The bundle, active in an engine. Raises BundleRejected."""
    from decision.clock import SystemClock
    from decision.policy.embedded import EmbeddedEngine
    from decision.policy.reload import BundleReloader

    engine = EmbeddedEngine(SystemClock())
    asyncio.run(BundleReloader(bundle or _shipped(), engine).load())
    assert engine.bundle is not None
    return engine.bundle, engine


@policy.command("check")
@bundle_option
@format_option
def check(bundle: Path | None, form: str) -> None:
    """Load a bundle as the service would, and say what it is: exit status 1 if it would be refused."""
    loaded, _ = _load(bundle)
    row = {
        "revision": loaded.revision,
        "policies": list(loaded.policies),
        "modules": len(loaded.modules),
        "engines": ["embedded", "opa"] if loaded.portable else ["opa"],
        "reads_of_context": sorted(loaded.reads.context),
    }
    show_rows(list(row), [row], form)


@policy.command("index")
@bundle_option
def index(bundle: Path | None) -> None:
    """Write airlock/index.rego, which names the policy packages, for tools that read the folder themselves."""
    from decision.policy.bundle import INDEX_PATH, load_bundle

    folder = bundle or _shipped()
    text = dict(load_bundle(folder).modules)[INDEX_PATH]
    (folder / INDEX_PATH).write_text(text)
    click.echo(f"{folder / INDEX_PATH} written")


@policy.command("test")
@bundle_option
@click.option("--opa", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The OPA program to use.")
def test(bundle: Path | None, opa: Path | None) -> None:
    """Run the tests of a bundle (`*_test.rego`), with OPA where it is found, else with the embedded engine."""
    from airlock.commands.policy_tests import find_opa, run_embedded

    folder = bundle or _shipped()
    loaded, _ = _load(folder)
    program = opa or find_opa()
    if program is not None:
        command = [str(program), "test", "-b", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        click.echo(done.stdout, nl=False)
        click.echo(done.stderr, nl=False, err=True)
        sys.exit(1 if done.returncode else 0)
    results = run_embedded(folder, loaded)
    failed = [name for name, passed in results if not passed]
    for name in failed:
        click.echo(f"FAIL: {name}")
    click.echo(f"{len(results) - len(failed)} of {len(results)} tests passed (embedded engine)")
    sys.exit(1 if failed or not results else 0)


@policy.command("explain")
@bundle_option
@format_option
@click.option("--input", "source", type=click.File("rb"), help="A whole input document as JSON (- for standard input).")
@click.option("--sql", help="A statement, instead of --input.")
@click.option("--catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="What the database holds (made by `airlock catalog`); without it no table is known.")  # fmt: skip
@click.option("--kind", type=click.Choice(["human", "agent", "service"]), default="human", show_default=True,
              help="What the principal is.")  # fmt: skip
@click.option("--groups", default="", help="The principal's groups, separated by commas.")
@click.option("--on-behalf-of-groups", default=None, help="The groups of the human behind an agent.")
@click.option("--environment", type=click.Choice([e.value for e in Environment]), default="prod", show_default=True,
              help="What the database is.")  # fmt: skip
@click.option("--approved", multiple=True, help="A hold's rule that an approval covers.")
def explain(
    bundle: Path | None,
    form: str,
    source: BinaryIO | None,
    sql: str | None,
    catalog: Path | None,
    kind: str,
    groups: str,
    on_behalf_of_groups: str | None,
    environment: str,
    approved: tuple[str, ...],
) -> None:
    """Decide one input and say why: every rule that speaks, masks, limits, approvals. Exit status 1 unless allowed."""
    from airlock.commands.policy_tests import Person, document_for

    if (source is None) == (sql is None):
        raise click.UsageError("give exactly one of --input and --sql")
    _, engine = _load(bundle)
    if source is not None:
        document = source.read()
    else:
        assert sql is not None
        human = None if on_behalf_of_groups is None else _names(on_behalf_of_groups)
        person = Person(kind, _names(groups), human)
        document = document_for(sql, person, Environment(environment), catalog, approved)
    evaluation = engine.evaluate_now(bytes(document))
    _show(evaluation, form)
    sys.exit(0 if evaluation.effect.value == "allow" else 1)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _show(evaluation: Evaluation, form: str) -> None:
    rows: list[dict[str, object]] = [
        {"says": r.effect.value, "rule": r.rule, "severity": r.severity, "message": r.message, "controls": r.controls}
        for r in evaluation.results
    ]
    for mask in evaluation.masks:
        target = mask.tag or f"{mask.schema}.{mask.table}.{mask.column}"
        but = f" but {', '.join(mask.except_tags)}" if mask.except_tags else ""
        rows.append({"says": "mask", "rule": mask.rule, "message": f"{target}{but}: {mask.method.value}"})
    for terms in evaluation.holds:
        text = f"{terms.quorum} of {', '.join(terms.approvers)} within {terms.expires_s} s"
        rows.append({"says": "needs approval", "rule": terms.rule, "message": text})
    limits = evaluation.limits
    for name in ("rows", "bytes", "timeout_ms"):
        if (bound := getattr(limits, name)) is not None:
            rows.append({"says": "limit", "message": f"{name}: {bound}"})
    if limits.read_only:
        rows.append({"says": "limit", "message": "read only"})
    rows += [{"says": "advice", "message": advice} for advice in evaluation.advice]
    if form == "table":
        click.echo(f"{evaluation.effect.value.upper()}   policy revision {evaluation.policy_revision[:12]}")
    show_rows(["says", "rule", "severity", "message", "controls"], rows, form)


@policy.command("bench")
@bundle_option
@click.option("--input", "source", type=click.File("rb"), help="An input document (default: a typical one).")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True,
              help="How many evaluations.")  # fmt: skip
def bench(bundle: Path | None, source: BinaryIO | None, count: int) -> None:
    """Measure uncached evaluations of one input on the embedded engine."""
    from decision.policy.smoke import SMOKE_DOCUMENTS

    _, engine = _load(bundle)
    document = bytes(source.read()) if source is not None else SMOKE_DOCUMENTS[-1]
    spent = []
    for _ in range(count):
        started = time.perf_counter_ns()
        engine.evaluate_now(document)
        spent.append(time.perf_counter_ns() - started)
    spent.sort()
    click.echo(f"{count} evaluations: p50 {_at(spent, 0.5)} µs, p99 {_at(spent, 0.99)} µs")


def _at(sorted_ns: Sequence[int], share: float) -> int:
    return sorted_ns[min(len(sorted_ns) - 1, int(len(sorted_ns) * share))] // 1_000


@policy.command("status")
@data_dir_option
@format_option
def status(data_dir: Path, form: str) -> None:
    """Which policies the running service decides with, and what it refused last."""
    from airlock.commands.common import connect_service

    async def ask() -> dict[str, object]:
        port = connect_service(data_dir)
        try:
            found = await port.policy_status()
        finally:
            await port.close()
        return {
            "engine": found.engine,
            "revision": found.revision,
            "activated": moment(found.activated_unix_nano),
            "policies": list(found.policies),
            "rejected": found.rejected,
        }

    row = asyncio.run(ask())
    show_rows(list(row), [row], form)
