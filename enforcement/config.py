"""Settings of the enforcement point for PostgreSQL: where it listens, which databases stand behind it, its limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

# Parameters of libpq's that an upstream connection keeps to, and those that change nothing about what is protected.
# Any other one is refused: a protection that was asked for must not be off in silence.
KEPT = frozenset(
    ["host", "hostaddr", "port", "dbname", "user", "password", "application_name", "options", "channel_binding",
     "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"]
)  # fmt: skip
HARMLESS = frozenset(
    ["connect_timeout", "fallback_application_name", "client_encoding", "keepalives", "keepalives_idle",
     "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslcompression", "sslsni", "sslnegotiation",
     "load_balance_hosts"]
)  # fmt: skip
HARMLESS_VALUES = {"target_session_attrs": ("any",), "gssencmode": ("disable", "prefer")}
DEFAULT_ROOT = Path("~/.postgresql/root.crt")  # libpq's
BINDINGS = ("disable", "prefer", "require")


def check_parameters(known: Mapping[str, str]) -> None:
    """Raise ValueError for a connection string that would not mean here what it means to libpq."""
    for name, value in known.items():
        if name not in KEPT | HARMLESS and value not in HARMLESS_VALUES.get(name, ()):
            raise ValueError(f"{name} of upstream is not supported, and would have no effect: leave it out")
    if any("," in known.get(name, "") for name in ("host", "hostaddr", "port")):
        raise ValueError("upstream names several hosts: give one, e.g. the address that follows the primary")
    if not known.get("port", "5432").isdigit():
        raise ValueError("the port of upstream is no number")
    if known.get("channel_binding", "prefer") not in BINDINGS:
        raise ValueError(f"channel_binding of upstream is unknown: use one of {', '.join(BINDINGS)}")
    if bool(known.get("sslcert")) != bool(known.get("sslkey")):
        raise ValueError("sslcert and sslkey of upstream belong together: give both or none")
    mode, root = known.get("sslmode", "prefer"), known.get("sslrootcert", "")
    if mode in ("verify-ca", "verify-full") and not root and not DEFAULT_ROOT.expanduser().exists():
        raise ValueError(
            f"sslmode={mode} of upstream needs sslrootcert: the file of the authority that signed the server's "
            "certificate, or sslrootcert=system with sslmode=verify-full"
        )
    if root == "system" and mode != "verify-full":
        raise ValueError("sslrootcert=system of upstream needs sslmode=verify-full")


class UpstreamDatabase(BaseModel):
    """One database behind the listener, routed by the client's dbname.

    `upstream` is a libpq connection string or URI with the database's own credentials, which stay here. `catalog_dsn`
    reads the catalog (default: `upstream`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=63)
    upstream: SecretStr
    catalog_dsn: SecretStr | None = None

    @field_validator("upstream")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        try:
            known = conninfo_to_dict(value.get_secret_value())
        except ProgrammingError:
            raise ValueError("upstream is no connection string: give postgresql://USER:PASSWORD@HOST:PORT/DB") from None
        mode = known.get("sslmode", "prefer")
        if mode not in SSLMODES:
            raise ValueError(f"sslmode {mode!r} of upstream is unknown: use one of {', '.join(SSLMODES)}")
        if not known.get("user"):
            raise ValueError("upstream names no user: give postgresql://USER:PASSWORD@HOST:PORT/DB")
        check_parameters({name: str(given) for name, given in known.items() if given is not None})
        return value

    def parts(self) -> dict[str, str]:
        """The connection string's parameters, as text."""
        known = conninfo_to_dict(self.upstream.get_secret_value())
        return {name: str(value) for name, value in known.items() if value is not None}

    def reading_dsn(self) -> str:
        return (self.catalog_dsn or self.upstream).get_secret_value()


class PointSettings(BaseModel):
    """What an enforcement point takes wherever it stands. Times are in seconds, sizes in bytes.

    `plaintext`: clients without TLS are accepted `never`, on `loopback` only (where a token can't be overheard), or
    `always` (behind a proxy that does TLS). `tls_certificate` and `tls_key` (PEM): what clients are shown; without them
    a development certificate is made in the data folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "enforcement-point"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    plaintext: Literal["never", "loopback", "always"] = "loopback"
    worker_id: int = Field(default=0, ge=0, le=255)

    max_connections: int = Field(default=500, ge=1)
    max_message_bytes: int = Field(default=64 * 1024 * 1024, ge=16 * 1024, le=1024 * 1024 * 1024)
    max_queued_bytes: int = Field(default=1024 * 1024, ge=4096)
    max_unsent_reports: int = Field(default=1000, ge=1)
    login_timeout_s: float = Field(default=30.0, gt=0)
    upstream_timeout_s: float = Field(default=15.0, gt=0)
    decision_timeout_s: float = Field(default=15.0, gt=0)
    hold_notice_s: float = Field(default=5.0, gt=0)
    catalog_poll_s: float = Field(default=5.0, gt=0)
    report_grace_s: float = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: give both, or none for a development one")
        return self


class EnforcementSettings(PointSettings):
    """One enforcement point: where it listens, what is behind it, and `data_dir`, where its development certificate
    lies."""

    listen_host: str = "127.0.0.1"
    listen_port: int = Field(default=6432, ge=0, le=65535)
    data_dir: Path
    databases: tuple[UpstreamDatabase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [database.name for database in self.databases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"database {twice[0]!r} is given twice: names must differ")
        return self

    def database(self, name: str) -> UpstreamDatabase | None:
        return next((database for database in self.databases if database.name == name), None)

    def plaintext_allowed(self, peer: str) -> bool:
        """Whether a client at address `peer` may go without TLS."""
        if self.plaintext != "loopback":
            return self.plaintext == "always"
        try:
            return ipaddress.ip_address(peer).is_loopback
        except ValueError:
            return False
