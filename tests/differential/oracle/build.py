"""Compiles the oracle's module for the PostgreSQL of this machine's packages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.toolchains import CACHE

SOURCE = Path(__file__).with_name("airlock_oracle.c")
HEADERS = (
    "/usr/include/postgresql/{major}/server",
    "{cache}/postgresql-headers/usr/include/postgresql/{major}/server",
    "{installed}/include/server",
    "{installed}/include/postgresql/server",
)
HOW = "install the packages postgresql, postgresql-server-dev of the same version, and gcc"


class NotBuilt(RuntimeError):
    """The compiler's complaints."""


def headers(installed: Path) -> Path | None:
    """The folder with the server's headers that belong to an installation; None where there are none."""
    major = re.sub(r"\D", "", installed.name)
    for place in HEADERS:
        folder = Path(place.format(major=major, installed=installed, cache=CACHE))
        if (folder / "postgres.h").is_file():
            return folder
    return None


def compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def missing(installed: Path) -> bool:
    """Whether the headers or a compiler are missing."""
    return headers(installed) is None or compiler() is None


def build(installed: Path, folder: Path) -> Path:
    """The module, compiled into `folder`, readable for every account. Raises NotBuilt."""
    target, include, program = folder / "airlock_oracle.so", headers(installed), compiler()
    if include is None or program is None:
        raise NotBuilt(HOW)
    command = [program, "-Wall", "-O1", "-shared", "-fPIC", f"-I{include}", str(SOURCE), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise NotBuilt(done.stderr[-2000:])
    target.chmod(0o755)
    return target
