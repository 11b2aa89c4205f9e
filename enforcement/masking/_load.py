"""Puts the compiled form of a hot module in the place of its source, when there is one of exactly this source.

`tools/compile_masking.py` compiles a module with mypyc to `compiled/<name>.<digest><suffix>`, where the digest is of
the source: an outdated one has another name and is never found. Without it, or with AIRLOCK_NO_COMPILED=1, the
source runs. Reading these files while the package is imported is the only I/O in this package.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, SourceFileLoader
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
COMPILED = HERE / "compiled"
HOT = ("rows", "copy_text", "copy_csv", "copy_binary")
OFF = "AIRLOCK_NO_COMPILED"


def digest(name: str) -> str:
    """Of the source of hot module `name`."""
    return hashlib.sha256((HERE / f"{name}.py").read_bytes()).hexdigest()[:16]


def compiled_path(name: str) -> Path:
    """Where the compiled form of the present source is, or would be."""
    return COMPILED / f"{name}.{digest(name)}{EXTENSION_SUFFIXES[0]}"


def load_compiled(name: str) -> ModuleType | None:
    """The compiled form, not yet known to `sys.modules`; None where there is none that can be loaded."""
    full = f"{__package__}.{name}"
    try:
        path = compiled_path(name)
        if not path.exists():
            return None
        loader = ExtensionFileLoader(full, str(path))
        spec = importlib.util.spec_from_file_location(full, path, loader=loader)
        if spec is None:
            return None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except (ImportError, OSError):
        return None
    return module


def load_source(name: str) -> ModuleType:
    """The interpreted form, beside whatever form is in use."""
    full = f"{__package__}._interpreted_{name}"
    loader = SourceFileLoader(full, str(HERE / f"{name}.py"))
    spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py", loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    loader.exec_module(module)
    return module


def prefer_compiled() -> None:
    """Called before any hot module is imported."""
    if os.environ.get(OFF, "") not in ("", "0"):
        return
    for name in HOT:
        full = f"{__package__}.{name}"
        module = None if full in sys.modules else load_compiled(name)
        if module is not None:
            sys.modules[full] = module
