"""Settings of the numbers that a process shows to Prometheus."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from decision.endpoint import is_loopback, read_token, server_tls
from decision.model.errors import SettingsError

OFF, NODE = "off", "node"


class MetricsSettings(BaseModel):
    """`listen`: HOST:PORT where Prometheus reads `/metrics`, port 0 for a free one, or `off`. Each long-running command
    has an address of its own: `--metrics` overrides this one.

    `token_file`: a bearer token that readers must show; demanded beyond loopback. `certificate_file` and `key_file`:
    TLS. Numbers name databases, topics and rules, but neither principals nor statements.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = OFF
    token_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def check(self, host: str) -> None:
        """Raise SettingsError where `host` may not be listened on like this."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise SettingsError("metrics.certificate_file and key_file belong together", hint="set both or neither")
        if not is_loopback(host) and self.token_file is None:
            raise SettingsError(
                f"metrics are not shown on {host} without a token",
                hint="set metrics.token_file (openssl rand -hex 32), or listen on 127.0.0.1",
            )

    def token(self) -> str:
        """The token that readers must show, empty for none. Raises SettingsError for a file that can't be used."""
        return "" if self.token_file is None else read_token(self.token_file, "", "metrics.token_file")

    def tls(self) -> ssl.SSLContext | None:
        """Raises SettingsError for files that can't be used."""
        return server_tls(self.certificate_file, self.key_file, "metrics")
