"""`tools/mutants.py`: how many small wrong changes of the statement analysis its tests notice.

    .venv/bin/python tools/mutants.py --sample 300 --seed 7 [--only postgres/dml] [--jobs 2]

A seeded sample of the changes that tools/mutations.py knows; the survivors are listed with their lines. Why not mutmut
(3.8): it changes what stands in functions only, and the analysis lives by tables of modules and classes; it has no
seeded sample of its 14,000 changes. Here a process that has imported everything but our own modules forks for each
change, serves the changed module from memory and runs the tests until the first failure, the cases kept as data first:
half a second for most. It all happens in a copy of the checkout, so that edits meanwhile don't matter.

The tests are those of the analysis that need no server: tests/unit/test_analysis_*.py and test_dialect*.py, and for
redact.py its property tests. What tools/mutations.py leaves out of the changes, and why, stands there.

Exit status: 0; 1 where the share of killed ones is under --least; 2 where the tests fail without any change. With
--tolerate those that fail are left out instead, and named: the share is then of what the others notice.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutations import mutated, sites

ROOT = Path(__file__).resolve().parent.parent
TREES = ("decision", "enforcement", "ingest", "analytics", "console", "airlock", "tests", "rego", "proto")
TARGET = "decision/analysis"
PATTERNS = ("test_analysis_*.py", "test_dialect*.py")
MORE = {"decision/analysis/redact.py": ("tests/property/test_analysis_redact.py",)}
# Cases kept as data, which are run without pytest first: module, function, and the list that it is run over.
QUICK = (
    ("tests.unit.test_analysis_drawn", "test_drawn", "FILES"),
    ("tests.unit.test_analysis_facts", "test_facts", "CASES"),
    ("tests.unit.test_analysis_lineage", "test_case", "LOADED"),
)
OURS = (*TREES, "tools", "mutations")


@dataclass(frozen=True)
class Mutant:
    path: str  # from the checkout's root
    number: int
    line: int
    what: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


class Served(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one module from memory."""

    def __init__(self, mutant: Mutant, code: CodeType) -> None:
        self.mutant, self.code = mutant, code

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        if fullname != self.mutant.module:
            return None
        origin = Path(self.mutant.path)
        places = [str(origin.parent)] if origin.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(fullname, origin, loader=self, submodule_search_locations=places)

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)  # noqa: S102  (that is what a loader does)


def found(only: str) -> list[Mutant]:
    """All changes of the modules under TARGET whose path holds `only`."""
    mutants = []
    for path in sorted(Path(TARGET).rglob("*.py")):
        if only in str(path):
            tree = ast.parse(path.read_text())
            mutants += [Mutant(str(path), n, site.line, site.what) for n, site in enumerate(sites(tree))]
    return mutants


@dataclass(frozen=True)
class Tests:
    """Which tests are run: files, and what of them is left out, because it fails without any change."""

    files: tuple[str, ...]
    chosen: bool = False
    failing: frozenset[str] = frozenset()

    def arguments(self, mutant: Mutant | None) -> list[str]:
        if mutant is None or self.chosen:
            files = [*self.files]
        else:
            done = {module.replace(".", "/") + ".py" for module, _, _ in QUICK}
            files = [name for name in self.files if name not in done and concerns(mutant, name)]
            files += MORE.get(mutant.path, ())
        return [*(f"--deselect={one}" for one in self.failing), *files]


def concerns(mutant: Mutant, test: str) -> bool:
    """Whether a file of tests can notice the change: nothing of postgres/ is imported by dialects/, nor the other way
    round, and the files' names say which of the two they are about; the drawn cases are about both."""
    if "/dialects/" in mutant.path:
        return "dialect" in test or "drawn" in test
    return "/postgres/" not in mutant.path or "dialect" not in test


def tests(chosen: list[str]) -> Tests:
    """The analysis' tests that need no server, the quickest to fail first."""
    if chosen:
        return Tests(tuple(chosen), chosen=True)
    names = sorted(str(path) for pattern in PATTERNS for path in Path("tests/unit").glob(pattern))
    return Tests(tuple(sorted(names, key=lambda name: ("cases" not in name, "text" in name or "limits" in name))))


def quick_cases(failing: frozenset[str], mutant: Mutant | None) -> list[str]:
    """Check the cases kept as data without pytest: most changes are noticed here, in half a second. Those that don't
    hold; with a `mutant` the first one raises."""
    wrong = []
    for module, function, cases in QUICK:
        if mutant is not None and not concerns(mutant, module):
            continue
        loaded = importlib.import_module(module)
        for number, case in enumerate(getattr(loaded, cases)):
            name = f"{module}::{function}::{number}"
            if name in failing:
                continue
            try:
                getattr(loaded, function)(case)
            except BaseException:
                if mutant is not None:
                    raise
                wrong.append(name)
    return wrong


class Failures:
    """A pytest plugin: the names of the tests that fail."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False):
            self.names.append(getattr(report, "nodeid", ""))


def run_tests(chosen: Tests, mutant: Mutant | None, note: Path | None = None) -> int:
    """In a forked child: pytest's exit status over the tests, with one change. Never returns to the caller's stack."""
    import pytest

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if mutant is not None:
        tree, _ = mutated(Path(mutant.path).read_text(), mutant.number)
        sys.meta_path.insert(0, Served(mutant, compile(tree, mutant.path, "exec", dont_inherit=True)))
        if not chosen.chosen:
            quick_cases(chosen.failing, mutant)
    options = ["-q", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not postgres"]
    failures = Failures()
    status = int(pytest.main([*options, *(["-x"] if note is None else []), *chosen.arguments(mutant)], [failures]))
    if note is not None:
        loaded = [name for name in sys.modules if not name.startswith(OURS)]
        wrong = failures.names + (quick_cases(frozenset(), None) if not chosen.chosen else [])
        note.write_text(json.dumps({"modules": loaded, "failing": wrong}))
    return status


def fork(names: Tests, mutant: Mutant | None, note: Path | None = None) -> int:
    """Start a child; its process id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        status = run_tests(names, mutant, note)
    except BaseException:  # noqa: BLE001  (a module that can't even be compiled or imported is noticed)
        status = 98
    finally:
        os._exit(status)


def wait(child: int, deadline: float) -> str:
    """survived, killed or timeout."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "timeout"
        time.sleep(0.01)


def warm(names: Tests, folder: Path, tolerate: bool) -> tuple[Tests, float]:
    """Run the unchanged tests, import what they needed beyond our own modules. The tests that hold without any change,
    all of them unless `tolerate`; and the seconds that they take then."""
    note = folder / "modules.json"
    wait(fork(names, None, note), time.monotonic() + 300)
    known = json.loads(note.read_text()) if note.exists() else {"modules": [], "failing": ["they could not be run"]}
    if known["failing"]:
        print("fail without any change: " + " ".join(known["failing"]), file=sys.stderr)
        if not tolerate:
            sys.exit(2)
        names = replace(names, failing=frozenset(known["failing"]))
    for name in known["modules"]:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    began = time.monotonic()
    if wait(fork(names, None), began + 300) != "survived":
        print("the tests fail without any change; see: pytest " + " ".join(names.files), file=sys.stderr)
        sys.exit(2)
    return names, time.monotonic() - began


def measure(chosen: list[Mutant], names: Tests, limit: float, jobs: int, until: float) -> dict[Mutant, str]:
    """The fate of each, `jobs` at a time; none is begun after `until` on the monotonic clock."""
    fates: dict[Mutant, str] = {}
    running: list[tuple[int, Mutant, float]] = []
    left = list(reversed(chosen))
    while left or running:
        if time.monotonic() > until:
            left.clear()
        while left and len(running) < jobs:
            mutant = left.pop()
            running.append((fork(names, mutant), mutant, time.monotonic() + limit))
        if not running:
            break
        child, mutant, deadline = running.pop(0)
        fates[mutant] = wait(child, deadline)
        if len(fates) % 25 == 0:
            print(f"  {len(fates)} of {len(chosen)}: {dict(Counter(fates.values()))}", file=sys.stderr, flush=True)
    return fates


def report(fates: dict[Mutant, str], all_of_them: int, seed: int) -> float:
    """Print the survivors and the figures; the share killed."""
    for mutant, fate in sorted(fates.items(), key=lambda one: (one[0].path, one[0].line)):
        if fate == "survived":
            line = Path(mutant.path).read_text().splitlines()[mutant.line - 1].strip()
            print(f"{mutant.path}:{mutant.line}: {mutant.what} [{mutant.number}]\n    {line[:110]}")
    counts = Counter(fates.values())
    share = 1 - counts["survived"] / max(1, len(fates))
    figures = f"{counts['killed']} killed, {counts['timeout']} timed out, {counts['survived']} survived"
    print(f"{len(fates)} of {all_of_them} changes, seed {seed}: {figures}; noticed {share:.1%}")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="how many changes; 0: all (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument("--only", default="", help="modules whose path holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default: 2)")
    parser.add_argument("--seconds", type=float, default=3600, help="begin none after this time (default: 3600)")
    parser.add_argument("--least", type=float, default=0.0, help="exit with 1 under this share (0 to 1)")
    parser.add_argument("--tolerate", action="store_true", help="leave out tests that fail without any change")
    parser.add_argument("tests", nargs="*", help="test files (default: those of the analysis)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder goes then, too
    folder = Path(tempfile.mkdtemp(prefix="airlock-mutants-"))
    try:
        for tree in TREES:
            shutil.copytree(ROOT / tree, folder / tree, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["AIRLOCK_NO_COMPILED"] = "1"
        os.nice(10)
        everything = found(given.only)
        chosen = random.Random(given.seed).sample(everything, min(given.sample or len(everything), len(everything)))
        names, took = warm(tests(given.tests), folder, given.tolerate)
        print(f"{len(everything)} changes known; the tests take {took:.1f} s", file=sys.stderr, flush=True)
        fates = measure(chosen, names, 10 * took + 5, given.jobs, time.monotonic() + given.seconds)
        return 1 if report(fates, len(everything), given.seed) < given.least else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
