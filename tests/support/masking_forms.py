"""Both forms of the hot masking modules, for tests that must hold for each: interpreted from source, and compiled."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from enforcement.masking import _load
from tests.support.require import require

ROOT = Path(__file__).resolve().parents[2]
FORMS = ("interpreted", "compiled")
HOW = "install a C compiler and the development dependencies (mypyc, setuptools)"


@functools.cache
def _built() -> str | None:
    """Compile what is not compiled yet; None if that is impossible here."""
    tool = ROOT / "tools" / "compile_masking.py"
    done = subprocess.run([sys.executable, str(tool), "--require"], capture_output=True, text=True, check=False)
    return "built" if done.returncode == 0 else None


@functools.cache
def form(name: str, kind: str) -> ModuleType:
    """Hot module `name` in form `kind`."""
    if kind == "interpreted":
        return _load.load_source(name)
    require("the compiled masks", _built(), HOW)
    used = importlib.import_module(f"enforcement.masking.{name}")
    module = used if used.COMPILED else _load.load_compiled(name)
    assert module is not None, "the tool said that it compiled"
    return module
