"""Settings of an enforcement point's way to a decision service."""

from __future__ import annotations

from pathlib import Path

import grpc
from pydantic import BaseModel, ConfigDict, Field

from decision.endpoint import is_loopback, read_file, read_token
from decision.model.errors import SettingsError


class ClientSettings(BaseModel):
    """`target` is `host:port`. TLS with `ca_file` (or `tls = true` for the system's authorities), a client
    certificate with `certificate_file` and `key_file`; `server_name` where the certificate names another host. A bearer
    token from `token_file` or `token_env`. Beyond loopback TLS is demanded.

    `timeout_s` bounds every call; one that has no answer by then is a denial. `max_in_flight`: decisions waiting at
    once, one more is refused. `backoff_min_s`, `backoff_max_s`: after a lost stream, decisions are refused at once for
    that long before the next attempt (doubling).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(min_length=3)
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    token_file: Path | None = None
    token_env: str = ""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    sync_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    max_message_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024)
    max_items: int = Field(default=64, ge=1, le=256)
    max_in_flight: int = Field(default=4096, ge=1)
    backoff_min_s: float = Field(default=0.05, gt=0)
    backoff_max_s: float = Field(default=2.0, gt=0)

    @property
    def secure(self) -> bool:
        return self.tls or self.ca_file is not None

    def check(self) -> None:
        """Raise SettingsError for what must not be connected to. Names the remedy."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise SettingsError("decision.certificate_file and key_file belong together", hint="set both or neither")
        if self.certificate_file is not None and not self.secure:
            raise SettingsError("decision.certificate_file needs TLS", hint="set decision.ca_file")
        host = self.target.rsplit(":", 1)[0]
        if not self.secure and not is_loopback(host):
            raise SettingsError(
                f"statements and credentials don't go to {host} without TLS", hint="set decision.ca_file or tls = true"
            )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. Raises SettingsError where the token can't be read."""
        if self.token_file is None and not self.token_env:
            return ()
        return (("authorization", "Bearer " + read_token(self.token_file, self.token_env, "decision.token")),)

    def credentials(self) -> grpc.ChannelCredentials | None:
        if not self.secure:
            return None
        authority = None if self.ca_file is None else read_file(self.ca_file, "decision.ca_file")
        key = None if self.key_file is None else read_file(self.key_file, "decision.key_file")
        certificate = None
        if self.certificate_file is not None:
            certificate = read_file(self.certificate_file, "decision.certificate_file")
        return grpc.ssl_channel_credentials(authority, key, certificate)

    def options(self) -> list[tuple[str, int | str]]:
        found: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", int(self.backoff_max_s * 1000)),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if not self.secure:
            found.append(("grpc.enable_http_proxy", 0))  # loopback stays on this machine, whatever http_proxy says
        if self.server_name:
            found.append(("grpc.ssl_target_name_override", self.server_name))
        return found
