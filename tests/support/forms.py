"""Both forms of a hot module, for tests that must hold for each: interpreted from source, and compiled.

With AIRLOCK_NO_COMPILED=1 there is only one form: the whole program runs from source then.
"""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType

from decision import compiled
from tests.support.require import require

OFF = os.environ.get(compiled.OFF, "") not in ("", "0")
FORMS = ("interpreted",) if OFF else ("interpreted", "compiled")
HOW = "install a C compiler and the development dependencies (mypyc, setuptools), then run: make compile"


def need_compiled(group: str) -> None:
    """Skips the test where the group is not compiled from the present sources."""
    require(f"the compiled form of {group}", not compiled.state_of(group), HOW)


@functools.cache
def form(module: str, kind: str) -> ModuleType:
    """Hot module `module` in form `kind`."""
    if kind == "interpreted":
        return compiled.load_source(module)
    need_compiled(compiled.MEMBERS[module])
    found = importlib.import_module(module)
    assert compiled.is_compiled(found)
    return found
