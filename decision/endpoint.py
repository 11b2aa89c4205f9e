"""What everything that listens or connects asks of its settings: what is loopback; files, tokens and certificates
read."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from decision.model.errors import SettingsError

MIN_TOKEN_CHARACTERS = 32


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. The wildcard addresses are not loopback."""
    return host in ("localhost", "::1", "[::1]") or (
        host.startswith("127.") and host.count(".") == 3 and host.replace(".", "").isdigit()
    )


def read_file(path: Path, key: str) -> bytes:
    """The file's bytes. Raises SettingsError naming the setting."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{key}: {path} can't be read ({error.strerror})", hint="check path and rights") from error


def read_token(path: Path | None, variable: str, key: str) -> str:
    """A bearer token from exactly one of a file and a variable. Raises SettingsError; never quotes the token."""
    if (path is None) == (not variable):
        raise SettingsError(f"{key}: a token comes from a file or a variable", hint="set one of token_file, token_env")
    token = os.environ.get(variable, "") if path is None else read_file(path, key).decode("ascii", "replace")
    token = token.strip()
    if len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            f"{key}: the token is missing or shorter than {MIN_TOKEN_CHARACTERS} characters",
            hint="make one with: openssl rand -hex 32",
        )
    return token


def server_tls(certificate: Path | None, key: Path | None, section: str) -> ssl.SSLContext | None:
    """The TLS of an HTTP server with a PEM certificate and its key; None without one. Raises SettingsError naming
    `certificate_file` of `section`."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"{section}.certificate_file: {certificate} and its key can't be used ({error.strerror})",
            hint="give a PEM certificate and the key that belongs to it",
        ) from error
    return context
