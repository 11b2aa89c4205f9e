"""Settings of the console."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from decision.endpoint import is_loopback, server_tls
from decision.model.errors import SettingsError


class ConsoleSettings(BaseModel):
    """`listen`: HOST:PORT. Beyond loopback `certificate_file` and `key_file` are demanded; `hosts` are the names by
    which browsers may call it beside the address it listens on (anything else is refused: DNS rebinding).

    `groups`: whoever is in one of them sees everything that everybody did; others see their own approvals only.
    `session_s`: how long a sign-in lasts at most, `max_sessions` how many there are at once.
    `decision_service` (HOST:PORT), `token_file`, `ca_file`: the decision service, when it runs elsewhere; default: the
    one that runs on the same data folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:6480"
    hosts: tuple[str, ...] = ()
    certificate_file: Path | None = None
    key_file: Path | None = None
    groups: tuple[str, ...] = Field(default=("auditors", "dba", "security"), min_length=1)
    session_s: int = Field(default=8 * 3600, ge=60, le=24 * 3600)
    max_sessions: int = Field(default=500, ge=1, le=100_000)
    decision_service: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None

    @field_validator("groups")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value):
            raise ValueError("a group may not be empty")
        return value

    def check(self, host: str) -> None:
        """Raise SettingsError where `host` may not be listened on like this."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise SettingsError("console.certificate_file and key_file belong together", hint="set both or neither")
        if not is_loopback(host) and self.certificate_file is None:
            raise SettingsError(
                f"the console does not listen on {host} without TLS",
                hint="set console.certificate_file and key_file, or listen on 127.0.0.1",
            )

    def tls(self) -> ssl.SSLContext | None:
        """Raises SettingsError for files that can't be used."""
        return server_tls(self.certificate_file, self.key_file, "console")
