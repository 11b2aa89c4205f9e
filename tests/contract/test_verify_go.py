"""The program in an evidence bundle, which uses nothing but Go's own packages, proves its events and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from analytics.evidence_bundle import EVENTS, PROGRAM, README, write_bundle
from analytics.verify_log import custody_of
from tests.support.require import require
from tests.support.toolchains import CACHE
from tests.support.verify_stores import KEY, START, STEP, STRANGER, Stores, history, make_stores

pytestmark = pytest.mark.golang

MODULE = Path(__file__).parents[1] / "clients" / "tlog"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    made = make_stores(tmp_path_factory.mktemp("stores") / "data", history(700))
    write_bundle(made.root / "b.zip", made.log, custody_of(made.log, None), START + 250 * STEP, START + 550 * STEP)
    return made


@pytest.fixture(scope="module")
def program(go: Path, stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """verify.go out of the bundle, compiled."""
    folder = tmp_path_factory.mktemp("go")
    with zipfile.ZipFile(stores.root / "b.zip") as archive:
        archive.extract(PROGRAM, folder)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(MODULE / name, folder / name)
    caches = {"GOMODCACHE": str(CACHE / "go" / "mod"), "GOCACHE": str(CACHE / "go" / "build")}
    done = subprocess.run(
        [str(go), "build", "-o", "verify", PROGRAM], cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", **caches}, check=False,
    )  # fmt: skip
    found = folder / "verify" if done.returncode == 0 else None
    return require("golang.org/x/mod (a Go module)", found, "give Go (1.26 or later) a network once: `make fetch`")


@pytest.fixture
def bundle(stores: Stores, tmp_path: Path) -> Path:
    with zipfile.ZipFile(stores.root / "b.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def proved(program: Path, bundle: Path, key: str = KEY.verifier.encode()) -> tuple[int, str]:
    done = subprocess.run([str(program), key], cwd=bundle, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_go_proves_the_events_of_a_bundle(program: Path, bundle: Path) -> None:
    """All of them, with the key that one trusts and with no other."""
    assert proved(program, bundle) == (0, "300 events proved: leaves 249 to 548 of the tree of 700\n")
    assert proved(program, bundle, STRANGER.verifier.encode())[0] == 1
    assert "go run verify.go" in (bundle / README).read_text()


@pytest.mark.parametrize("name", [EVENTS, "checkpoint", "tile/0/001", "tile/1/000.p/2"])
def test_go_refuses_a_bundle_that_was_changed(name: str, program: Path, bundle: Path) -> None:
    """A bit in an event, in a tile, in the checkpoint."""
    path = bundle / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    assert proved(program, bundle)[0] == 1
