"""Names of relations through the catalog snapshot: what is meant, what else a view, key or trigger pulls in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from decision.analysis.catalog import Entry
from decision.analysis.dialects.scopes import Source
from decision.analysis.flow import Flow
from decision.model.catalog import ForeignKey, Trigger
from decision.model.facts import Access, Kind, RelationKind, Transform, Via

if TYPE_CHECKING:
    from decision.analysis.dialects.walk import Walk

MAX_VIEWS = 16
CASCADES = ("cascade", "set_null", "set_default")


def path(table: exp.Table) -> tuple[str, ...] | None:
    """The name as written, outermost first, empty parts as empty texts; None where it isn't made of identifiers."""
    if any("@" in str(part.name) for part in table.parts) and (link := _link(table)) is not None:
        return link
    found: list[object] = [table.args.get("catalog"), table.args.get("db")]
    last: object = table.this
    while isinstance(last, exp.Dot):
        found.append(last.expression)
        last = last.this
    found[2:] = [last, *reversed(found[2:])]
    if any(part and not isinstance(part, exp.Identifier) for part in found) or not found[-1]:
        return None
    names = [part.name if isinstance(part, exp.Identifier) else "" for part in found]
    if isinstance(last, exp.Identifier):  # #t and ##t are no t
        names[-1] = ("##" if last.args.get("global_") else "#" if last.args.get("temporary") else "") + names[-1]
    while len(names) > 1 and not names[0]:
        names.pop(0)
    return tuple(names)


def _link(table: exp.Table) -> tuple[str, ...] | None:
    """Oracle's relation@link.domain, as (link, nothing, schema, relation), which the parser takes for one name."""
    written = [part.name for part in table.parts if isinstance(part, exp.Identifier)]
    place = next((i for i, name in enumerate(written) if "@" in name), None)
    if place is None or not written:
        return None
    name, _, link = written[place].partition("@")
    return (link, "", written[place - 1] if place else "", name)


def parts(table: exp.Table) -> tuple[str, str, str] | None:
    """(database, schema, name) as written; None where the name isn't made of plain identifiers, or of more."""
    found = path(table)
    if found is None or len(found) > 3:
        return None
    database, schema, name = ("", "", *found)[-3:]
    return database, schema, name


def lookup(walk: Walk, database: str, schema: str, name: str) -> Entry | None:
    """The relation of the snapshot that is meant, letters' case aside where that is unambiguous."""
    index = walk.record.index
    if index is None or not is_own(walk, database):
        return None
    if schema:
        wanted = [schema]
    else:
        wanted = [*index.search_path(), *walk.record.traits.default_schemas, index.snapshot.database]
    for one in wanted:
        spellings = walk.spellings.get((one.casefold(), name.casefold()), ())
        exact = [pair for pair in spellings if pair == (one, name)]
        chosen = exact or list(spellings)
        if len(chosen) == 1:
            return index.entry(*chosen[0])
        if chosen:
            return None
    return None


def relation(walk: Walk, table: exp.Expr, access: Access) -> Source:
    """Touches the relation that `table` names; its columns as a source named after it."""
    if not isinstance(table, exp.Table):
        walk.record.unresolved(type(table).__name__, "this is no plain name of a relation")
        return Source("", (), is_open=True)
    found = path(table)
    if found is None:
        walk.record.unresolved(type(table.this).__name__, "this is no plain name of a relation")
        return Source(table.alias, (), is_open=True)
    return by_name(walk, found, access)


def by_name(walk: Walk, found: Sequence[str], access: Access) -> Source:
    """`found`: the parts of the name, outermost first; four of them, the first on a linked server."""
    if len(found) > 3:
        return _elsewhere(walk, found, access)
    database, schema, name = ("", "", *found)[-3:]
    record = walk.record
    record.budget.charge(1)
    entry = lookup(walk, database, schema, name)
    folded, owner = name.casefold(), schema.casefold()
    if entry is None:
        return _unknown(walk, database, schema, name, access)
    if any(made.name.casefold() == folded for made in record.state.made) or (
        not schema and record.state.search_paths and record.traits.name != "postgres"
    ):
        record.unresolved(walk.shown(name), "the session made or chose something that changes what the name means")
    elif any(mark.name.casefold() == folded for mark in record.state.altered):
        record.unresolved(walk.shown(name), "the session changed it after the catalog was read")
    record.touch(*entry.key, entry.kind, access, entry.relation.tags, entry.relation.oid)
    columns = [(column.name, flow) for column, flow in zip(entry.relation.columns, entry.shape.flows, strict=True)]
    if entry.is_view:
        columns = _view(walk, entry, access)
    if access is Access.WRITE:
        _consequences(walk, entry)
    source = Source(
        name, columns, relation=entry.key, schema=owner or entry.key[0], hidden=record.traits.system_columns
    )
    if record.traits.name == "sqlite":  # rowid may be another name of a key of one column
        source.aliases = frozenset((*entry.key, key[0]) for key in entry.relation.keys if len(key) == 1)
    return source


def _unknown(walk: Walk, database: str, schema: str, name: str, access: Access) -> Source:
    record = walk.record
    folded, owner = name.casefold(), schema.casefold()
    shown = name if name.startswith("#") else walk.shown(name)
    first, _, _ = folded.partition(".")
    if owner in record.traits.system or first in record.traits.system or folded.startswith("sqlite_"):
        if "." in name:  # BigQuery's dataset.INFORMATION_SCHEMA.VIEW is one name of its tree
            schema, _, shown = name.rpartition(".")
        if not is_own(walk, database) and database.casefold() != record.traits.name:
            record.flags.add("other_database")
            record.unresolved(shown, "it belongs to another database")
        record.touch(schema, shown, RelationKind.SYSTEM, access)
        return Source(name, (), is_open=True, relation=(schema, shown), schema=schema)
    temporary = name.startswith("#") or owner in ("temp", "tempdb")
    record.touch(schema, shown, RelationKind.TEMPORARY if temporary else RelationKind.UNKNOWN, access)
    if not is_own(walk, database):
        record.flags.add("other_database")
        record.unresolved(walk.shown(name), "it belongs to another database")
    else:
        record.unresolved(walk.shown(name), "no such relation is in the catalog")
    if record.traits.name == "duckdb" and any(mark in name for mark in "./*"):
        record.flags.add("file")
        record.files[""] = None
    return Source(name, (), is_open=True, relation=(schema, shown), schema=schema)


def is_own(walk: Walk, database: str) -> bool:
    """Whether that is the catalog's database; empty: the one that the session is in."""
    index = walk.record.index
    return not database or (index is not None and database.casefold() == index.snapshot.database.casefold())


def made(walk: Walk, table: exp.Expr | None) -> None:
    """Where something new goes: another database or server, or a schema that the catalog has nothing of, is unknown."""
    while isinstance(table, exp.Schema):
        table = table.this
    found = path(table) if isinstance(table, exp.Table) else None
    index = walk.record.index
    if found is None or index is None or len(found) < 2:
        return
    traits = walk.record.traits
    schema = found[-2].casefold()
    known = {relation.schema.casefold() for relation in index.snapshot.relations}
    known.update(one.casefold() for one in (*index.search_path(), *traits.default_schemas, "tempdb", ""))
    if len(found) > 3:
        walk.record.flags.add("remote")
    elif not is_own(walk, found[-3] if len(found) > 2 else "") or schema not in known:
        walk.record.flags.add("other_database")
    else:
        return
    walk.record.unresolved(walk.shown(found[-1]), "it is made in a place that the catalog does not know")


def _elsewhere(walk: Walk, found: Sequence[str], access: Access) -> Source:
    """A name of four parts or more: what the first of them names is another server, or not known at all."""
    record = walk.record
    record.budget.charge(1)
    schema, name = walk.shown(found[-2]) if found[-2] else "", walk.shown(found[-1])
    record.touch(schema, name, RelationKind.FOREIGN_TABLE, access)
    record.flags.add("remote")
    record.unresolved(walk.shown(found[0]), "another server, where it is not known what this is")
    return Source(found[-1], (), is_open=True, relation=(schema, name), schema=schema)


def _view(walk: Walk, entry: Entry, access: Access) -> list[tuple[str, Flow]]:
    """The view's columns as flows of its base columns; what it reads is touched."""
    record = walk.record
    labels = [column.name for column in entry.relation.columns]
    if entry.key in record.expanding or len(record.expanding) >= MAX_VIEWS:
        record.unresolved(walk.shown(entry.key[1]), "views refer to each other")
        return [(label, Flow(opaque=True)) for label in labels]
    before, record.via = record.via, Via.VIEW
    record.expanding.append(entry.key)
    try:
        output = walk.view(entry.relation.definition)
        if access is Access.WRITE:
            for key, found in list(record.relations.items()):
                if key[2] is Via.VIEW and Access.READ in found.access:
                    found.access.add(Access.WRITE)
    finally:
        record.expanding.pop()
        record.via = before
    if output is None or len(output) != len(labels):
        record.unresolved(walk.shown(entry.key[1]), "the view's definition can't be read")
        return [(label, Flow(frozenset({(*entry.key, label)}), Transform.IDENTITY, True)) for label in labels]
    return [
        (label, Flow(flow.sources | {(*entry.key, label)}, flow.transform, flow.opaque))
        for label, (_, flow) in zip(labels, output, strict=True)
    ]


# Where a foreign key of an ordinary table changes other tables: what DELETE sets off, and what UPDATE does.
_ON_DELETE = frozenset({"mysql", "sqlite", "tsql", "oracle"})
_ON_UPDATE = frozenset({"mysql", "sqlite", "tsql"})
_CASCADES_FIRE = frozenset({"sqlite", "tsql", "oracle"})  # the triggers of the tables that they change


def _consequences(walk: Walk, entry: Entry) -> None:
    """Triggers can't be read in these dialects; a foreign key that cascades writes its table."""
    record = walk.record
    _triggers(walk, entry.key[1], entry.relation.triggers)
    assert record.index is not None
    waiting, done = [entry.key], {entry.key}
    while waiting:
        for relation, number in record.index.referenced.get(waiting.pop(), ()):
            constraint = relation.foreign_keys[number]
            key = (relation.schema, relation.name)
            if key not in done and _cascades(walk, constraint):
                done.add(key)
                waiting.append(key)
                before, record.via = record.via, Via.FOREIGN_KEY
                record.touch(*key, relation.kind, Access.WRITE, relation.tags, relation.oid)
                record.via = before
                if walk.dialect in _CASCADES_FIRE:
                    _triggers(walk, relation.name, relation.triggers)


def _cascades(walk: Walk, constraint: ForeignKey) -> bool:
    """Whether the statement, as far as its kinds are known, may set the constraint's action off."""
    kinds = walk.record.kinds
    removes = Kind.DELETE in kinds or Kind.MERGE in kinds
    changes = Kind.UPDATE in kinds or Kind.MERGE in kinds or removes
    return (removes and walk.dialect in _ON_DELETE and constraint.on_delete in CASCADES) or (
        changes and walk.dialect in _ON_UPDATE and constraint.on_update in CASCADES
    )


def _triggers(walk: Walk, name: str, triggers: Sequence[Trigger]) -> None:
    if any(trigger.enabled for trigger in triggers):
        walk.record.unresolved(walk.shown(name), "triggers run, whose code is not read")
