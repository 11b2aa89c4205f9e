"""Every other statement: transactions, comments, sequences, statistics, replication, foreign data."""

from __future__ import annotations

from collections.abc import Callable

from decision.analysis.effects import FunctionMade, MadeColumn, RelationMade, SearchPathSet, TransactionEnded
from decision.analysis.postgres.calls import first_path
from decision.analysis.postgres.definitions import (
    CODE,
    altered,
    comes_to_be,
    define,
    named_object,
    object_type,
    on_relation,
    sequences,
    taken_away,
)
from decision.analysis.postgres.names import creation_schema
from decision.analysis.postgres.parse import Node, only, options, strings
from decision.analysis.postgres.settings import stored_setting
from decision.analysis.postgres.walk import STATEMENTS, Walk
from decision.model.facts import Access, Kind, ObjectName, RelationKind

Handler = Callable[[Walk, Node], None]


D, U = Kind.DDL, Kind.UTILITY


def _plain(kind: Kind, verb: str, what: str, *flags: str, name: str = "") -> Handler:
    """A statement that names one object of a kind without relations."""

    def handler(walk: Walk, body: Node) -> None:
        walk.kind(kind)
        walk.flags.update(flags)
        value = body.get(name) if name else None
        objects = [] if not value else [named_object(value)]
        walk.operation(verb, what, objects)

    return handler


def _transaction(walk: Walk, body: Node) -> None:
    walk.kind(Kind.TCL)
    walk.flags.add("transaction_control")
    kind = body.get("kind", "").removeprefix("TRANS_STMT_").lower()
    walk.operation(kind, "transaction")
    if kind not in ("begin", "start", "savepoint", "release"):
        walk.effects.append(TransactionEnded())
    for node in body.get("options", ()):
        element = node.get("DefElem", {})
        walk.settings[element.get("defname", "")] = None


def _drop_database(walk: Walk, body: Node) -> None:
    walk.kind(D)
    walk.flags.add("admin")
    found = [*(["if_exists"] if body.get("missing_ok") else []), *options(body)]
    walk.operation("drop", "database", [ObjectName("", body.get("dbname", ""))], found)


def _database_setting(walk: Walk, body: Node) -> None:
    walk.kind(D)
    walk.flags.add("admin")
    walk.operation("alter", "database", [ObjectName("", body.get("dbname", ""))])
    stored_setting(walk, body.get("setstmt", {}))


def _on_object(verb: str, *, field: str = "object") -> Handler:
    """COMMENT ON, SECURITY LABEL, ALTER … OWNER TO, SET SCHEMA: any object, relations among them."""

    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        kind = body.get("objtype") or body.get("objectType") or ""
        if "relation" in body:
            relation = define(walk, body["relation"])
            walk.operation(verb, object_type(kind), [ObjectName(relation.schema, relation.name)])
            if verb == "set_schema":
                taken_away(walk, relation.key)
            if verb != "comment":
                sequences(walk, relation)
                altered(walk, relation)
            return
        node = body.get(field, {})
        tag, inner = only(node) if node else ("", {})
        parts = strings(inner.get("items")) if tag == "List" else []
        on_table = kind in ("OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY")
        named = parts[:-1] if on_table else parts
        if named and (on_table or kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE")):
            relation = define(walk, {"relname": named[-1], "schemaname": named[-2] if len(named) > 1 else ""})
            walk.operation(verb, object_type(kind), [ObjectName(relation.schema, relation.name)])
            return
        plain = tag in ("ObjectWithArgs", "TypeName")
        name = named_object(inner.get("items") if tag == "List" else inner if plain else node)
        walk.operation(verb, object_type(kind), [name])
        if kind in CODE and verb == "set_schema":
            walk.effects.append(FunctionMade(name.name))

    return handler


def _statistics(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    for node in body.get("relations", ()):
        if "RangeVar" in node:
            relation = define(walk, node["RangeVar"])
            from decision.model.facts import Usage

            for element in body.get("exprs", ()):
                part = element.get("StatsElem", {})
                if "name" in part:
                    walk.use_key((*relation.key, part["name"]), Usage.CHECK)
                on_relation(walk, relation, part.get("expr"))
    walk.operation("create", "statistics", [named_object(body.get("defnames", []))])


def _discard(walk: Walk, body: Node) -> None:
    walk.kind(Kind.SESSION)
    what = body.get("target", "").removeprefix("DISCARD_").lower()
    walk.flags.add("discard")
    walk.operation("discard", what)
    if what == "all":
        walk.flags.add("role_change")
        from decision.analysis.session import SNAPSHOT_PATH

        walk.effects.append(SearchPathSet(SNAPSHOT_PATH))


def _create_sequence(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    target = body["sequence"]
    schema = creation_schema(walk, target.get("schemaname", ""), target["relpersistence"])
    name = target.get("relname", "")
    kind = RelationKind.SEQUENCE
    comes_to_be(walk, schema, name, kind)
    found = ["if_not_exists"] if body.get("if_not_exists") else []
    walk.operation("create", "sequence", [ObjectName(schema, name)], found)
    _owner(walk, body)
    columns = tuple([MadeColumn(each) for each in ("last_value", "log_cnt", "is_called")])
    walk.effects.append(RelationMade(schema, name, kind, columns))


def _alter_sequence(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    relation = define(walk, body["sequence"], missing_ok=body.get("missing_ok", False))
    walk.operation("alter", "sequence", [ObjectName(relation.schema, relation.name)])
    _owner(walk, body)


def _owner(walk: Walk, body: Node) -> None:
    """OWNED BY ties a sequence to a table's column."""
    owner = strings((options(body).get("owned_by") or {}).get("List", {}).get("items"))
    if len(owner) > 1:
        define(walk, {"relname": owner[-2], "schemaname": owner[-3] if len(owner) > 2 else ""})


def _publication(verb: str) -> Handler:
    def handler(walk: Walk, body: Node) -> None:
        walk.kind(Kind.DDL)
        walk.flags.add("replication")
        found = ["all_tables"] if body.get("for_all_tables") else []
        for node in body.get("pubobjects", ()):
            published = node.get("PublicationObjSpec", {})
            table = published.get("pubtable", {})
            if "relation" in table:
                relation = define(walk, table["relation"], Access.READ)
                on_relation(walk, relation, table.get("whereClause"))
            else:
                found.append("all_in_schema")
        walk.operation(verb, "publication", [ObjectName("", body.get("pubname", ""))], dict.fromkeys(found))

    return handler


def _unknown(walk: Walk, body: Node) -> None:
    walk.kind(Kind.UNKNOWN)
    walk.unresolved("statement", "a node that is no statement of its own")


def _foreign_schema(walk: Walk, body: Node) -> None:
    walk.kind(Kind.DDL)
    walk.flags.update(("foreign", "remote"))
    walk.operation("import", "foreign_schema", [ObjectName("", body.get("remote_schema", ""))])


def _load(walk: Walk, body: Node) -> None:
    walk.kind(Kind.UTILITY)
    walk.flags.update(("load", "file", "opaque_code"))
    walk.files[first_path(body.get("filename", ""))] = None
    walk.operation("load", "library")


STATEMENTS.update(
    {
        "TransactionStmt": _transaction,




         "CommentStmt": _on_object("comment"), "SecLabelStmt": _on_object("label"),
        "AlterOwnerStmt": _on_object("set_owner"), "AlterObjectSchemaStmt": _on_object("set_schema"),
        "AlterObjectDependsStmt": _on_object("depends"),
        "CompositeTypeStmt": _plain(D, "create", "type", name="typevar"),
        "CreateEnumStmt": _plain(D, "create", "type", name="typeName"),
        "AlterEnumStmt": _plain(D, "alter", "type", name="typeName"),
        "AlterCollationStmt": _plain(D, "alter", "collation", name="collname"),
        "CreateSeqStmt": _create_sequence, "AlterSeqStmt": _alter_sequence,
        "CreateStatsStmt": _statistics, "AlterStatsStmt": _plain(D, "alter", "statistics", name="defnames"),
        "CreateExtensionStmt": _plain(D, "create", "extension", "extension", "code", name="extname"),
        "AlterExtensionStmt": _plain(D, "alter", "extension", "extension", "code", name="extname"),
        "CreateFdwStmt": _plain(D, "create", "foreign_data_wrapper", "foreign", "code", name="fdwname"),
        "AlterFdwStmt": _plain(D, "alter", "foreign_data_wrapper", "foreign", "code", name="fdwname"),
        "CreateForeignServerStmt": _plain(D, "create", "foreign_server", "foreign", "remote", name="servername"),
        "AlterForeignServerStmt": _plain(D, "alter", "foreign_server", "foreign", "remote", name="servername"),
        "CreateUserMappingStmt": _plain(D, "create", "user_mapping", "foreign", "remote", name="servername"),
        "AlterUserMappingStmt": _plain(D, "alter", "user_mapping", "foreign", "remote", name="servername"),
        "DropUserMappingStmt": _plain(D, "drop", "user_mapping", "foreign", name="servername"),
        "ImportForeignSchemaStmt": _foreign_schema,
        "CreatePublicationStmt": _publication("create"), "AlterPublicationStmt": _publication("alter"),
        "CreateSubscriptionStmt": _plain(D, "create", "subscription", "replication", "remote", name="subname"),
        "AlterSubscriptionStmt": _plain(D, "alter", "subscription", "replication", "remote", name="subname"),
        "DropSubscriptionStmt": _plain(D, "drop", "subscription", "replication", "remote", name="subname"),
        "CreateTableSpaceStmt": _plain(D, "create", "tablespace", "file", "admin", name="tablespacename"),
        "DropTableSpaceStmt": _plain(D, "drop", "tablespace", "admin", name="tablespacename"),
        "AlterTableSpaceOptionsStmt": _plain(D, "alter", "tablespace", "admin", name="tablespacename"),

        "CreatedbStmt": _plain(D, "create", "database", "admin", name="dbname"),
        "DropdbStmt": _drop_database,
        "AlterDatabaseStmt": _plain(D, "alter", "database", "admin", name="dbname"),
        "AlterDatabaseSetStmt": _database_setting,
        "AlterDatabaseRefreshCollStmt": _plain(D, "alter", "database", "admin", name="dbname"),
        "AlterTSConfigurationStmt": _plain(D, "alter", "text_search_configuration", name="cfgname"),
        "AlterTSDictionaryStmt": _plain(D, "alter", "text_search_dictionary", name="dictname"),
        "CheckPointStmt": _plain(U, "checkpoint", "system", "admin"), "LoadStmt": _load,
        "NotifyStmt": _plain(U, "notify", "channel", "notify", name="conditionname"),
        "ListenStmt": _plain(U, "listen", "channel", "notify", name="conditionname"),
        "UnlistenStmt": _plain(U, "unlisten", "channel", "notify", name="conditionname"),
        "ConstraintsSetStmt": _plain(Kind.SESSION, "set", "constraints"),
        "ClosePortalStmt": _plain(Kind.CURSOR, "close", "cursor", "cursor", name="portalname"),
        "DeallocateStmt": _plain(Kind.SESSION, "deallocate", "prepared_statement", name="name"),
        "DiscardStmt": _discard, "ReplicaIdentityStmt": _unknown, "SetOperationStmt": _unknown,
        "RawStmt": _unknown, "ReturnStmt": _unknown, "PLAssignStmt": _unknown,
    }
)  # fmt: skip
