"""Where the toolchains and the things that they fetched are. None where missing; `tools/fetch.py` fetches."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
FETCH = "run `make fetch`"


def opa() -> Path | None:
    """The OPA binary: AIRLOCK_OPA, the project's cache, or the PATH."""
    named = os.environ.get("AIRLOCK_OPA", "")
    if named:
        return Path(named) if Path(named).is_file() else None
    cached = CACHE / "bin" / "opa"
    if cached.is_file():
        return cached
    found = shutil.which("opa")
    return Path(found) if found else None


def program(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def pgjdbc() -> Path | None:
    """PostgreSQL's JDBC driver, fetched from Maven Central."""
    jars = sorted((CACHE / "java").glob("postgresql-*.jar"))
    return jars[-1] if jars else None


def compose_schema() -> Path | None:
    """The compose specification's JSON schema, from the Go module of its reference implementation."""
    schema = CACHE / "compose" / "compose-spec.json"
    return schema if schema.is_file() else None


def kafka() -> Path | None:
    """The folder with a Kafka broker's jars, fetched from Maven Central."""
    folder = CACHE / "kafka"
    return folder if any(folder.glob("kafka_2.13-*.jar")) else None


def regression_sql() -> Path | None:
    """The folder with PostgreSQL's regression statements, from the source package of its parser."""
    folder = CACHE / "regression" / "postgres_regress"
    return folder if (folder / "test_setup.sql").is_file() else None
