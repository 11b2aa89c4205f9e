"""A snapshot of a database's catalog: what analysis must know beyond the statement's text.

The enforcement point reads it (enforcement.catalog), the decision service keeps the newest one of each database.
A snapshot is a value: equal content has an equal `version`, a digest which is part of every analysis cache key.
"""

from __future__ import annotations

from dataclasses import dataclass

from decision.model.facts import RelationKind


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """`number` is pg_attribute.attnum; `type_oid`/`type_name` of the column; `tags` from detectors and settings;
    `expression` is its default, or what it is generated from."""

    name: str
    number: int
    type_oid: int
    type_name: str
    not_null: bool = False
    has_default: bool = False
    generated: bool = False
    tags: tuple[str, ...] = ()
    expression: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """From this relation's `columns` to another's; `on_delete`/`on_update`: no_action restrict cascade set_null
    set_default."""

    name: str
    columns: tuple[str, ...]
    target_schema: str
    target_table: str
    target_columns: tuple[str, ...]
    on_delete: str = "no_action"
    on_update: str = "no_action"


@dataclass(frozen=True, slots=True)
class Trigger:
    """`after`: it runs after the change, or once a statement, so it can't change what the written row holds."""

    name: str
    events: tuple[str, ...]  # insert update delete truncate
    function_schema: str
    function_name: str
    enabled: bool = True
    after: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite rule other than a view's _RETURN. `definition` as pg_get_ruledef prints it."""

    name: str
    event: str  # select insert update delete
    instead: bool
    definition: str


@dataclass(frozen=True, slots=True)
class RowPolicy:
    name: str
    command: str  # all select insert update delete
    using_expression: str = ""
    check_expression: str = ""


@dataclass(frozen=True, slots=True)
class RelationIndex:
    """An index; `expressions` as pg_get_expr prints them, joined by commas; `predicate` of a partial one."""

    name: str
    unique: bool = False
    expressions: str = ""
    predicate: str = ""


@dataclass(frozen=True, slots=True)
class CatalogRelation:
    """A relation. `definition` is a view's query as pg_get_viewdef prints it (empty for others).

    `parents` and `children` are (schema, name) of inheritance and partitioning; `keys` the primary key first, then
    the unique constraints and indexes (plain columns, no predicate); `estimated_rows` is reltuples, -1 if unknown.
    `checks` are the check constraints' expressions, `foreign_server` where a foreign table's rows are.
    """

    schema: str
    name: str
    oid: int
    kind: RelationKind
    columns: tuple[CatalogColumn, ...]
    definition: str = ""
    keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    row_policies: tuple[RowPolicy, ...] = ()
    row_security: bool = False
    parents: tuple[tuple[str, str], ...] = ()
    children: tuple[tuple[str, str], ...] = ()
    estimated_rows: int = -1
    tags: tuple[str, ...] = ()
    indexes: tuple[RelationIndex, ...] = ()
    checks: tuple[str, ...] = ()
    foreign_server: str = ""


@dataclass(frozen=True, slots=True)
class CatalogFunction:
    """A function, procedure or aggregate outside pg_catalog (built-in ones come from analysis' own table).

    `kind`: function procedure aggregate window; `volatility`: immutable stable volatile; `body` is its source for
    languages sql and plpgsql, empty otherwise. `argument_names` are all named parameters, the output ones too, in
    order, without the nameless; `configuration` are the settings that hold while it runs (SET search_path = …).
    `argument_defaults` are expressions, joined by commas.
    """

    schema: str
    name: str
    oid: int
    argument_types: tuple[str, ...]
    return_type: str
    language: str
    volatility: str
    kind: str = "function"
    security_definer: bool = False
    returns_set: bool = False
    body: str = ""
    argument_names: tuple[str, ...] = ()
    configuration: tuple[tuple[str, str], ...] = ()
    argument_defaults: str = ""


@dataclass(frozen=True, slots=True)
class CatalogOperator:
    """An operator that runs a function outside pg_catalog, or that is outside pg_catalog itself."""

    schema: str
    name: str
    function_schema: str
    function_name: str


@dataclass(frozen=True, slots=True)
class CatalogCast:
    """A cast that a user or an extension made. `method`: function inout binary; the function is empty without one.
    `context`: explicit assignment implicit. Types as format_type prints them."""

    source: str
    target: str
    method: str
    context: str
    function_schema: str = ""
    function_name: str = ""


@dataclass(frozen=True, slots=True)
class CatalogDomain:
    """A domain; `type_name` as format_type prints it, `checks` over VALUE, `default` an expression or empty."""

    schema: str
    name: str
    type_name: str
    checks: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Runs at DDL. `event`: ddl_command_start ddl_command_end sql_drop table_rewrite login; `tags` that it is for."""

    name: str
    event: str
    function_schema: str
    function_name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogSnapshot:
    """Everything analysis may know of one database. `version` is the hex digest of the rest."""

    database: str
    server_version: int  # server_version_num, e.g. 180004
    version: str
    search_path: tuple[str, ...] = ("pg_catalog", "public")
    relations: tuple[CatalogRelation, ...] = ()
    functions: tuple[CatalogFunction, ...] = ()
    extensions: tuple[str, ...] = ()
    operators: tuple[CatalogOperator, ...] = ()
    casts: tuple[CatalogCast, ...] = ()
    domains: tuple[CatalogDomain, ...] = ()
    event_triggers: tuple[EventTrigger, ...] = ()
