"""A PostgreSQL as distributions package it: with TLS, which the bundled one lacks, and often of another version."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from airlock.demo.postgres import QUIET, BundledPostgres, unprivileged_account
from enforcement.postgres.upstream import SSL_REQUEST
from tests.support.certificates import Authority, Pair
from tests.support.eventually import eventually

PLACES = ("/usr/lib/postgresql", "/usr/pgsql-*", "/opt/homebrew/opt", "/usr/local/opt")
HBA = """
hostssl all certified 127.0.0.1/32 cert
host    all all       127.0.0.1/32 scram-sha-256
"""


def installation() -> Path | None:
    """Where the newest server of this machine's packages is; None where there is none."""
    found = [
        path.parent.parent
        for place in PLACES
        for pattern in ("*/bin/postgres", "bin/postgres")
        for path in Path("/").glob(f"{place[1:]}/{pattern}")
    ]
    return max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)], default=None)


class TlsPostgres(BundledPostgres):
    """A server whose certificate can be exchanged while it runs. `authority` signed what it shows at first."""

    def begin(self, authority: Authority) -> None:
        """Start, and switch TLS on. Role `certified` signs in by a certificate of `authority`, others by password."""
        self.start()
        self._put("pg_hba.conf", HBA.encode())
        self._put("clients.crt", authority.certificate.read_bytes())
        self.show(authority.pair("server", "localhost"))

    def show(self, pair: Pair | None) -> None:
        """Serve `pair` from now on; None: no TLS at all. Returns once a new connection sees it."""
        if pair is not None:
            self._put("server.crt", pair.certificate.read_bytes())
            self._put("server.key", pair.key.read_bytes())
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'")
            connection.execute(f"ALTER SYSTEM SET ssl = {'off' if pair is None else 'on'}".encode())
            connection.execute("SELECT pg_reload_conf()")
        wanted = "" if pair is None else pair.certificate.read_text().strip()
        eventually(lambda: self.shown() == wanted, what="the server's new certificate")

    def shown(self) -> str:
        """The certificate that a new connection is shown, as PEM; empty without TLS."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                return ""
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(plain) as secured:
                return ssl.DER_cert_to_PEM_cert(secured.getpeercert(True) or b"").strip()

    def _put(self, name: str, content: bytes) -> None:
        target, account = self.data_dir / "pgdata" / name, unprivileged_account()
        target.write_bytes(content)
        target.chmod(0o600)
        if account:
            os.chown(target, account.pw_uid, account.pw_gid)


@contextmanager
def tls_postgres(installed: Path, authority: Authority) -> Iterator[TlsPostgres]:
    """A server of its own with the certificates of `authority`, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-tls-"))
    folder.chmod(0o755)  # the server's account must get in when the tests run as root
    settings = {**QUIET, "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = TlsPostgres(folder / "postgres", installation=installed, settings=settings)
    try:
        server.begin(authority)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
