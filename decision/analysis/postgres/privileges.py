"""Privileges and roles: GRANT, REVOKE, CREATE and ALTER ROLE, what a role owns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from decision.analysis.postgres.definitions import all_of, define, named_object, object_type, others_uncovered
from decision.analysis.postgres.parse import Node, only, options, qualified
from decision.analysis.postgres.settings import stored_setting
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Kind, ObjectName, RelationKind

Handler = Callable[[Walk, Node], None]


def _grant(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DCL)
    kind = object_type(body.get("objtype", ""))
    privileges = [n["AccessPriv"].get("priv_name", "all") for n in body.get("privileges", ()) if "AccessPriv" in n]
    objects: list[ObjectName] = []
    for node in body.get("objects", ()):
        tag, inner = only(node)
        if tag == "RangeVar":
            relation = define(walk, inner)
            objects.append(ObjectName(relation.schema, relation.name))
        elif tag == "List":
            objects.append(ObjectName(*qualified(inner.get("items"))))
        else:
            objects.append(named_object(inner if tag != "String" else inner.get("sval", "")))
    everything = body.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA"
    if everything and body.get("objtype") in ("OBJECT_TABLE", "OBJECT_SEQUENCE"):
        sequences = frozenset({RelationKind.SEQUENCE})
        kinds = sequences if body["objtype"] == "OBJECT_SEQUENCE" else frozenset(RelationKind) - sequences
        all_of(walk, [each.name for each in objects], kinds)
    found = [*(p.lower().replace(" ", "_") for p in privileges or ["all"])]
    if everything:
        found.append("all_in_schema")
    if body.get("grant_option"):
        found.append("grant_option")
    if body.get("targtype") == "ACL_TARGET_DEFAULTS":
        found.append("default_privileges")
    if body.get("behavior") == "DROP_CASCADE":
        found.append("cascade")
        walk.flags.add("cascade")
    found += _to_public(body.get("grantees", ()))
    walk.operation("grant" if body.get("is_grant") else "revoke", kind, objects, found)


def _to_public(grantees: Iterable[Node]) -> list[str]:
    public = any(node.get("RoleSpec", {}).get("roletype") == "ROLESPEC_PUBLIC" for node in grantees)
    return ["public"] if public else []


def _grant_role(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DCL)
    walk.flags.add("role_grant")
    names = [n["AccessPriv"].get("priv_name", "") for n in body.get("granted_roles", ()) if "AccessPriv" in n]
    found = [f"{name}_option" for name in options(body, "opt")]
    walk.operation("grant" if body.get("is_grant") else "revoke", "role", [ObjectName("", n) for n in names], found)


def _default_privileges(walk: Walk, body: Node) -> None:
    _grant(walk, body.get("action", {}))


def _role(verb: str) -> Handler:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DCL)
        walk.flags.add("role")
        role = body.get("role")
        names = [body["role"]] if isinstance(role, str) else [role] if role else []
        listed = [named_object(item) for item in names]
        listed += [named_object(node.get("RoleSpec", {})) for node in body.get("roles", ())]
        walk.operation(verb, "role", listed, _attributes(walk, body))
        if verb == "reassign_owned":
            walk.unresolved("owned", "which objects belong to a role is not known")
        if verb == "drop_owned":
            walk.flags.add("cascade")  # whatever the role owns goes, unnamed
            others_uncovered(walk)
        if "setstmt" in body:
            stored_setting(walk, body["setstmt"])

    return handler


def _attributes(walk: Walk, body: Node) -> list[str]:
    """`superuser`, and `nosuperuser` where it is taken away; memberships are grants."""
    found = []
    for name, value in options(body).items():
        if name in ("addroleto", "rolemembers", "adminmembers"):
            walk.flags.add("role_grant")
        refused = value is not None and "Boolean" in value and not value["Boolean"].get("boolval", False)
        found.append(f"no{name}" if refused else name)
    return found


STATEMENTS.update(
    {
        "GrantStmt": _grant, "GrantRoleStmt": _grant_role, "AlterDefaultPrivilegesStmt": _default_privileges,
        "CreateRoleStmt": _role("create"), "AlterRoleStmt": _role("alter"), "AlterRoleSetStmt": _role("alter"),
        "DropRoleStmt": _role("drop"), "ReassignOwnedStmt": _role("reassign_owned"),
        "DropOwnedStmt": _role("drop_owned"),
    }
)  # fmt: skip
