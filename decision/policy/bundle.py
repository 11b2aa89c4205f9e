"""A policy bundle: Rego modules and data of one folder, read, checked and named by its digest.

The folder is an OPA bundle: `.manifest`, `*.rego`, `data.json` files, tests beside (`*_test.rego`, left out here).
`policies/` holds one package a folder. Which of them speak, and with which effects, comes from their syntax trees: the
loader writes the module `airlock.index` itself, so that no policy can be forgotten.

The manifest's `metadata.airlock.capabilities` is `portable` (both engines) or `opa` (what only an OPA server has).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import orjson
import regorus

from decision.model.errors import BundleRejected
from decision.policy.capabilities import beyond_portable, forbidden
from decision.policy.input import READS_EVERYTHING, Reads
from decision.policy.rego_ast import EFFECT_NAMES, Json, Module, builtins_called, describe, rooted, without_imports

ENTRY = "data.airlock.decision"
INDEX_PATH = "airlock/index.rego"
MAX_FILES = 1_000
MAX_BYTES = 8 * 1024 * 1024

_SETTINGS_SCHEMA = "schemas/settings.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`revision`: hex SHA-256 of everything that decides. `modules`: (path, source), the generated index included.
    `data`: one JSON document. `portable`: the embedded engine has all that it uses."""

    revision: str
    policies: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]
    data: bytes
    reads: Reads
    portable: bool

    def rooted_modules(self, prefix: str) -> tuple[tuple[str, str], ...]:
        """(path, source) of the modules moved under `data.<prefix>`."""
        described = {path: module for path, (module, _) in _parse(self.modules).items()}
        return tuple((path, rooted(described[path], source, prefix)) for path, source in self.modules)


@dataclass(frozen=True, slots=True)
class BundleFiles:
    """The files of a bundle's folder that matter, as read at one moment. `digest` names their content."""

    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        digest = hashlib.sha256(b"airlock/bundle-files/v1\0")
        for path, content in self.files:
            digest.update(b"%d:%d:" % (len(path.encode()), len(content)))
            digest.update(path.encode())
            digest.update(content)
        return digest.hexdigest()


def read_files(folder: Path) -> BundleFiles:
    """Read the folder. Raises BundleRejected where it can't be read or is too large."""
    found: list[tuple[str, bytes]] = []
    size = 0
    try:
        if not folder.is_dir():
            raise BundleRejected(f"{folder} is no folder", hint="point policy.folder to a bundle, such as rego/")
        for path in sorted(_relevant(folder)):
            content = path.read_bytes()
            size += len(content)
            if len(found) >= MAX_FILES or size > MAX_BYTES:
                raise BundleRejected(f"the bundle exceeds {MAX_FILES} files or {MAX_BYTES} bytes")
            found.append((path.relative_to(folder).as_posix(), content))
    except OSError as error:
        raise BundleRejected(f"the bundle can't be read: {error.strerror or error}") from error
    return BundleFiles(tuple(found))


def _relevant(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if any(part.startswith(".") and part != ".manifest" for part in relative.parts):
            continue
        name = path.name
        rego = name.endswith(".rego") and not name.endswith("_test.rego") and relative.as_posix() != INDEX_PATH
        if rego or name in ("data.json", ".manifest") or relative.as_posix() == _SETTINGS_SCHEMA:
            yield path


def load_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. Raises BundleRejected."""
    return build_bundle(read_files(folder))


def build_bundle(source: BundleFiles) -> Bundle:
    """Check the files and make the bundle. Raises BundleRejected naming file and remedy."""
    files = dict(source.files)
    wants_opa = _manifest(files)
    sources = [(path, _decode(path, content)) for path, content in source.files if path.endswith(".rego")]
    plain = plain_modules(sources)
    sources, modules = [(path, text) for path, (text, _) in plain.items()], {p: m for p, (_, m) in plain.items()}
    _check_packages(modules)
    called = builtins_called([*modules.values()])
    if banned := forbidden(called):
        raise BundleRejected(
            f"the bundle uses {', '.join(banned)}, which gives no repeatable decision",
            hint="take the time from input.context.time and everything else from input or data",
        )
    beyond = beyond_portable(called)
    if beyond and not wants_opa:
        raise BundleRejected(
            f"the bundle uses {', '.join(beyond)}, which the embedded engine does not have",
            hint='use portable builtins only, or set metadata.airlock.capabilities to "opa" and policy.engine to "opa"',
        )
    data = _data(files)
    _check_settings(files, data)
    spoken = _spoken(modules.values())
    if not spoken:
        raise BundleRejected("no package under policies/ speaks", hint="add allow, deny, hold, mask, limit or advice")
    made = [*sources, (INDEX_PATH, index_module(spoken))]
    encoded = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    context = frozenset[str]().union(*(module.context for module in modules.values()))
    return Bundle(
        revision=_revision(made, encoded, wants_opa),
        policies=tuple(".".join(path) for path in sorted(spoken)),
        modules=tuple(sorted(made)),
        data=encoded,
        reads=Reads(context & READS_EVERYTHING.context),
        portable=not wants_opa,
    )


def index_module(spoken: Mapping[tuple[str, ...], frozenset[str]]) -> str:
    """The module that gathers what every policy package says."""
    lines = [
        "# Made by `airlock policy index` from the packages under policies/; the loader makes its own at every load.",
        "package airlock.index",
        "",
        "voice := {",
    ]
    for effect in EFFECT_NAMES:
        refs = [".".join(("data", *path, effect)) for path in sorted(spoken) if effect in spoken[path]]
        lines.append(f'\t"{effect}": {_union(refs)},')
    return "\n".join([*lines, "}", ""])


def _union(refs: Sequence[str]) -> str:
    if not refs:
        return "set()"
    return refs[0] if len(refs) == 1 else "union({" + ", ".join(refs) + "})"


def _spoken(modules: Iterable[Module]) -> dict[tuple[str, ...], frozenset[str]]:
    spoken: dict[tuple[str, ...], frozenset[str]] = {}
    for module in modules:
        if module.package[0] == "policies" and (effects := module.defines & frozenset(EFFECT_NAMES)):
            spoken[module.package] = spoken.get(module.package, frozenset()) | effects
    return spoken


def _manifest(files: Mapping[str, bytes]) -> bool:
    """Whether the bundle says that it needs an OPA server."""
    try:
        manifest = orjson.loads(files[".manifest"])
        version, metadata = manifest["rego_version"], manifest["metadata"]["airlock"]
        capabilities = metadata["capabilities"]
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise BundleRejected(
            ".manifest is missing or lacks rego_version or metadata.airlock.capabilities", hint="see rego/.manifest"
        ) from error
    if version != 1 or capabilities not in ("portable", "opa"):
        raise BundleRejected(".manifest: rego_version must be 1 and capabilities portable or opa")
    return bool(capabilities == "opa")


def _decode(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BundleRejected(f"{path} is not UTF-8") from error


def engine_message(error: BaseException) -> str:
    """regorus' message without its stack trace, on one line."""
    text = str(error).split("Stack backtrace")[0]
    return " ".join(part for line in text.splitlines() if (part := line.strip(" \t|")))


def _syntax(sources: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """(syntax trees as JSON, ""), or ("", what is wrong). It does not raise: an exception would keep the engine, which
    must end in the thread that it began in."""
    engine = regorus.Engine()
    path = ""
    try:
        for path, text in sources:
            engine.add_policy(path, text)
        return engine.get_ast_as_json(), ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return "", f"{path}: {engine_message(error)}"


def _parse(sources: Sequence[tuple[str, str]]) -> dict[str, tuple[Module, Json]]:
    trees, problem = _syntax(sources)
    if problem:
        raise BundleRejected(problem)
    try:
        entries = [(entry["source"], entry["ast"]) for entry in orjson.loads(trees)]
        return {source["file"]: (describe(ast, source["contents"]), ast) for source, ast in entries}
    except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
        raise BundleRejected(f"the syntax of a policy can't be followed: {error}") from error


def plain_modules(sources: Sequence[tuple[str, str]]) -> dict[str, tuple[str, Module]]:
    """By path, the sources as both engines run them (imports written out), and what they say about themselves.
    Raises BundleRejected."""
    parsed = _parse(sources)
    try:
        plain = [(path, without_imports(parsed[path][1], text, parsed[path][0])) for path, text in sources]
    except ValueError as error:
        raise BundleRejected(f"a policy's imports can't be followed: {error}") from error
    described = _parse(plain)
    return {path: (text, described[path][0]) for path, text in plain}


def _check_packages(modules: Mapping[str, Module]) -> None:
    packages = {module.package for module in modules.values()}
    if ("airlock",) not in packages:
        raise BundleRejected("package airlock is missing", hint="keep airlock/main.rego in the bundle")
    for path, module in modules.items():
        if module.package[0] not in ("airlock", "policies"):
            raise BundleRejected(f"{path}: package {'.'.join(module.package)} is neither under policies nor airlock")


def _data(files: Mapping[str, bytes]) -> dict[str, object]:
    """One document of all data.json files, each under its folder's path, as OPA does it."""
    data: dict[str, object] = {}
    for path in sorted(name for name in files if name.rpartition("/")[2] == "data.json"):
        try:
            content = orjson.loads(files[path])
        except orjson.JSONDecodeError as error:
            raise BundleRejected(f"{path}: {error}") from error
        for part in reversed(path.split("/")[:-1]):
            content = {part: content}
        if not isinstance(content, dict):
            raise BundleRejected(f"{path}: must hold an object")
        _merge(data, content, path)
    return data


def _merge(into: dict[str, object], added: Mapping[str, object], path: str) -> None:
    for key, value in added.items():
        current = into.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            _merge(current, value, path)
        elif key in into:
            raise BundleRejected(f"{path}: {key} stands in two data files")
        else:
            into[key] = value


def _check_settings(files: Mapping[str, bytes], data: Mapping[str, object]) -> None:
    schema = files.get(_SETTINGS_SCHEMA)
    if schema is None:
        return
    try:
        validator = jsonschema.Draft202012Validator(orjson.loads(schema))
        problem = jsonschema.exceptions.best_match(validator.iter_errors(data.get("settings")))
    except (orjson.JSONDecodeError, jsonschema.exceptions.SchemaError) as error:
        raise BundleRejected(f"{_SETTINGS_SCHEMA} is no JSON Schema") from error
    if problem is not None:
        where = ".".join(str(part) for part in ("settings", *problem.absolute_path))
        raise BundleRejected(f"data.json: {where}: {problem.message}", hint=f"see {_SETTINGS_SCHEMA}")


def _revision(modules: Sequence[tuple[str, str]], data: bytes, wants_opa: bool) -> str:
    digest = hashlib.sha256(b"airlock/policy/v1\0" + (b"opa" if wants_opa else b"portable"))
    for name, content in [*((path, text.encode()) for path, text in sorted(modules)), ("data.json", data)]:
        digest.update(b"\0%d:%d:" % (len(name.encode()), len(content)))
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()
