"""Objects that carry code: types, domains, operators, casts, languages, extensions' members, event triggers.

Creating one runs nothing yet; the functions that it will run are named, with what they do: unknown ones are opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from decision.analysis.effects import FunctionMade
from decision.analysis.flow import Scope
from decision.analysis.postgres.calls import resolve_call
from decision.analysis.postgres.definitions import define, object_type
from decision.analysis.postgres.expressions import generic
from decision.analysis.postgres.parse import Node, only, option_true, options, qualified, strings
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Kind, ObjectName, Usage

Handler = Callable[[Walk, Node], None]

# The options of DefElem lists whose value is a function's name.
_RUN = frozenset(
    {
        "sfunc", "finalfunc", "combinefunc", "serialfunc", "deserialfunc", "msfunc", "minvfunc", "mfinalfunc",
        "function", "procedure", "restrict", "join", "input", "output", "receive", "send", "typmod_in", "typmod_out",
        "analyze", "subscript", "canonical", "subtype_diff", "handler", "validator", "start", "gettoken", "end",
        "headline", "lextypes", "init", "lexize",
    }
)  # fmt: skip


def names_function(walk: Walk, schema: str, name: str) -> None:
    """A function that something now being defined will run."""
    if not name or name == "none":
        return
    before = dict(walk.unresolved_)
    resolve_call(walk, schema, name, [])
    walk.unresolved_ = before


def _option_functions(walk: Walk, nodes: Iterable[Node]) -> None:
    for node in nodes:
        element = node.get("DefElem", {})
        if element.get("defname", "").lower() not in _RUN or "arg" not in element:
            continue
        tag, value = only(element["arg"])
        if tag == "TypeName":
            names_function(walk, *qualified(value.get("names")))
        elif tag == "List":
            names_function(walk, *qualified(value.get("items")))
        elif tag == "String":
            names_function(walk, "", value.get("sval", ""))


def _type_name(body: Node) -> ObjectName:
    return ObjectName(*qualified(body.get("names")))


def _code(
    verb: str, what: str, *, name: str = "", functions: tuple[str, ...] = (), lists: tuple[str, ...] = ()
) -> Handler:
    """One object that carries code: `name` is its field, `functions` those that name what it runs."""

    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        walk.flags.add("code")
        value = body.get(name)
        if isinstance(value, str):
            objects = [ObjectName("", value)]
        elif isinstance(value, list):
            objects = [ObjectName(*qualified(value))]
        else:
            objects = [ObjectName(*qualified(value["objname"]))] if value else []
        walk.operation(verb, what, objects)
        for field in functions:
            if field in body:
                found = body[field]
                names_function(walk, *qualified(found if isinstance(found, list) else found.get("objname")))
        for field in lists:
            _option_functions(walk, body.get(field, ()))
        for found in objects if what in ("operator", "type") else ():
            walk.effects.append(FunctionMade(found.name))

    return handler


def define_object(walk: Walk, body: Node) -> None:
    """CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, TEXT SEARCH …"""
    walk.kind(Kind.DDL)
    walk.flags.add("code")
    name = ObjectName(*qualified(body.get("defnames")))
    walk.operation("create", object_type(body.get("kind", "")), [name], ["or_replace"] if body.get("replace") else [])
    _option_functions(walk, body.get("definition", ()))
    walk.effects.append(FunctionMade(name.name))


def create_cast(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.flags.add("code")
    source, target = _type_name(body.get("sourcetype", {})), _type_name(body.get("targettype", {}))
    found = [body.get("context", "").removeprefix("COERCION_").lower()]
    found += ["inout"] if body.get("inout") else []
    walk.operation("create", "cast", [source, target], found)
    if "func" in body:
        names_function(walk, *qualified(body["func"].get("objname")))
    walk.effects.append(FunctionMade(target.name))


def operator_class(verb: str, what: str, name: str) -> Handler:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        walk.flags.add("code")
        walk.operation(verb, what, [ObjectName(*qualified(body.get(name)))])
        for node in body.get("items", ()):
            item = node.get("CreateOpClassItem", {})
            if item.get("itemtype") == 2 and "name" in item:
                names_function(walk, *qualified(item["name"].get("objname")))

    return handler


def alter_function(walk: Walk, body: Node) -> None:
    """ALTER FUNCTION, PROCEDURE, ROUTINE: its rights, its settings, its volatility."""
    walk.kind(Kind.DDL)
    walk.flags.add("code")
    schema, name = qualified(body.get("func", {}).get("objname"))
    actions = options(body, "actions")
    walk.operation("alter", object_type(body.get("objtype", "")), [ObjectName(schema, name)], dict.fromkeys(actions))
    if option_true(actions, "security") and actions["security"] is not None:
        walk.flags.add("security_definer")
    for node in body.get("actions", ()):
        element = node.get("DefElem", {})
        if element.get("defname") == "set" and "arg" in element:
            walk.settings[only(element["arg"])[1].get("name", "all").lower()] = None
    walk.functions.setdefault((schema, name), ())
    walk.effects.append(FunctionMade(name))


def domain(verb: str, name: str) -> Handler:
    """A domain's default and checks are run for every value that takes it."""

    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        found = ObjectName(*qualified(body.get(name)))
        walk.operation(verb, "domain", [found])
        parts = [node.get("Constraint", {}) for node in body.get("constraints", ())]
        changed = body.get("def")
        if changed:
            tag, inner = only(changed)
            parts.append(inner if tag == "Constraint" else {"raw_expr": changed})
        for part in parts:
            if "raw_expr" in part:
                flow = generic(walk, Scope(parameters=True), part["raw_expr"])
                walk.use(flow, Usage.CHECK)
                walk.use(flow, Usage.INNER)  # a default goes on in every column of the domain

    return handler


def _range_type(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.operation("create", "type", [ObjectName(*qualified(body.get("typeName")))])
    _option_functions(walk, body.get("params", ()))


def _extension_contents(walk: Walk, body: Node) -> None:
    """ALTER EXTENSION … ADD or DROP: what it holds goes with it when it is dropped."""
    walk.kind(Kind.DDL)
    walk.flags.update(("extension", "code"))
    added = body.get("action", 1) == 1
    walk.operation("alter", "extension", [ObjectName("", body.get("extname", ""))], ["add" if added else "drop"])
    parts = strings(body.get("object", {}).get("List", {}).get("items"))
    if parts and body.get("objtype") in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE",
                                         "OBJECT_FOREIGN_TABLE"):  # fmt: skip
        define(walk, {"relname": parts[-1], "schemaname": parts[-2] if len(parts) > 1 else ""})


STATEMENTS.update(
    {
        "DefineStmt": define_object, "CreateCastStmt": create_cast, "AlterFunctionStmt": alter_function,
        "CreateOpClassStmt": operator_class("create", "operator_class", "opclassname"),
        "CreateOpFamilyStmt": operator_class("create", "operator_family", "opfamilyname"),
        "AlterOpFamilyStmt": operator_class("alter", "operator_family", "opfamilyname"),
        "AlterOperatorStmt": _code("alter", "operator", name="opername", lists=("options",)),
        "CreateTransformStmt": _code("create", "transform", name="lang", functions=("fromsql", "tosql")),
        "CreatePLangStmt": _code("create", "language", name="plname",
                                 functions=("plhandler", "plinline", "plvalidator")),
        "CreateConversionStmt": _code("create", "conversion", name="conversion_name", functions=("func_name",)),
        "CreateAmStmt": _code("create", "access_method", name="amname", functions=("handler_name",)),
        "CreateEventTrigStmt": _code("create", "event_trigger", name="trigname", functions=("funcname",)),
        "AlterEventTrigStmt": _code("alter", "event_trigger", name="trigname"),
        "AlterTypeStmt": _code("alter", "type", name="typeName", lists=("options",)),
        "CreateDomainStmt": domain("create", "domainname"), "AlterDomainStmt": domain("alter", "typeName"),
        "CreateRangeStmt": _range_type, "AlterExtensionContentsStmt": _extension_contents,
    }
)  # fmt: skip
