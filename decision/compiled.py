"""Puts compiled forms of hot modules in the place of their sources, when they are of exactly these sources.

`tools/compile.py` compiles each group with mypyc to one shared object, so that calls and attributes inside the group
are native. Beside it stands a manifest: the Python it is for, the digest of the object, and the digests of all sources
of ours that it was made from, those that the group imports included (their types and constants are compiled in).

A finder on `sys.meta_path` serves the modules of a group. When the first of them is imported, everything is checked
and the object is loaded: from then on the whole group comes out of it. Where anything does not fit, or with
AIRLOCK_NO_COMPILED=1, the whole group runs from source. The object holds its modules' initialisers as capsules; they
are called here, so that no file is needed after that.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
BUILDS = ROOT / ".compiled"
OFF = "AIRLOCK_NO_COMPILED"
SUFFIX = EXTENSION_SUFFIXES[0]  # .cpython-311-x86_64-linux-gnu.so


def _of(package: str, names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names.split())


GROUPS: dict[str, tuple[str, ...]] = {
    "enforcement": (
        *_of("enforcement.masking", "copy_binary copy_csv copy_messages copy_text rows"),
        *_of(
            "enforcement.postgres.protocol",
            "answers asking core denial exchange executions framing gate messages parsing planning readonly"
            " results startup state table text",
        ),
    ),
}
MEMBERS = {module: group for group, modules in GROUPS.items() for module in modules}


def library_name(group: str) -> str:
    """As mypyc names it."""
    return f"airlock_{group}__mypyc"


def manifest_path(group: str) -> Path:
    return BUILDS / f"{group}{SUFFIX}.json"


def python() -> str:
    """The interpreter that an object is for."""
    return f"{sys.implementation.name} {sys.version} {SUFFIX}"


def digest(path: Path) -> str:
    """OSError if there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(sources: Iterable[str]) -> dict[str, str]:
    """Of sources by their path below ROOT."""
    return {source: digest(ROOT / source) for source in sorted(sources)}


def find_object(group: str) -> Path:
    """The shared object of exactly the present sources. ImportError, which says why, where there is none."""
    try:
        manifest = json.loads(manifest_path(group).read_bytes())
        if manifest["python"] != python():
            raise ImportError("compiled for another Python")
        if manifest["sources"] != digests(manifest["sources"]):
            raise ImportError("compiled from other sources")
        path = BUILDS / str(manifest["object"])
        if digest(path) != manifest["digest"]:
            raise ImportError("the compiled form is damaged")
    except FileNotFoundError:
        raise ImportError("not compiled") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImportError(f"the compiled form can't be read: {type(error).__name__}") from None
    return path


def state_of(group: str) -> str:
    """Why the group does not run compiled in a process that starts now; empty if it does."""
    if os.environ.get(OFF, "") not in ("", "0"):
        return f"switched off by {OFF}"
    try:
        find_object(group)
    except ImportError as error:
        return error.msg
    return ""


@functools.cache
def load_library(group: str) -> ModuleType | None:
    """The object of the group, loaded; None where its modules run from source in this process."""
    if state_of(group) or any(module in sys.modules for module in GROUPS[group]):
        return None
    name = library_name(group)
    try:
        path = find_object(group)
        spec = importlib.util.spec_from_file_location(name, path, loader=ExtensionFileLoader(name, str(path)))
        assert spec is not None and spec.loader is not None
        library = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(library)
        if not all(hasattr(library, _initialiser(module)) for module in GROUPS[group]):
            return None
    except (ImportError, OSError):
        return None
    sys.modules[name] = library  # where the initialisers look for it
    return library


def _initialiser(module: str) -> str:
    return "init_" + module.replace(".", "___")


class CompiledLoader(Loader):
    """Makes one module out of a loaded library."""

    def __init__(self, library: ModuleType) -> None:
        self.library = library

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = _initialiser(spec.name)
        pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
        pointer_of.restype = ctypes.c_void_p
        pointer_of.argtypes = (ctypes.py_object, ctypes.c_char_p)
        pointer = pointer_of(getattr(self.library, name), f"{self.library.__name__}.{name}".encode())
        module = ctypes.PYFUNCTYPE(ctypes.py_object)(pointer)()
        assert isinstance(module, ModuleType)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Its body has run when it was made."""


class CompiledFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        group = MEMBERS.get(fullname)
        library = None if group is None else load_library(group)
        if library is None:
            return None
        return ModuleSpec(fullname, CompiledLoader(library), origin=library.__file__)


def is_compiled(module: ModuleType) -> bool:
    return not str(module.__file__).endswith(".py")


def install() -> None:
    """Called by the packages that have hot modules, before any of these can be imported."""
    if not any(isinstance(finder, CompiledFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, CompiledFinder())


def load_source(module: str) -> ModuleType:
    """The interpreted form, beside whatever form is in use: for tests and measurements of both."""
    package, _, name = module.rpartition(".")
    full = f"{package}._interpreted_{name}"
    if full in sys.modules:
        return sys.modules[full]
    path = ROOT / f"{module.replace('.', '/')}.py"
    spec = importlib.util.spec_from_file_location(full, path, loader=SourceFileLoader(full, str(path)))
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[full] = found
    spec.loader.exec_module(found)
    return found
