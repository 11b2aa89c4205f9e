"""The vault of statement texts in a data folder, as the settings want it."""

from __future__ import annotations

import os
from pathlib import Path

from airlock.settings import Settings
from decision.keys import load_key, load_or_make_key
from decision.text_settings import TextSettings
from decision.texts import EncryptedTexts, FullTexts, RedactedTexts, Texts
from decision.vault import Vault
from decision.vault_wrapping import CommandWrapping, FileWrappings, OneWrapping, Wrappings


def vault_file(data_dir: Path) -> Path:
    return data_dir / "keys" / "vault.db"


def wrapping_key_file(settings: Settings) -> Path:
    """Where the wrapping key is; made on first use where the settings name no file. Raises SettingsError."""
    if settings.texts.key_file is not None:
        load_key(settings.texts.key_file, "texts.key_file")
        return settings.texts.key_file
    load_or_make_key(_folder(settings.data_dir) / "vault.key")
    return settings.data_dir / "keys" / "vault.key"


def _folder(data_dir: Path) -> Path:
    folder = data_dir / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def wrappings_of(settings: Settings) -> Wrappings:
    """What wraps the data keys. Raises SettingsError or VaultUnavailable for a key file that holds none."""
    command = settings.texts.wrap_command
    if command:
        return OneWrapping(CommandWrapping(Path(command[0]).name, command, settings.texts.unwrap_command))
    return FileWrappings(wrapping_key_file(settings))


def open_vault(settings: Settings) -> Vault | None:
    """The vault, where texts are kept encrypted now or were before; else None. Raises VaultUnavailable."""
    file = vault_file(settings.data_dir)
    if settings.texts.statement_text != "encrypted" and not file.exists():
        return None
    _folder(settings.data_dir)
    return Vault(file, wrappings_of(settings), os.urandom)


def texts_of(settings: TextSettings, vault: Vault | None) -> Texts:
    """How the judge keeps the texts of statements."""
    if settings.statement_text == "encrypted":
        assert vault is not None
        return EncryptedTexts(vault)
    return FullTexts() if settings.statement_text == "full" else RedactedTexts()
