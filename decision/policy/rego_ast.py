"""What a Rego module says about itself: its package, the names it defines, the builtins it calls, what it reads.

Works on the syntax tree that regorus prints as JSON. Everything unclear counts as more: an unknown call is a builtin,
a reference to `input` or `input.context` that is not followed by a constant name reads all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from decision.policy.input import CONTEXT_FIELDS

Json = Mapping[str, object] | Sequence[object] | str | int | float | bool | None

EFFECT_NAMES = ("allow", "deny", "hold", "mask", "limit", "advice")


@dataclass(frozen=True, slots=True)
class Module:
    """`package` as path segments; `defines` the names of its rules and functions; `calls` the dotted names of all that
    it calls; `context` the fields of input.context that it can read; `aliases` of imports (alias to path);
    `roots` the byte positions after which a reference to `data` and the package's name go on."""

    package: tuple[str, ...]
    defines: frozenset[str]
    calls: frozenset[tuple[str, ...]]
    context: frozenset[str]
    aliases: frozenset[tuple[str, tuple[str, ...]]]
    roots: tuple[int, ...]
    package_at: int


def describe(ast: Json, source: str) -> Module:
    """Of one module's `ast` and source. Raises KeyError, TypeError or ValueError on a tree of another shape."""
    tree = cast(Mapping[str, Json], ast)
    package = _constant_path(cast(Mapping[str, Json], tree["package"])["refr"])
    if package is None:
        raise ValueError("package name is no constant path")
    aliases: dict[str, tuple[str, ...]] = {}
    for entry in cast(Sequence[Mapping[str, Json]], tree["imports"]):
        path = _constant_path(entry["refr"])
        if path is None:
            raise ValueError("import is no constant path")
        alias = entry.get("as")
        aliases[_spanned(alias, source) if alias else path[-1]] = path
    context: set[str] = set()
    for path in aliases.values():
        context |= _context_of(path)
    calls: set[tuple[str, ...]] = set()
    for rule in cast(Sequence[Json], tree["rules"]):
        for node in _nodes(rule):
            if "Call" in node:
                called = _constant_path(cast(Mapping[str, Json], node["Call"])["fcn"])
                calls.add(called or ("?",))
        context |= _context_reads(rule)
    return Module(
        package=package,
        defines=frozenset(_defined(cast(Sequence[Mapping[str, Json]], tree["rules"]))),
        calls=frozenset(calls),
        context=frozenset(context),
        aliases=frozenset(aliases.items()),
        roots=tuple(sorted(_data_roots([tree["imports"], tree["rules"]]))),
        package_at=_first(cast(Mapping[str, Json], tree["package"])["refr"]),
    )


def without_imports(ast: Json, source: str, module: Module) -> str:
    """The module with every import's alias written out and the imports blanked; lines stay where they are.

    regorus loses aliases: once a rule of a module was evaluated for another one, a function of that module finds its
    imports undefined, silently. Raises ValueError for a name that is an import here and a variable there.
    """
    tree = cast(Mapping[str, Json], ast)
    aliases = dict(module.aliases)
    edits: list[tuple[int, int, str]] = []
    for entry in cast(Sequence[Mapping[str, Json]], tree["imports"]):
        spans = [cast(Mapping[str, int], entry["span"])]
        if alias := entry.get("as"):
            spans.append(cast(Mapping[str, int], alias))
        edits.append((min(span["start"] for span in spans), max(span["end"] for span in spans), ""))
    rooted_at = {at for node in _nodes(tree["rules"]) if (at := _root_of_step(node)) is not None}
    for node in _nodes(tree["rules"]):
        for declared in _declared(node, source):
            if declared in aliases:
                raise ValueError(f"{declared} is an import and a variable in {'.'.join(module.package)}")
        if "Var" in node:
            variable = cast(Mapping[str, Json], node["Var"])
            name = str(variable["value"])
            if name in aliases:
                span = cast(Mapping[str, int], variable["span"])
                if span["start"] not in rooted_at:
                    raise ValueError(f"write {'.'.join(aliases[name])} in full where {name} stands alone")
                edits.append((span["start"], span["end"], ".".join(aliases[name])))
    text = source.encode()
    for start, end, replacement in sorted(set(edits), reverse=True):
        text = text[:start] + replacement.encode() + text[end:]
    return text.decode()


def _root_of_step(node: Mapping[str, Json]) -> int | None:
    """Where the variable starts that this very step of a reference goes into."""
    step = _step(node)
    if step is None or _root(step[0]) is None:
        return None
    variable = cast(Mapping[str, Mapping[str, Mapping[str, int]]], step[0])["Var"]
    return variable["span"]["start"]


def _declared(node: Mapping[str, Json], source: str) -> Iterator[str]:
    """The variables that `some x` and `every k, v in` declare; they are printed as positions only."""
    spans: list[Json] = []
    if "Every" in node:
        every = cast(Mapping[str, Json], node["Every"])
        spans = [every["key"], every["value"]]
    elif "SomeVars" in node:
        spans = list(cast(Sequence[Json], cast(Mapping[str, Json], node["SomeVars"])["vars"]))
    for span in spans:
        if isinstance(span, Mapping):
            yield _spanned(span, source)
        elif isinstance(span, Sequence):
            yield _spanned(cast(Sequence[Json], span)[0], source)


def rooted(module: Module, source: str, prefix: str) -> str:
    """The module moved under `data.<prefix>`: its package's name and every reference to `data`."""
    text = source.encode()
    inserts = [*((at, f".{prefix}") for at in module.roots), (module.package_at, f"{prefix}.")]
    for at, insert in sorted(inserts, reverse=True):
        text = text[:at] + insert.encode() + text[at:]
    return text.decode()


def _first(node: Json) -> int:
    """Where a reference's root variable starts."""
    while (step := _step(node)) is not None:
        node = step[0]
    variable = cast(Mapping[str, Mapping[str, Mapping[str, int]]], node)["Var"]
    # A root's own span may cover the keyword before it; it ends with the name.
    return variable["span"]["end"] - len(str(variable["value"]).encode())


def _data_roots(node: Json) -> set[int]:
    """Where each mention of the root document `data` ends."""
    found: set[int] = set()
    for tree in _nodes(node):
        if "Var" in tree:
            variable = cast(Mapping[str, Json], tree["Var"])
            if variable["value"] == "data":
                found.add(cast(Mapping[str, int], variable["span"])["end"])
    return found


def builtins_called(modules: Sequence[Module]) -> frozenset[str]:
    """Called names that no module defines."""
    functions = {(*module.package, name) for module in modules for name in module.defines}
    found: set[str] = set()
    for module in modules:
        aliases = dict(module.aliases)
        for call in module.calls:
            resolved = (*aliases[call[0]], *call[1:]) if call[0] in aliases else call
            if resolved[0] == "data" and resolved[1:] in functions:
                continue
            if len(call) == 1 and (*module.package, call[0]) in functions:
                continue
            found.add(".".join(call))
    return frozenset(found)


def _spanned(span: Json, source: str) -> str:
    """The text at a position of the source, in bytes."""
    where = cast(Mapping[str, int], span)
    return source.encode()[where["start"] : where["end"]].decode()


def _text(field: Json) -> str:
    """A name printed as [position, name]."""
    return str(cast(Sequence[Json], field)[1])


def _nodes(node: Json) -> Iterator[Mapping[str, Json]]:
    """Every object of the tree, outermost first."""
    stack: list[Json] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, Mapping):
            yield cast(Mapping[str, Json], current)
            stack.extend(cast(Mapping[str, Json], current).values())
        elif isinstance(current, Sequence) and not isinstance(current, str):
            stack.extend(cast(Sequence[Json], current))


def _step(node: Json) -> tuple[Json, str | None] | None:
    """(what is referred into, the constant name or None) of a reference's outermost step; None for no reference."""
    if not isinstance(node, Mapping):
        return None
    tree = cast(Mapping[str, Json], node)
    if "RefDot" in tree:
        inner = cast(Mapping[str, Json], tree["RefDot"])
        return inner["refr"], _text(inner["field"])
    if "RefBrack" in tree:
        inner = cast(Mapping[str, Json], tree["RefBrack"])
        index = cast(Mapping[str, Json], inner["index"])
        if "String" in index:
            return inner["refr"], str(cast(Mapping[str, Json], index["String"])["value"])
        return inner["refr"], None
    return None


def _root(node: Json) -> str | None:
    if isinstance(node, Mapping) and "Var" in node:
        return str(cast(Mapping[str, Json], node["Var"])["value"])
    return None


def _path(node: Json) -> tuple[str, tuple[str | None, ...]] | None:
    """(root variable, steps) of a reference, constants by name."""
    steps: list[str | None] = []
    current: Json = node
    while (step := _step(current)) is not None:
        current, name = step
        steps.append(name)
    root = _root(current)
    return None if root is None else (root, tuple(reversed(steps)))


def _constant_path(node: Json) -> tuple[str, ...] | None:
    found = _path(node)
    if found is None:
        return None
    names = tuple(name for name in found[1] if name is not None)
    return (found[0], *names) if len(names) == len(found[1]) else None


def _context_of(path: Sequence[str | None]) -> frozenset[str]:
    """The context fields that a reference with these steps can read."""
    if not path or path[0] != "input":
        return frozenset()
    if len(path) == 1 or path[1] is None:
        return frozenset(CONTEXT_FIELDS)
    if path[1] != "context":
        return frozenset()
    if len(path) == 2 or path[2] is None:
        return frozenset(CONTEXT_FIELDS)
    return frozenset({path[2]})


def _context_reads(rule: Json) -> frozenset[str]:
    """Walks references from their outermost step, so that `input.context.time` is not taken for all of `input`."""
    found: set[str] = set()
    stack: list[Json] = [rule]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            path = _path(node)
            if path is not None:
                found |= _context_of((path[0], *path[1]))
                stack.extend(_indexes(node))
            else:
                stack.extend(cast(Mapping[str, Json], node).values())
        elif isinstance(node, Sequence) and not isinstance(node, str):
            stack.extend(cast(Sequence[Json], node))
    return frozenset(found)


def _indexes(node: Json) -> Iterator[Json]:
    """The expressions in the brackets of a reference."""
    current: Json = node
    while isinstance(current, Mapping):
        tree = cast(Mapping[str, Json], current)
        if "RefBrack" in tree:
            inner = cast(Mapping[str, Json], tree["RefBrack"])
            yield inner["index"]
            current = inner["refr"]
        elif "RefDot" in tree:
            current = cast(Mapping[str, Json], tree["RefDot"])["refr"]
        else:
            return


def _defined(rules: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    for rule in rules:
        body = cast(Mapping[str, Json], rule.get("Spec") or rule["Default"])
        head = body.get("head")
        target: Json = body.get("refr")
        if isinstance(head, Mapping):
            target = cast(Mapping[str, Json], next(iter(cast(Mapping[str, Json], head).values())))["refr"]
        found = _path(target)
        if found is None:
            raise ValueError("a rule without a name")
        yield found[0]
