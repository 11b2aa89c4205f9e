"""What `airlock config check` looks at beyond the settings' form: files, tokens, certificates, databases, tags."""

from __future__ import annotations

import asyncio
import difflib
import os
import ssl
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from airlock.commands.common import why_unreachable
from airlock.metrics_settings import NODE, OFF
from airlock.settings import DatabaseSettings, Settings, split_address
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AirlockError, SettingsError
from decision.policy.bundle import load_bundle
from decision.tags import parse_name
from enforcement.catalog import read_catalog
from enforcement.config import UpstreamDatabase

PATIENCE_S = 5


def mistakes(settings: Settings) -> Iterator[SettingsError]:
    """Everything that would fail later, found without a connection to anything."""
    yield from _of(lambda: split_address(settings.proxy.listen, "proxy.listen"))
    yield from _of(lambda: settings.console.check(split_address(settings.console.listen, "console.listen")[0]))
    yield from _of(settings.grpc.check)
    yield from _of(lambda: _metrics(settings))
    yield from _of(lambda: load_bundle(settings.policy.bundle))
    for entry in settings.grpc.tokens:
        yield from _of(entry.read)
    for key, path, secret in files(settings):
        yield from file_mistakes(key, path, secret=secret)
    for key, certificate, private in pairs(settings):
        yield from pair_mistakes(key, certificate, private)
    for database in settings.database:
        yield from _upstream(database)


def _metrics(settings: Settings) -> None:
    own = settings.metrics
    if own.listen not in (OFF, NODE):
        own.check(split_address(own.listen, "metrics.listen")[0])
    own.token()


def _of(work: Callable[[], object]) -> Iterator[SettingsError]:
    """What `work` raises."""
    try:
        work()
    except AirlockError as error:
        yield SettingsError(error.message, hint=error.hint)


def files(settings: Settings) -> Iterator[tuple[str, Path | None, bool]]:
    """(key, file, whether it holds a secret) of every file that the settings name."""
    grpc, proxy, console = settings.grpc, settings.proxy, settings.console
    for number, token in enumerate(grpc.tokens):
        yield f"grpc.tokens.{number}.token_file", token.token_file, True
    yield "grpc.certificate_file", grpc.certificate_file, False
    yield "grpc.key_file", grpc.key_file, True
    yield "grpc.client_ca_file", grpc.client_ca_file, False
    yield "proxy.token_file", proxy.token_file, True
    yield "proxy.ca_file", proxy.ca_file, False
    yield "proxy.certificate_file", proxy.certificate_file, False
    yield "proxy.key_file", proxy.key_file, True
    yield "proxy.tls_certificate", proxy.tls_certificate, False
    yield "proxy.tls_key", proxy.tls_key, True
    yield "console.certificate_file", console.certificate_file, False
    yield "console.key_file", console.key_file, True
    yield "console.token_file", console.token_file, True
    yield "console.ca_file", console.ca_file, False
    yield "decision.digest_key_file", settings.decision.digest_key_file, True
    yield "texts.key_file", settings.texts.key_file, True
    yield "metrics.token_file", settings.metrics.token_file, True
    yield "metrics.certificate_file", settings.metrics.certificate_file, False
    yield "metrics.key_file", settings.metrics.key_file, True
    kafka = settings.kafka
    yield "kafka.ca_file", kafka.ca_file, False
    yield "kafka.certificate_file", kafka.certificate_file, False
    yield "kafka.key_file", kafka.key_file, True
    yield "kafka.password_file", kafka.password_file, True
    yield "kafka.token_file", kafka.token_file, True
    for number, issuer in enumerate(settings.identity.issuers):
        yield f"identity.issuers.{number}.jwks_file", issuer.jwks_file, False
    for database in settings.database:
        yield f"database {database.name!r}: upstream_file", database.upstream_file, True


def pairs(settings: Settings) -> Iterator[tuple[str, Path | None, Path | None]]:
    """(table, certificate, key) of everything that is shown to others."""
    yield "grpc", settings.grpc.certificate_file, settings.grpc.key_file
    yield "proxy", settings.proxy.certificate_file, settings.proxy.key_file
    yield "proxy.tls", settings.proxy.tls_certificate, settings.proxy.tls_key
    yield "console", settings.console.certificate_file, settings.console.key_file
    yield "metrics", settings.metrics.certificate_file, settings.metrics.key_file
    yield "kafka", settings.kafka.certificate_file, settings.kafka.key_file


def file_mistakes(key: str, path: Path | None, *, secret: bool) -> Iterator[SettingsError]:
    """A file that is not there, can't be read, or shows a secret to everybody on this machine."""
    if path is None:
        return
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        yield SettingsError(f"{key}: {path} can't be read ({error.strerror})", hint="check path and rights")
        return
    if secret and stat.S_IMODE(mode) & 0o007:
        yield SettingsError(f"{key}: {path} holds a secret and can be read by everybody", hint=f"chmod o= {path}")


def pair_mistakes(key: str, certificate: Path | None, private: Path | None) -> Iterator[SettingsError]:
    """A certificate and a key that don't belong together, or are no PEM. Missing files are said by `file_mistakes`."""
    if certificate is None or private is None or not (certificate.exists() and private.exists()):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private)
    except (OSError, ssl.SSLError) as error:
        yield SettingsError(
            f"{key}: {certificate} and {private} can't be used together ({getattr(error, 'reason', '') or error})",
            hint="give a PEM certificate chain and its own key",
        )


def _upstream(database: DatabaseSettings) -> Iterator[SettingsError]:
    """What is wrong with where the database is, as far as that can be told from here."""
    if database.upstream_file is not None and database.upstream is None and not database.upstream_file.exists():
        return  # said by `file_mistakes`
    try:
        parts = database.upstream_database().parts()
    except SettingsError as error:
        yield error
        return
    for key in ("sslrootcert", "sslcert", "sslkey"):
        if parts.get(key) and parts[key] != "system":
            yield from file_mistakes(f"database {database.name!r}: {key}", Path(parts[key]), secret=key == "sslkey")


def unreached(database: DatabaseSettings) -> Iterator[SettingsError]:
    """What a connection to the database shows: that there is none, or tags on what does not exist in it."""
    upstream: UpstreamDatabase = database.upstream_database()
    dsn = upstream.reading_dsn()
    try:
        snapshot = asyncio.run(_read(dsn, database.name))
    except (psycopg.Error, TimeoutError) as error:
        why = why_unreachable(error, dsn) if isinstance(error, psycopg.Error) else "no answer in time"
        yield SettingsError(f"database {database.name!r} can't be reached: {why}", hint="check its upstream entry")
        return
    yield from untagged(database, snapshot)


async def _read(dsn: str, name: str) -> CatalogSnapshot:
    async with asyncio.timeout(PATIENCE_S * 6):
        return await read_catalog(psycopg.conninfo.make_conninfo(dsn, connect_timeout=PATIENCE_S), name)


def untagged(database: DatabaseSettings, snapshot: CatalogSnapshot) -> Iterator[SettingsError]:
    """Tags whose table or column the catalog does not hold: they protect nothing."""
    known: dict[str, tuple[str, ...]] = {}
    for relation in snapshot.relations:
        table = relation.schema, relation.name
        known[".".join(table)] = table
        for column in relation.columns:
            known[".".join((*table, column.name))] = (*table, column.name)
    names = set(known.values())
    for key in database.tags:
        wanted = parse_name(key)
        if wanted not in names:
            kind = "table" if len(wanted) == 2 else "column"
            alike = [text for text, name in known.items() if len(name) == len(wanted) and name[0] == wanted[0]]
            near = difflib.get_close_matches(".".join(wanted), alike, n=1)
            yield SettingsError(
                f"database {database.name!r}: tags name the {kind} {key}, which does not exist",
                hint=f"did you mean {near[0]}?" if near else "airlock catalog dump shows what there is",
            )
