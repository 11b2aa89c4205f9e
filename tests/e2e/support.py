"""A running Airlock for end-to-end tests: the real program, its own data folder, the demo database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from airlock.demo.postgres import bin_folder
from tests.support.eventually import eventually as until

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
AIRLOCK = [sys.executable, "-m", "airlock.main"]


def eventually(probe: Callable[[], T], *, deadline_s: float = 20.0, what: str = "") -> T:
    """tests.support.eventually with the patience that whole programs need."""
    return until(probe, deadline_s, every_s=0.05, what=what)


def world_reachable_folder() -> Path:
    """A new folder that PostgreSQL's unprivileged account can reach when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-e2e-"))
    folder.chmod(0o755)
    return folder


@dataclass
class Running:
    """A started program and where it listens."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    runtime: dict[str, Any]
    log: Path
    behind: str = ""  # a superuser's DSN of the server behind it, where that is not the demo's

    @property
    def host(self) -> str:
        return str(self.runtime["proxy"]["host"])

    @property
    def port(self) -> int:
        return int(self.runtime["proxy"]["port"])

    def token(self, subject: str, kind: str = "human", *, groups: str = "", on_behalf_of: str = "") -> str:
        command = ["token", "--data-dir", str(self.data_dir), "--subject", subject, "--kind", kind]
        if groups:
            command += ["--groups", groups]
        if on_behalf_of:
            command += ["--on-behalf-of", on_behalf_of]
        return self.airlock(*command).stdout.strip()

    def airlock(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line against this instance."""
        done = subprocess.run(
            [*AIRLOCK, *arguments], env=environment(self.data_dir), cwd=ROOT, input=stdin,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"airlock {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def query(self, sql: str) -> list[dict[str, Any]]:
        done = self.airlock("query", "--data-dir", str(self.data_dir), "--format", "json", sql)
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def psql(
        self, token: str, *arguments: str, database: str = "shop", stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """psql through Airlock, as people call it."""
        conninfo = f"host={self.host} port={self.port} dbname={database} user=me sslmode=prefer"
        return subprocess.run(
            [str(bin_folder(18) / "psql"), "-X", "-v", "VERBOSITY=verbose", conninfo, *arguments],
            env={**os.environ, "PGPASSWORD": token, "PAGER": "cat"}, input=stdin,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def conninfo(self, token: str, database: str = "shop") -> str:
        return f"host={self.host} port={self.port} dbname={database} user=me password={token} sslmode=require"

    def demo_dsn(self, database: str = "shop") -> str:
        """The server behind Airlock, past it, as its superuser."""
        if self.behind:
            return psycopg.conninfo.make_conninfo(self.behind, dbname=database)
        folder = self.data_dir / "demo" / "postgres"
        port = (folder / "pgdata" / "postmaster.pid").read_text().splitlines()[3]
        password = (folder / "superuser-password").read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}"

    def stop(self, sig: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"did not stop: {self.log.read_text()[-3000:]}") from None


def environment(data_dir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRLOCK_")}
    return {**kept, "AIRLOCK_DATA_DIR": str(data_dir), "NO_COLOR": "1", **(extra or {})}


@contextmanager
def running(
    *arguments: str,
    data_dir: Path,
    command: str = "up",
    extra: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """`airlock up`, or another long-running command, until the block ends. Fails with the log if it does not start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o755)
    log = data_dir.parent / f"{data_dir.name}-{command}.log"
    runtime_file = data_dir / ("runtime.json" if command in ("up", "serve") else f"runtime-{command}.json")
    runtime_file.unlink(missing_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*AIRLOCK, command, "--data-dir", str(data_dir), *arguments],
            env=environment(data_dir, extra), cwd=ROOT, stdout=out, stderr=out,
        )  # fmt: skip

    def up() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"airlock {command} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        return runtime_file.exists()

    instance: Running | None = None
    try:
        try:
            eventually(up, deadline_s=60, what=f"airlock {command}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()[-4000:]}") from None
        instance = Running(process, data_dir, json.loads(runtime_file.read_text()), log)
        yield instance
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
