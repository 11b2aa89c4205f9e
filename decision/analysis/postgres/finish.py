"""From a finished walk to a `Statement`, and back from the facts of what was prepared or declared earlier."""

from __future__ import annotations

from typing import TypeVar

from decision.analysis.flow import CONSTANT, TEMP_SCHEMA, Flow, Key, Shape, either
from decision.analysis.postgres.kept import with_filled
from decision.analysis.postgres.predicates import weakest
from decision.analysis.postgres.walk import Walk
from decision.model.facts import (
    Access,
    ColumnUse,
    FunctionUse,
    Kind,
    ObjectName,
    OutputColumn,
    RelationUse,
    Statement,
    Usage,
)

Member = TypeVar("Member", Access, Usage)
_ACCESS = tuple(Access)
_USAGE = tuple(Usage)
_PLAIN_USAGE = tuple([usage for usage in Usage if usage is not Usage.PROBE])  # where nothing is pinned


def _tags(walk: Walk, keys: frozenset[Key]) -> tuple[str, ...]:
    if walk.catalog is None or not keys:
        return ()
    tagged = walk.catalog.tags
    if len(keys) == 1:
        (key,) = keys
        return tagged.get(key, ())
    found: set[str] = set()
    for key in keys:
        if key in tagged:
            found.update(tagged[key])
    return tuple(sorted(found)) if found else ()


def _use_tags(walk: Walk, key: Key) -> tuple[str, ...]:
    if walk.catalog is None:
        return ()
    return _tags(walk, _made_sources(walk, key)) if walk.state.made else walk.catalog.tags.get(key, ())


def _made_sources(walk: Walk, key: Key) -> frozenset[Key]:
    if walk.state.made:
        for made in walk.state.made:
            if (made.schema, made.name) == key[:2]:
                for column in made.columns:
                    if column.name == key[2]:
                        return column.sources | {key}
    return frozenset({key})


def outputs(walk: Walk) -> tuple[OutputColumn, ...]:
    shape = walk.output
    if shape is None:
        return ()
    return tuple(
        [
            OutputColumn(ordinal, name, flow.columns(), flow.transform, _tags(walk, flow.sources), flow.opaque)
            for ordinal, (name, flow) in enumerate(zip(shape.names, shape.flows, strict=True), 1)
        ]
    )


def _ordered(members: set[Member], order: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(members) if len(members) == 1 else tuple([member for member in order if member in members])


def facts_of(
    walk: Walk, fingerprint: str = "", normalized_text: str = "", location: int = 0, length: int = 0
) -> Statement:
    relations = tuple(
        [
            RelationUse(schema, name, record.kind, _ordered(record.access, _ACCESS), via, record.tags, record.oid)
            for (schema, name, via), record in walk.relations.items()
        ]
    )
    predicate = weakest(walk.predicates) if walk.predicates else None
    usages = _USAGE if predicate is not None and predicate.pinned else _PLAIN_USAGE
    columns = tuple(
        [
            ColumnUse(
                *key,
                _ordered(walk.columns[key], _USAGE if key in walk.computed else usages),
                _use_tags(walk, key),
            )
            for key in (sorted(walk.columns) if len(walk.columns) > 1 else walk.columns)
        ]
    )
    return Statement(
        fingerprint=fingerprint,
        normalized_text=normalized_text,
        kinds=tuple(walk.kinds),
        parameter_count=walk.parameters,
        operations=tuple(walk.operations),
        relations=relations,
        columns=columns,
        output=outputs(walk),
        functions=tuple([FunctionUse(*name, walk.functions[name]) for name in sorted(walk.functions)]),
        predicate=predicate,
        settings=tuple(walk.settings),
        files=tuple(walk.files),
        programs=tuple(walk.programs),
        flags=tuple(sorted(walk.flags)),
        unresolved=tuple(walk.unresolved_),
        estimated_rows=walk.estimate,
        returns_rows=walk.returns_rows,
        location=location,
        length=length,
    )


def restore(walk: Walk, statements: list[Statement], what: str) -> None:
    """Add the facts of earlier statements, of which one is meant; several alternatives are united."""
    for known in statements:
        for relation in known.relations:
            for access in relation.access:
                walk.touch(
                    relation.schema, relation.name, relation.kind, access, relation.oid, relation.tags, relation.via
                )
        for column in known.columns:
            key = (column.schema, column.table, column.column)
            for usage in column.usage:
                walk.use_key(key, usage)
            if Usage.PROBE in column.usage:
                walk.computed.add(key)
        for function in known.functions:
            walk.functions[(function.schema, function.name)] = function.effects
        for kind in known.kinds:
            if kind is not Kind.PREPARE:
                walk.kind(kind)
        walk.operations += known.operations
        walk.settings.update(dict.fromkeys(known.settings))
        walk.files.update(dict.fromkeys(known.files))
        walk.programs.update(dict.fromkeys(known.programs))
        walk.flags.update(known.flags)
        walk.unresolved_.update(dict.fromkeys(known.unresolved))
        walk.parameters = max(walk.parameters, known.parameter_count if what != "EXECUTE" else 0)
        if known.predicate is not None:
            walk.predicates.append(known.predicate)
        if known.estimated_rows is not None:
            walk.estimate = max(walk.estimate or 0, known.estimated_rows)
    shapes = [shape_of(known) for known in statements]
    if len({len(shape.flows) for shape in shapes}) > 1:
        walk.unresolved(what, "the name may stand for statements with different columns")
    first = shapes[0]
    flows = [either([s.flows[i] for s in shapes if i < len(s.flows)] or [CONSTANT]) for i in range(len(first.flows))]
    walk.output = with_filled(walk, Shape(first.names, flows))
    walk.returns_rows = any(known.returns_rows for known in statements)


def shape_of(known: Statement) -> Shape:
    """The output of an earlier statement."""
    flows = [
        Flow(frozenset((s.schema, s.table, s.column) for s in output.sources), output.transform, output.opaque)
        for output in known.output
    ]
    return Shape([output.name for output in known.output], flows)


__all__ = ["TEMP_SCHEMA", "ObjectName", "facts_of", "restore"]
