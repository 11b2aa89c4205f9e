"""The programs that bench/proxy.py compares: the bundled PostgreSQL with its data, pgbouncer, Airlock."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from airlock.demo.postgres import BundledPostgres, bin_folder, free_port, unprivileged_account
from tests.e2e.support import Running, running

DATABASE = "bench"
PEOPLE = """
CREATE TABLE people AS SELECT i AS id, 'Some Name Here ' || i AS label, 'somebody' || i || '@example.com' AS email,
    timestamp '2024-01-01' + i * interval '1 second' AS made, repeat('x', 30) AS filler, 12.50::numeric AS amount
FROM generate_series(1, {rows}) i
"""
CONFIG = """
[journal]
quota_bytes = 68719476736

[[database]]
name = "bench"
environment = "prod"
upstream = "{dsn}"
[database.tags]
"public.people.email" = ["pii.email"]
"public.pgbench_accounts.filler" = ["pii"]

[[database]]
name = "bench_full"
environment = "prod"
upstream = "{dsn}"
[database.tags]
"public.people.email" = ["!pii.email", "secret"]
"""


@dataclass(frozen=True)
class Place:
    """Where to connect. `pid`: of the process between client and server, 0 where there is none."""

    host: str
    port: int
    database: str
    user: str
    password: str
    pid: int = 0

    @property
    def conninfo(self) -> str:
        return (
            f"host={self.host} port={self.port} dbname={self.database} user={self.user} "
            f"password={self.password} sslmode=disable"
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": "disable",
        }


@contextmanager
def postgres(folder: Path, scale: int, rows: int) -> Iterator[Place]:
    """A server with pgbench's tables at `scale` and `rows` people."""
    server = BundledPostgres(folder / "postgres", settings={"fsync": "off", "max_connections": "120"})
    try:
        parts = urlsplit(server.start())
        place = Place(str(parts.hostname), int(parts.port or 0), DATABASE, str(parts.username), str(parts.password))
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        command = [str(bin_folder(18) / "pgbench"), "-i", "-q", "-s", str(scale), DATABASE]
        subprocess.run(command, env=place.environment, check=True, capture_output=True)
        with psycopg.connect(place.conninfo, autocommit=True) as connection:
            connection.execute(PEOPLE.format(rows=rows).encode())
            connection.execute("VACUUM ANALYZE")
        yield place
    finally:
        server.stop()


def pgbouncer_program() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def pgbouncer(folder: Path, behind: Place) -> Iterator[Place]:
    """pgbouncer in session pooling, which keeps a connection as Airlock does."""
    own = folder / "pgbouncer"
    own.mkdir()
    port = free_port()
    (own / "users.txt").write_text(f'"{behind.user}" "{behind.password}"\n')
    (own / "pgbouncer.ini").write_text(
        f"[databases]\n{behind.database} = host={behind.host} port={behind.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
        f"auth_file = {own / 'users.txt'}\npool_mode = session\nmax_client_conn = 200\ndefault_pool_size = 60\n"
        f"ignore_startup_parameters = extra_float_digits\nlogfile = {own / 'log'}\n"
    )
    account: pwd.struct_passwd | None = unprivileged_account()
    if account is not None:
        for path in (own, *own.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    process = subprocess.Popen(
        [str(pgbouncer_program()), str(own / "pgbouncer.ini")],
        user=account.pw_uid if account else None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_listening(port, process)
        yield Place("127.0.0.1", port, behind.database, behind.user, behind.password, process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("pgbouncer did not start") from None
            time.sleep(0.02)


@contextmanager
def airlock(folder: Path, behind: Place, *, compiled: bool = True) -> Iterator[Running]:
    """`airlock up` with everything on: recording, projection."""
    data_dir = folder / ("airlock" if compiled else "airlock-interpreted")
    config = folder / f"{data_dir.name}.toml"
    dsn = f"postgresql://{behind.user}:{behind.password}@{behind.host}:{behind.port}/{behind.database}"
    config.write_text(CONFIG.format(dsn=dsn))
    extra = {} if compiled else {"AIRLOCK_NO_COMPILED": "1"}
    options = ("--config", str(config), "--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    with running(*options, data_dir=data_dir, extra=extra) as instance:
        yield instance


def through(instance: Running, *, masked: bool, database: str = DATABASE) -> Place:
    """A person who may see everything, or one for whom it is masked."""
    token = instance.token("analyst") if masked else instance.token("reader", groups="pii_readers,secret_readers")
    return Place(instance.host, instance.port, database, "me", token, instance.process.pid)
