"""Code that is kept to be run later: rules, triggers, row security policies, functions."""

from __future__ import annotations

from decision.analysis.effects import FunctionMade, RuleMade, TriggerMade
from decision.analysis.flow import Item, Scope
from decision.analysis.postgres.definitions import (
    altered,
    define,
)
from decision.analysis.postgres.expressions import filtered
from decision.analysis.postgres.finish import facts_of
from decision.analysis.postgres.parse import Node, only, option_text, options, qualified, strings
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Kind, ObjectName, Usage, Via


def create_rule(walk: Walk, body: Node) -> None:
    from decision.analysis.postgres.embedded import rule_actions

    walk.kind(Kind.DDL)
    walk.flags.add("code")
    relation = define(walk, body["relation"])
    walk.operation("create", "rule", [ObjectName(relation.schema, body.get("rulename", ""))])
    inner = Walk(walk.catalog, walk.state, walk.budget)
    rule_actions(inner, body, relation.key, relation.shape)
    _attach(walk, inner)
    event = body.get("event", "").removeprefix("CMD_").lower()
    walk.effects.append(RuleMade(*relation.key, event, facts_of(inner)))
    altered(walk, relation)


def _attach(walk: Walk, inner: Walk) -> None:
    """Code that is stored, not run: what it would touch is named, its kinds are not this statement's."""
    from decision.analysis.postgres.walk import absorb

    absorb(walk, inner, Via.EMBEDDED_SQL)


def create_trigger(walk: Walk, body: Node) -> None:
    from decision.analysis.postgres.machinery import names_function

    walk.kind(Kind.DDL)
    walk.flags.add("code")
    relation = define(walk, body["relation"])
    walk.operation("create", "trigger", [ObjectName(relation.schema, body.get("trigname", ""))])
    names_function(walk, *qualified(body.get("funcname")))
    scope = Scope()
    scope.items += [Item("new", relation.shape, by_column=False), Item("old", relation.shape, by_column=False)]
    filtered(walk, scope, body.get("whenClause"), Usage.CHECK)
    events = tuple([name for bit, name in _EVENTS.items() if body.get("events", 0) & bit])
    function = qualified(body.get("funcname"))
    walk.effects.append(TriggerMade(*relation.key, events, *function, body.get("timing", 0) == 0))
    if "constrrel" in body:
        define(walk, body["constrrel"])
    altered(walk, relation)


_EVENTS = {4: "insert", 8: "delete", 16: "update", 32: "truncate"}  # the parser's bits


def policy(verb: str) -> None:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        walk.flags.add("policy")
        relation = define(walk, body["table"])
        walk.operation(verb, "policy", [ObjectName(relation.schema, body.get("policy_name", ""))])
        scope = Scope()
        scope.items.append(Item(relation.name, relation.shape, schema=relation.schema, relation=relation.key))
        for part in ("qual", "with_check"):
            filtered(walk, scope, body.get(part), Usage.CHECK)
        walk.kinds.pop(Kind.SELECT, None)  # kept, not run
        altered(walk, relation)

    STATEMENTS["CreatePolicyStmt" if verb == "create" else "AlterPolicyStmt"] = handler


def create_function(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.flags.add("code")
    schema, name = qualified(body.get("funcname"))
    arguments = options(body)
    walk.operation("create", "procedure" if body.get("is_procedure") else "function", [ObjectName(schema, name)],
                   ["or_replace"] if body.get("replace") else [])  # fmt: skip
    walk.effects.append(FunctionMade(name))
    language = option_text(arguments.get("language")) or "sql"
    if "security" in arguments and (arguments["security"] or {}).get("Boolean", {}).get("boolval"):
        walk.flags.add("security_definer")
    for key, value in arguments.items():
        if key == "set" and value is not None:
            walk.settings[only(value)[1].get("name", "").lower()] = None
    inner = Walk(walk.catalog, walk.state, walk.budget)
    known = _function_body(inner, body, arguments, language.lower())
    if not known or inner.unresolved_:
        walk.flags.add("opaque_code")
        inner.unresolved_.clear()
    _attach(walk, inner)


def _function_body(walk: Walk, body: Node, arguments: dict[str, Node | None], language: str) -> bool:
    from decision.analysis.postgres.bodies import body_statements, with_parameters

    if "sql_body" in body:
        stack: list[Node] = [body["sql_body"]]
        while stack:
            tag, inner = only(stack.pop(0))
            if tag == "List":
                stack = [*inner.get("items", []), *stack]
            elif tag == "ReturnStmt":
                from decision.analysis.postgres.expressions import expression

                walk.use(expression(walk, Scope(parameters=True), inner["returnval"]), Usage.INNER)
            elif tag:
                with_parameters(walk, {tag: inner})
        return True
    source = arguments.get("as")
    texts = strings(source.get("List", {}).get("items")) if source else []
    if language not in ("sql", "plpgsql") or len(texts) != 1:
        return False
    return body_statements(walk, texts[0], language)


policy("create")
policy("alter")
STATEMENTS.update({"RuleStmt": create_rule, "CreateTrigStmt": create_trigger, "CreateFunctionStmt": create_function})
