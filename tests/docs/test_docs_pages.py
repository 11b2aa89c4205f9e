"""The documents tell the truth: commands, flags, links, errors, events, settings and views that they name exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from airlock.main import COMMANDS, cli
from decision.model import errors, events
from decision.policy.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:^|[\s$(])(?:\.venv/bin/)?airlock (?P<rest>[a-z].*)$")


def blocks(page: Path, language: str) -> Iterator[str]:
    yield from (text for kind, text in BLOCK.findall(page.read_text()) if kind == language)


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each `airlock …` in shell lines."""
    for line in text.splitlines():
        found = CALL.search(line.split(" # ")[0].rstrip())
        if found:
            rest = re.split(r"\)\s+psql|\s\|\s", found["rest"])[0].rstrip(")")
            yield shlex.split(rest)


def check(arguments: list[str]) -> None:
    """The command line would take these arguments; nothing runs."""
    context = click.Context(cli, info_name="airlock")
    group: click.Group = cli
    while True:
        command = group.get_command(context, arguments[0])
        assert command is not None, f"there is no command {arguments[0]!r}"
        rest = arguments[1:]
        if isinstance(command, click.Group):
            group, arguments = command, rest
            continue
        command.make_context(arguments[0], rest, parent=context)
        return


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHELL = [
    pytest.param(arguments, id=f"{page.name}-{' '.join(arguments)[:40]}")
    for page in PAGES
    for text in blocks(page, "sh")
    for arguments in calls(text)
]


@pytest.mark.parametrize("arguments", SHELL)
def test_commands_in_shell_blocks_are_taken(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied as it stands, the command line is taken (where the files that it names are)."""
    monkeypatch.chdir(tmp_path)
    for argument in arguments:
        if argument.endswith(".json"):
            Path(argument).touch()
    check(list(arguments))


def test_a_wrong_flag_in_a_document_is_seen() -> None:
    """The check of the previous test is no decoration."""
    with pytest.raises(click.UsageError):
        check(["token", "--subjekt", "alice"])
    assert list(calls('PGPASSWORD=$(.venv/bin/airlock token --subject alice) psql "host=x"')) == [
        ["token", "--subject", "alice"]
    ]


@pytest.mark.parametrize("page", NAMES)
def test_make_targets_in_documents_exist(page: str) -> None:
    """`make X` in code is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page: str) -> None:
    """Relative links and paths of tests, tools and docs in code exist."""
    text = (ROOT / page).read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    assert [link for link in links if link and not ((ROOT / page).parent / link).exists()] == []
    paths = re.findall(r"`((?:tests|tools|docs|deploy|decision|enforcement|ingest|analytics|rego)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    """In the README's table, in the reference, and with a help text of its own."""
    assert f"`airlock {name}`" in (ROOT / "README.md").read_text()
    assert f"## `airlock {name}`" in (ROOT / "docs" / "reference" / "commands.md").read_text()
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.help


def error_classes(root: type[errors.AirlockError]) -> Iterator[type[errors.AirlockError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_classes(child)


@pytest.mark.parametrize("error", list(error_classes(errors.AirlockError)))
def test_every_error_is_documented(error: type[errors.AirlockError]) -> None:
    """By its stable code, with what to do."""
    assert f"| `{error.code}` | " in (ROOT / "docs" / "reference" / "errors.md").read_text()


@pytest.mark.parametrize("payload", typing.get_args(events.Payload))
def test_every_event_is_documented(payload: type) -> None:
    """By the name of its type."""
    assert f"| `{payload.__name__}` | " in (ROOT / "docs" / "reference" / "events.md").read_text()


@pytest.mark.parametrize("name", ["commands.md", "settings.md", "views.md"])
def test_generated_pages_are_current(name: str) -> None:
    """`make docs` has been run since the code changed."""
    assert (ROOT / "docs" / "reference" / name).read_text() == reference().PAGES[name]()


def test_the_policy_in_the_guide_becomes_active(tmp_path: Path) -> None:
    """Added to the shipped bundle, the guide's example loads and changes the revision."""
    bundle = tmp_path / "rego"
    shutil.copytree(ROOT / "rego", bundle)
    before = load_bundle(bundle).revision
    (example,) = blocks(ROOT / "docs" / "policies.md", "rego")
    folder = bundle / "policies" / "office_hours"
    folder.mkdir()
    (folder / "office_hours.rego").write_text(example)
    assert load_bundle(bundle).revision != before


def test_documents_name_no_machine() -> None:
    """No home folders, no hosts of package indexes."""
    found = {
        page.name: hits
        for page in PAGES
        if (hits := re.findall(r"/root/|/home/\w+|files\.pythonhosted|pypi\.org", page.read_text()))
    }
    assert found == {}
