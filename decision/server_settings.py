"""Settings of the gRPC shell, and what it refuses to start with."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from decision.endpoint import is_loopback, read_token
from decision.model.errors import SettingsError


class TokenEntry(BaseModel):
    """The bearer token of one enforcement point, from a file or an environment variable; never in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=128)
    token_file: Path | None = None
    token_env: str = ""

    def read(self) -> str:
        """Raises SettingsError where there is no token or one too short to be random."""
        return read_token(self.token_file, self.token_env, f"grpc.tokens ({self.name})")


class ServerSettings(BaseModel):
    """Where the decision service listens and whom it hears.

    TLS: `certificate_file` and `key_file` (PEM). mTLS: `client_ca_file`; every caller must then show a certificate of
    that authority, and one of `client_names` if there are any (subject alternative name, else common name). Bearer
    tokens: `tokens`. Beyond loopback TLS and one of the two are demanded; with both set, callers show both.

    `databases`: for each caller's name the databases that it stands in front of, for which it may open sessions and
    tell the catalog. Empty: any caller may for any database; else a caller that is not named may for none.

    Bounds: `max_message_bytes` each way; `max_items` in a message; `max_in_flight` decisions at once, one more is
    refused; `max_stream_in_flight` of one stream, which then is not read further; `max_calls` at once over all methods.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    client_names: tuple[str, ...] = ()
    tokens: tuple[TokenEntry, ...] = ()
    databases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    reflection: bool = True
    max_message_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024)
    max_items: int = Field(default=256, ge=1, le=4096)
    max_in_flight: int = Field(default=4096, ge=1)
    max_stream_in_flight: int = Field(default=1024, ge=1)
    max_calls: int = Field(default=1024, ge=1)
    default_timeout_s: float = Field(default=10.0, gt=0, le=600)
    grace_s: float = Field(default=5.0, ge=0, le=600)

    @property
    def tls(self) -> bool:
        return self.certificate_file is not None

    @property
    def authenticates(self) -> bool:
        return self.client_ca_file is not None or bool(self.tokens)

    def check(self) -> None:
        """Raise SettingsError for what must not listen. Names the remedy."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise SettingsError("grpc.certificate_file and grpc.key_file belong together", hint="set both or neither")
        if self.client_ca_file is not None and not self.tls:
            raise SettingsError(
                "grpc.client_ca_file asks callers for certificates, which needs TLS",
                hint="set grpc.certificate_file and grpc.key_file",
            )
        if self.client_names and self.client_ca_file is None:
            raise SettingsError("grpc.client_names needs grpc.client_ca_file", hint="set the authority of the callers")
        if self.databases and not self.authenticates:
            raise SettingsError(
                "grpc.databases names callers, who have no name without authentication",
                hint="set grpc.tokens or grpc.client_ca_file",
            )
        known = {entry.name for entry in self.tokens} | set(self.client_names)
        unknown = sorted(set(self.databases) - known)
        if unknown and (self.client_ca_file is None or self.client_names):
            raise SettingsError(
                f"grpc.databases names {unknown[0]!r}, whom nobody can be",
                hint=f"callers are: {', '.join(sorted(known))}",
            )
        if not is_loopback(self.host) and not (self.tls and self.authenticates):
            raise SettingsError(
                f"the decision service does not listen on {self.host} without TLS and authentication",
                hint="set grpc.certificate_file, grpc.key_file and grpc.client_ca_file or grpc.tokens, "
                "or listen on 127.0.0.1",
            )
