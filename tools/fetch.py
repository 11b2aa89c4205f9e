"""Fetches what some tests need beyond Python, as far as the toolchains are there: `python tools/fetch.py`.

Everything goes to the project's ignored `.cache/`; what is there is not fetched again. What can't be fetched is said
and left out: the tests that need it are then listed at the end of their run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
OPA = "github.com/open-policy-agent/opa@v1.22.0"
COMPOSE = "github.com/compose-spec/compose-go/v2@v2.16.2"
PGJDBC = "org.postgresql:postgresql:42.7.8"
KAFKA = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
REGRESSION = "libpg_query/test/sql/postgres_regress"


def run(*command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, minutes: float = 5) -> str:
    """Its output. Raises RuntimeError with the end of its complaints."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True,
            timeout=minutes * 60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(str(error)) from error
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-600:])
    return done.stdout


def opa() -> None:
    """The OPA program: Go compiles it, which takes some minutes the first time."""
    target = CACHE / "bin" / "opa"
    if target.exists() or os.environ.get("AIRLOCK_OPA") or shutil.which("opa"):
        return
    if shutil.which("go") is None:
        raise RuntimeError("Go is not installed")
    print("fetch: compiling OPA, which takes some minutes once ...", flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # Not inside the checkout, whose go.mod files are the tests' own; linked in place only when whole.
        run("go", "install", OPA, cwd=Path(folder), env={"GOBIN": folder, "CGO_ENABLED": "0"}, minutes=18)
        target.parent.mkdir(exist_ok=True)
        Path(folder, "opa").replace(target)


def pgx() -> None:
    """The modules of tests/clients/pgx."""
    if shutil.which("go") is None:
        raise RuntimeError("Go is not installed")
    if (CACHE / "go" / "mod" / "github.com" / "jackc").exists():
        return
    run("go", "mod", "download", cwd=ROOT / "tests" / "clients" / "pgx", env={"GOMODCACHE": str(CACHE / "go" / "mod")})


def tlog() -> None:
    """The modules of tests/clients/tlog: what Go itself verifies its checksum database with."""
    if shutil.which("go") is None:
        raise RuntimeError("Go is not installed")
    if any((CACHE / "go" / "mod" / "golang.org" / "x").glob("mod@*")):
        return
    run("go", "mod", "download", cwd=ROOT / "tests" / "clients" / "tlog", env={"GOMODCACHE": str(CACHE / "go" / "mod")})


def pgjdbc() -> None:
    """PostgreSQL's JDBC driver."""
    _, artifact, version = PGJDBC.split(":")
    if (CACHE / "java" / f"{artifact}-{version}.jar").exists():
        return
    if shutil.which("mvn") is None:
        raise RuntimeError("Maven is not installed")
    run("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
        f"-Dartifact={PGJDBC}", f"-DoutputDirectory={CACHE / 'java'}", cwd=CACHE)  # fmt: skip


def kafka() -> None:
    """A Kafka broker's jars, and the archive of its classes that halves its start-up."""
    target = CACHE / "kafka"
    if not target.exists():
        if shutil.which("mvn") is None:
            raise RuntimeError("Maven is not installed")
        print("fetch: Kafka's jars, 44 MB once ...", flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            Path(folder, "pom.xml").write_text(project_of(KAFKA), encoding="utf-8")
            run("mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
                f"-DoutputDirectory={folder}/jars", cwd=Path(folder), minutes=10)  # fmt: skip
            Path(folder, "jars").replace(target)
    if not (target / "classes.jsa").exists() and shutil.which("java") is not None:
        run(sys.executable, "-m", "tests.support.kafka")


def project_of(artifacts: tuple[str, ...]) -> str:
    """A Maven project that depends on the artifacts and is nothing else."""
    names = [
        dict(zip(("groupId", "artifactId", "version"), artifact.split(":"), strict=True)) for artifact in artifacts
    ]
    wanted = ["".join(f"<{key}>{value}</{key}>" for key, value in name.items()) for name in names]
    dependencies = "".join(f"<dependency>{each}</dependency>" for each in wanted)
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>airlock</groupId><artifactId>broker</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def compose() -> None:
    """The compose specification's JSON schema, from its reference implementation."""
    target = CACHE / "compose" / "compose-spec.json"
    if target.exists():
        return
    if shutil.which("go") is None:
        raise RuntimeError("Go is not installed")
    found = json.loads(run("go", "mod", "download", "-json", COMPOSE, cwd=CACHE))
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(Path(found["Dir"], "schema", "compose-spec.json"), target)


def regression() -> None:
    """PostgreSQL's regression statements, which the source package of its parser has for its own tests."""
    target = CACHE / "regression" / "postgres_regress"
    if target.exists():
        return
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        into = Path(folder)
        archive = source_package("pglast", into)
        with tarfile.open(archive) as opened:
            wanted = [member for member in opened.getmembers() if f"/{REGRESSION}/" in member.name and member.isfile()]
            opened.extractall(into, members=wanted, filter="data")
        (unpacked,) = into.glob(f"*/{REGRESSION}")
        unpacked.replace(target)


def source_package(name: str, into: Path) -> Path:
    """The source package of a dependency, of the version and digest that uv.lock names, by whichever pip is there."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    (package,) = [package for package in locked if package["name"] == name]
    failed = "there is no pip"
    for pip in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip"]):
        try:
            run(*pip, "download", "-q", "--no-input", "--disable-pip-version-check", "-d", str(into),
                "--no-deps", "--no-binary", name, f"{name}=={package['version']}")  # fmt: skip
            break
        except RuntimeError as error:
            failed = str(error)
    else:
        raise RuntimeError(failed)
    (archive,) = into.glob("*.tar.gz")
    if f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}" != package["sdist"]["hash"]:
        raise RuntimeError(f"the source package of {name} is not the one that uv.lock names")
    return archive


def main() -> int:
    CACHE.mkdir(exist_ok=True)
    for what in (pgjdbc, kafka, compose, pgx, tlog, regression, opa):
        try:
            what()
        except (RuntimeError, OSError) as error:
            print(f"fetch: no {what.__name__}: {error}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
