"""Writes docs/reference/{commands,settings,views}.md from the code: `python tools/reference.py [--check]`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "reference"
HEAD = "<!-- Made by `make docs`; change the code instead. -->\n\n"


def _options(command: click.Command) -> Iterator[str]:
    rows = []
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        rows.append(f"| {names} | {' '.join((parameter.help or '').split())} |")
    if rows:
        yield from ("", "| option | |", "|---|---|", *rows)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    text = re.sub(r"(?m)^ {2}(\S.*)$", r"    \1", text)
    yield from ("", f"## `{name}`", "", text, "", f"    {usage}")
    yield from _options(command)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _command(f"{name} {child}", found)


def commands() -> str:
    from airlock.main import COMMANDS, cli

    lines = ["# Commands", "", "Exit status: 0 done, 1 refused or failed, 2 used wrongly."]
    context = click.Context(cli, info_name="airlock")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        lines += _command(f"airlock {name}", command)
    return HEAD + "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is dict:
        return "not set"
    value = field.get_default(call_default_factory=False)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "not set" if value in (None, "", ()) else f"`{getattr(value, 'value', value)}`".replace(str(ROOT), ".")


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    text = re.sub(r"\b(?:[a-z_]+\.)+", "", text).replace("NoneType", "None").replace(" | None", "")
    return text.replace("|", "or")


def _table(title: str, model: type[BaseModel], about: str = "") -> list[str]:
    docs = [about or inspect.cleandoc(model.__doc__ or "")]
    lines = ["", f"## {title}", "", *docs, "", "| key | kind | default |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            lines.append(f"| `{name}` | {_type(field)} | {_default(field)} |")
    return lines


def settings() -> str:
    from airlock.settings import DatabaseSettings, IdentityTable, PolicySettings, ProxySettings, Settings
    from console.settings import ConsoleSettings
    from decision.config import ServiceSettings
    from decision.identity.settings import ClaimNames, IssuerSettings, KindRule
    from decision.journal.settings import JournalSettings
    from decision.server_settings import ServerSettings, TokenEntry

    lines = [
        "# Settings",
        "",
        "One `airlock.toml`; a variable `AIRLOCK_<SECTION>__<KEY>` overrides a key (`AIRLOCK_GRPC__PORT=7443`), the",
        "command line overrides both. Unknown keys and variables are refused; `airlock config check` says what is",
        "wrong.",
    ]
    lines += _table("Top level", Settings, "`data_dir` holds journal, keys, audit store and certificates of this node.")
    for title, model in (
        ("`[[database]]`", DatabaseSettings),
        ("`[decision]`", ServiceSettings),
        ("`[journal]`", JournalSettings),
        ("`[policy]`", PolicySettings),
        ("`[identity]`", IdentityTable),
        ("`[[identity.issuers]]`", IssuerSettings),
        ("`[identity.issuers.claims]`", ClaimNames),
        ("`[[identity.issuers.claims.kind_rules]]`", KindRule),
        ("`[grpc]`", ServerSettings),
        ("`[[grpc.tokens]]`", TokenEntry),
        ("`[proxy]`", ProxySettings),
        ("`[console]`", ConsoleSettings),
    ):
        lines += _table(title, model)
    return HEAD + "\n".join(lines) + "\n"


def views() -> str:
    from analytics.ddl import views as relations

    lines = ["# Views", "", "What `airlock query` can ask. `airlock query --list` and `--describe VIEW` say the same."]
    for name, view in relations().items():
        lines += ["", f"## `{name}`", "", view.comment, "", "| column | holds |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.comment} |" for column in view.columns]
    return HEAD + "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "settings.md": settings, "views.md": views}


def stale() -> list[str]:
    """Names of the pages that differ from what the code says."""
    return [
        name for name, render in PAGES.items()
        if not (OUTPUT / name).exists() or (OUTPUT / name).read_text() != render()
    ]  # fmt: skip


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        for name in (found := stale()):
            print(f"docs/reference/{name} is not current: run make docs", file=sys.stderr)
        return 1 if found else 0
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name, render in PAGES.items():
        (OUTPUT / name).write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
