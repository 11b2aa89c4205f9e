"""`airlock config`: check and show the settings."""

from __future__ import annotations

import json
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr

from airlock.commands.common import config_option
from airlock.settings import DEFAULT_FILE, Settings, load_settings


@click.group("config")
def config() -> None:
    """Check and show the settings: airlock.toml, overridden by AIRLOCK_* variables."""


@config.command("check")
@config_option
@click.option("--connect", is_flag=True, help="Also connect to each database, and look whether what is tagged exists.")
@click.pass_context
def check(context: click.Context, config: Path | None, connect: bool) -> None:
    """Say what is wrong with the settings, with file, key and remedy; exit status 1 if something is.

    The files that they name are looked at too: whether they can be read, and whether secrets can be read by everybody.
    """
    from airlock.checks import mistakes, unreached
    from airlock.main import complain

    settings = load_settings(config)
    source = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    found = list(mistakes(settings))
    if connect and not found:
        found = [error for database in settings.database for error in unreached(database)]
    for error in found:
        complain(f"{source or 'settings'}: {error.message}", error.hint)
    if found:
        context.exit(1)
    names = ", ".join(f"{one.name} ({one.environment.value})" for one in settings.database) or "none: airlock up demo"
    tried = " (not connected to; --connect does that)" if settings.database and not connect else ""
    click.echo(f"{source or 'defaults (no airlock.toml here)'}: good; databases: {names}{tried}")


@config.command("show")
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "json"]),
    default="toml",
    show_default=True,
    help="TOML can be used as a settings file, but for the secrets.",
)
def show(config: Path | None, form: str) -> None:
    """Print every key with the value in force. Secrets are never shown."""
    shown = plain(load_settings(config))
    assert isinstance(shown, dict)
    if form == "json":
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo("\n".join(toml(shown)))


def plain(value: object) -> object:
    """Settings as JSON has it: models as objects, paths as text, secrets as stars."""
    if isinstance(value, Settings | BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, SecretStr):
        return "**********"
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)


def toml(table: dict[str, object], prefix: str = "") -> list[str]:
    """TOML lines; a key that is not set stands there as a comment."""
    lines: list[str] = []
    tables: list[tuple[str, object]] = []
    for key, value in table.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            tables.append((key, value))
        elif value is None:
            lines.append(f"# {key} =")
        else:
            lines.append(f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}")
    for key, value in tables:
        path = f"{prefix}{_key(key)}"
        if isinstance(value, dict):
            lines += ["", f"[{path}]", *toml(value, f"{path}.")]
        else:
            assert isinstance(value, list)
            for item in value:
                lines += ["", f"[[{path}]]", *toml(item, f"{path}.")]
    return lines


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)
