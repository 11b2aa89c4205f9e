"""A compiled form takes the place of its sources when it is of exactly these, and never breaks a start otherwise."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from decision import compiled
from tests.support.forms import need_compiled

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import importlib, sys
from pathlib import Path
from decision import compiled
compiled.BUILDS = Path(sys.argv[1])
found = {compiled.is_compiled(importlib.import_module(module)) for module in compiled.GROUPS[sys.argv[2]]}
print(*found)
"""


def shown(builds: Path, group: str, **environment: str) -> str:
    """`True`: every module of the group came compiled; `False`: none."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(builds), group], cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def copied(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A build to be spoilt: its object and its manifest."""
    need_compiled("enforcement")
    manifest = json.loads(compiled.manifest_path("enforcement").read_text())
    for name in (manifest["object"], compiled.manifest_path("enforcement").name):
        shutil.copyfile(compiled.BUILDS / name, folder / name)
    return folder / manifest["object"], manifest


def keep(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / compiled.manifest_path("enforcement").name).write_text(json.dumps(manifest))


@pytest.mark.parametrize("group", compiled.GROUPS)
def test_every_group_is_compiled(group: str) -> None:
    """Where all is required, as in continuous integration, a group that runs from source is a failure."""
    need_compiled(group)
    assert shown(compiled.BUILDS, group) == "True"


def test_the_environment_forces_the_sources() -> None:
    """AIRLOCK_NO_COMPILED=1 is for looking for faults, and for tests of both."""
    need_compiled("enforcement")
    assert shown(compiled.BUILDS, "enforcement", AIRLOCK_NO_COMPILED="1") == "False"
    assert shown(compiled.BUILDS, "enforcement", AIRLOCK_NO_COMPILED="0") == "True"


def test_without_a_build_the_sources_run(tmp_path: Path) -> None:
    """A fresh checkout starts at once."""
    assert shown(tmp_path, "enforcement") == "False"


def other_sources(manifest: dict[str, Any], object_file: Path) -> None:
    manifest["sources"]["decision/model/errors.py"] = "0" * 64


def gone_source(manifest: dict[str, Any], object_file: Path) -> None:
    manifest["sources"]["decision/model/no_such.py"] = "0" * 64


def other_python(manifest: dict[str, Any], object_file: Path) -> None:
    manifest["python"] = manifest["python"].replace("3.", "2.")


def truncated(manifest: dict[str, Any], object_file: Path) -> None:
    object_file.write_bytes(object_file.read_bytes()[: object_file.stat().st_size // 2])


def gone(manifest: dict[str, Any], object_file: Path) -> None:
    object_file.unlink()


def no_object(manifest: dict[str, Any], object_file: Path) -> None:
    """Right by its digest, but nothing that this machine can load."""
    object_file.write_bytes(b"\x7fELF of another machine")
    manifest["digest"] = compiled.digest(object_file)


def foreign(manifest: dict[str, Any], object_file: Path) -> None:
    """A shared object that Python can load, and that is another module."""
    other = importlib.util.find_spec("apsw.__init__") or importlib.util.find_spec("orjson.orjson")
    assert other is not None and other.origin is not None
    shutil.copyfile(other.origin, object_file)
    manifest["digest"] = compiled.digest(object_file)


def shape(manifest: dict[str, Any], object_file: Path) -> None:
    del manifest["digest"]


@pytest.mark.parametrize(
    "spoil", [other_sources, gone_source, other_python, truncated, gone, no_object, foreign, shape]
)
def test_what_does_not_fit_falls_back_to_the_sources(
    tmp_path: Path, spoil: Callable[[dict[str, Any], Path], None]
) -> None:
    """Outdated, foreign or damaged: as good as none, for all modules of the group."""
    object_file, manifest = copied(tmp_path)
    spoil(manifest, object_file)
    keep(tmp_path, manifest)
    assert shown(tmp_path, "enforcement") == "False"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"python": 1}'])
def test_a_manifest_that_is_none_falls_back_to_the_sources(tmp_path: Path, text: str) -> None:
    copied(tmp_path)
    (tmp_path / compiled.manifest_path("enforcement").name).write_text(text)
    assert shown(tmp_path, "enforcement") == "False"


def test_the_manifest_names_all_sources_that_it_depends_on(tools_compile: ModuleType) -> None:
    """Types and constants of imported modules are compiled in: a change of one of them asks for a new build."""
    need_compiled("enforcement")
    manifest = json.loads(compiled.manifest_path("enforcement").read_text())
    assert set(manifest["sources"]) == tools_compile.sources_of("enforcement")
    assert {"enforcement/postgres/protocol/gate.py", "decision/model/decision.py", "decision/__init__.py"} <= set(
        manifest["sources"]
    )


@pytest.fixture
def tools_compile() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tools_compile", ROOT / "tools" / "compile.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_group_names_modules_that_exist() -> None:
    """Each once, in one group, and no package."""
    modules = [module for group in compiled.GROUPS.values() for module in group]
    assert len(modules) == len(set(modules)) == len(compiled.MEMBERS)
    assert [module for module in modules if not (ROOT / f"{module.replace('.', '/')}.py").is_file()] == []
