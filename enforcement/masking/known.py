"""What the catalog says of types that a server's own answers do not say: which hold text here, and what COPY sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from decision.model.catalog import CatalogRelation, CatalogSnapshot

TEXT_EXTENSIONS = frozenset({"citext"})  # each brings a type of its name, which is text in both formats
FIRST_USER_OID = 16384


@dataclass(frozen=True, slots=True)
class CopySource:
    """The table that a COPY names: `schema` empty where it names none, `columns` empty for all of them."""

    schema: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownTypes:
    """Of one database. `tables` by OID."""

    text_types: frozenset[int] = frozenset()
    tables: Mapping[int, CatalogRelation] = field(default_factory=dict)

    def copied(self, source: CopySource | None, oids: Iterable[int], columns: int) -> tuple[int, ...]:
        """The types of COPY's `columns` columns; none if they can't be said. `oids` are the tables of the statement.

        A picture that is not current does no harm: it shapes the masks, and never takes one away.
        """
        if source is None:
            return ()
        tables = [self.tables[oid] for oid in oids if oid in self.tables]
        named = [one for one in tables if one.name == source.table and source.schema in ("", one.schema)]
        if len(named) != 1:
            return ()
        types = {column.name: column.type_oid for column in named[0].columns}
        names = source.columns or tuple(column.name for column in named[0].columns if not column.generated)
        found = tuple(types[name] for name in names if name in types)
        return found if len(found) == len(names) == columns else ()


def known_types(snapshot: CatalogSnapshot) -> KnownTypes:
    """Keeps the users' relations of the snapshot, and nothing else of it."""
    ours = TEXT_EXTENSIONS & frozenset(snapshot.extensions)
    text = {
        column.type_oid
        for relation in snapshot.relations
        for column in relation.columns
        if column.type_oid >= FIRST_USER_OID and column.type_name.rpartition(".")[2] in ours
    }
    tables = {relation.oid: relation for relation in snapshot.relations if relation.oid >= FIRST_USER_OID}
    return KnownTypes(frozenset(text), tables)
