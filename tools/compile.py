"""Compile the groups of hot modules with mypyc: `python tools/compile.py [--require] [GROUP…]`.

decision/compiled.py names the groups and loads what is made here. What is there already is left alone. Without a C
compiler or mypyc this says so and succeeds, because the same sources run interpreted; with --require it fails.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from decision import compiled  # noqa: E402

BUILD = """
import json, sys
from mypyc.build import mypycify
from setuptools import setup
name, folder, paths = json.loads(sys.argv[1])
extensions = mypycify(
    ["--cache-dir", f"{folder}/cache", *paths],
    target_dir=f"{folder}/c", opt_level="3", debug_level="0", group_name=name,
)
# The others are shims that would make files of single modules: the loader does without.
library = [one for one in extensions if one.name == f"{name}__mypyc"]
for one in library:
    one.extra_compile_args.append("-Wno-error")  # what a compiler warns of in generated code breaks nothing
setup(
    name=name, packages=[], ext_modules=library,
    script_args=["-q", "build_ext", "--build-lib", f"{folder}/lib", "--build-temp", f"{folder}/temp"],
)
"""
TRY = """
import importlib, sys
from pathlib import Path
from decision import compiled
compiled.BUILDS = Path(sys.argv[1])
for module in compiled.GROUPS[sys.argv[2]]:
    found = importlib.import_module(module)
    assert compiled.is_compiled(found), f"{module} comes from its source"
"""


def recipe() -> str:
    """What makes an object another one, beside the sources."""
    return f"mypy {importlib.metadata.version('mypy')}, {hashlib.sha256(BUILD.encode()).hexdigest()[:16]}"


def file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def imported(module: str, file: Path) -> set[str]:
    """Modules that it may import, packages included; names that are no modules do no harm."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found | {module.rpartition(".")[0]}


def sources_of(group: str) -> set[str]:
    """The paths of all sources of ours that the group is made from: its own, and what they import."""
    waiting, found = list(compiled.GROUPS[group]), set()
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        file = None if module in seen or not module else file_of(module)
        seen.add(module)
        if file is not None:
            found.add(file.relative_to(ROOT).as_posix())
            waiting += imported(module, file)
    return found


def current(group: str) -> bool:
    """Whether there is nothing to do."""
    try:
        compiled.find_object(group)
    except ImportError:
        return False
    return bool(json.loads(compiled.manifest_path(group).read_bytes()).get("recipe") == recipe())


def run(arguments: list[str]) -> str:
    """What went wrong, empty for nothing."""
    environment = {**os.environ, compiled.OFF: "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    return (done.stdout + done.stderr).strip()[-2000:] or f"exit status {done.returncode}"


def build(group: str) -> str:
    """Compile the group, try it, and put it in place; the reason if that is impossible."""
    name = f"airlock_{group}"
    sources = compiled.digests(sources_of(group))
    with tempfile.TemporaryDirectory(prefix="airlock-mypyc-") as folder:
        paths = [f"{module.replace('.', '/')}.py" for module in compiled.GROUPS[group]]
        reason = run(["-c", BUILD, json.dumps([name, folder, paths])])
        made = list(Path(folder, "lib").rglob("*__mypyc*"))
        if reason or len(made) != 1:
            return reason or "no shared object was made"
        digest = compiled.digest(made[0])
        manifest = {
            "python": compiled.python(), "recipe": recipe(), "object": f"{group}-{digest[:16]}{compiled.SUFFIX}",
            "digest": digest, "sources": sources,
        }  # fmt: skip
        ready = Path(folder, "ready")
        ready.mkdir()
        shutil.copyfile(made[0], ready / str(manifest["object"]))
        (ready / compiled.manifest_path(group).name).write_text(json.dumps(manifest, indent=1) + "\n")
        reason = run(["-c", TRY, str(ready), group])
        if reason:
            return reason
        publish(group, ready, str(manifest["object"]))
    return ""


def publish(group: str, ready: Path, name: str) -> None:
    """The manifest comes last and at once: whoever reads it finds the object, or falls back to the source."""
    compiled.BUILDS.mkdir(exist_ok=True)
    for file in (name, compiled.manifest_path(group).name):
        waiting = compiled.BUILDS / f"{file}.new"
        shutil.copyfile(ready / file, waiting)
        waiting.replace(compiled.BUILDS / file)
    for old in compiled.BUILDS.glob(f"{group}-*{compiled.SUFFIX}"):
        if old.name != name:
            old.unlink(missing_ok=True)


def hint() -> None:
    """One line, where it would be worth it."""
    states = {group: compiled.state_of(group) for group in compiled.GROUPS}
    found = ", ".join(f"{group}: {state}" for group, state in states.items() if state)
    if found and (shutil.which("cc") or shutil.which("gcc")):
        print(f"Hot modules run from source ({found}); `make compile` makes the protocol core three times as fast.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(compiled.GROUPS)}; all without one")
    parser.add_argument("--require", action="store_true", help="fail where it can't be compiled")
    parser.add_argument("--hint", action="store_true", help="compile nothing; say whether it would be worth it")
    given = parser.parse_args()
    if given.hint:
        hint()
        return 0
    if unknown := sorted(set(given.groups) - set(compiled.GROUPS)):
        parser.error(f"there is no group {', '.join(unknown)}")
    if importlib.util.find_spec("mypyc") is None or importlib.util.find_spec("setuptools") is None:
        print("Airlock stays interpreted: mypyc and setuptools are not installed", file=sys.stderr)
        return 1 if given.require else 0
    failed = False
    for group in given.groups or compiled.GROUPS:
        if current(group):
            continue
        began = time.monotonic()
        reason = build(group)
        if reason:
            failed = True
            print(f"{group} stays interpreted: it did not compile\n{reason}", file=sys.stderr)
        else:
            print(f"compiled {group}: {len(compiled.GROUPS[group])} modules in {time.monotonic() - began:.0f} s")
    return 1 if failed and given.require else 0


if __name__ == "__main__":
    sys.exit(main())
