"""Compile the hot modules of enforcement/masking with mypyc: `python tools/compile_masking.py [--require]`.

Without a C compiler or mypyc this says so and succeeds, because the same source runs interpreted; with --require it
fails. Forms of older sources are removed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup
setup(
    name="airlock-masking",
    packages=[],
    ext_modules=mypycify([sys.argv[1] + ".py"], target_dir="c", opt_level="3"),
    script_args=["-q", "build_ext", "--build-lib", "lib", "--build-temp", "temp"],
)
"""


def loader() -> ModuleType:
    """enforcement/masking/_load.py by itself, so that no form of the hot modules gets imported."""
    spec = importlib.util.spec_from_file_location("enforcement.masking._load", ROOT / "enforcement/masking/_load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(name: str, target: Path) -> str:
    """Compile one module to `target`; the reason if that is impossible.

    It is compiled as a top-level module, because mypyc makes two shared objects of one in a package; the loader gives
    it its name.
    """
    with tempfile.TemporaryDirectory(prefix="airlock-mypyc-") as folder:
        shutil.copyfile(ROOT / "enforcement" / "masking" / f"{name}.py", Path(folder, f"{name}.py"))
        environment = {**os.environ, "MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(Path(folder, "cache"))}
        command = [sys.executable, "-c", BUILD, name]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        made = list(Path(folder, "lib").rglob("*.so")) + list(Path(folder, "lib").rglob("*.pyd"))
        if done.returncode != 0 or len(made) != 1:
            return (done.stderr or done.stdout).strip()[-2000:] or "no shared object was made"
        target.parent.mkdir(exist_ok=True)
        waiting = target.with_suffix(".new")
        shutil.copyfile(made[0], waiting)
        waiting.replace(target)
    return ""


def main() -> int:
    required = "--require" in sys.argv[1:]
    if importlib.util.find_spec("mypyc") is None or importlib.util.find_spec("setuptools") is None:
        sys.stderr.write("masking stays interpreted: mypyc and setuptools are not installed\n")
        return 1 if required else 0
    load = loader()
    for name in load.HOT:
        target = load.compiled_path(name)
        for old in load.COMPILED.glob(f"{name}.*"):
            if old != target:
                old.unlink(missing_ok=True)
        if target.exists():
            continue
        reason = build(name, target)
        if reason:
            sys.stderr.write(f"masking stays interpreted: {name} did not compile\n{reason}\n")
            return 1 if required else 0
        sys.stdout.write(f"compiled {target.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
