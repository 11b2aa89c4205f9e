"""Writes docs/reference/{commands,settings,views,metrics}.md from the code: `python tools/reference.py [--check]`."""

from __future__ import annotations

import ast
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
    listed: list[tuple[str, type[BaseModel]]] = [
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
    ]
    known = {model for _, model in listed}
    for name, field in Settings.model_fields.items():  # the tables that are not named here
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel) and model not in known:
            listed.append((f"`[{name}]`", model))
    for title, model in listed:
        lines += _table(title, model)
    return HEAD + "\n".join(lines) + "\n"


def views() -> str:
    from analytics.ddl import views as relations

    lines = ["# Views", "", "What `airlock query` can ask. `airlock query --list` and `--describe VIEW` say the same."]
    for name, view in relations().items():
        lines += ["", f"## `{name}`", "", view.comment, "", "| column | holds |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.comment} |" for column in view.columns]
    return HEAD + "\n".join(lines) + "\n"


MEASURED = ("decision", "enforcement", "ingest", "analytics", "airlock")
KINDS = {"counter": "counter", "gauge": "gauge", "sample": "histogram", "samples": "counter", "Level": "gauge"}


def metric_names() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """(kind, help, labels) of every number that the sources name, by its name as Prometheus shows it."""
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for path in sorted(path for package in MEASURED for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for name, text in _tabled(tree):
            found[f"airlock_{name}_total"] = ("counter", text, ())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (one := _metric(node)) is not None:
                name, kind, text, labels = one
                known = found.get(name)
                found[name] = (kind, text, tuple(dict.fromkeys((*(known[2] if known else ()), *labels))))
    return found


def _tabled(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name, help) of counters that a module lists in a table of pairs, and makes samples of in a loop."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Sample"]
    first = next((call.args[0] for call in calls if isinstance(call.args[0], ast.Name | ast.JoinedStr)), None)
    if first is None:
        return
    begin = first.values[0] if isinstance(first, ast.JoinedStr) else None
    prefix = str(begin.value) if isinstance(begin, ast.Constant) else ""
    for node in tree.body:
        rows = node.value.elts if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) else []
        for row in rows:
            if isinstance(row, ast.Tuple) and len(row.elts) == 2 and all(isinstance(x, ast.Constant) for x in row.elts):
                name, text = (str(x.value) for x in row.elts if isinstance(x, ast.Constant))
                yield prefix + name, text


def _metric(call: ast.Call) -> tuple[str, str, str, tuple[str, ...]] | None:
    function = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    texts = [item.value for item in call.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    labels = tuple(keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg not in ("labels", "buckets"))
    if function == "Sample" and len(call.args) >= 3 and isinstance(call.args[1], ast.Attribute | ast.Name):
        given = call.args[1]
        kind = (given.attr if isinstance(given, ast.Attribute) else given.id).lower()
    elif function in KINDS and len(texts) >= 2 and isinstance(call.args[0], ast.Constant):
        kind = KINDS[function]
    else:
        return None
    if len(texts) < 2 or not re.fullmatch(r"[a-z][a-z0-9_]+", texts[0]):
        return None
    if function == "samples":
        labels = ("reason",)
    pairs = [item for given in [*call.args[3:], *call.args[2:], *call.keywords] for item in ast.walk(given)]
    tuples = [one for one in pairs if isinstance(one, ast.Tuple) and len(one.elts) == 2]
    named = [one.elts[0].value for one in tuples if isinstance(one.elts[0], ast.Constant)]
    labels = tuple(dict.fromkeys((*labels, *(str(name) for name in named))))
    return f"airlock_{texts[0]}" + ("_total" if kind == "counter" else ""), kind, texts[1], labels


def metrics() -> str:
    lines = [
        "# Metrics",
        "",
        "What `/metrics` shows ([metrics.md](../metrics.md) says where). A process shows the numbers of the parts that",
        "run in it. Histograms have `_bucket`, `_sum` and `_count`. Beside these: `process_*` and `python_*`.",
        "",
        "| name | kind | labels | |",
        "|---|---|---|---|",
    ]
    for name, (kind, text, labels) in sorted(metric_names().items()):
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |")
    return HEAD + "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "settings.md": settings, "views.md": views, "metrics.md": metrics}


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
