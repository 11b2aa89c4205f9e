"""What takes rows out of the database's tables or into them: COPY, exports, loads, files; and PRAGMA and ATTACH."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects import names, writes
from decision.analysis.dialects.queries import query
from decision.analysis.dialects.scopes import Scope, union
from decision.analysis.dialects.settings import SECURITY_SETTINGS
from decision.analysis.dialects.walk import Walk
from decision.analysis.effects import SearchPathSet
from decision.model.facts import Access, Kind, Transform, Usage


def shows(walk: Walk) -> None:
    """Rows that describe the database, not its data: their columns are the server's own."""
    walk.record.returns_rows = True
    walk.record.output = [("*", union([], Transform.EXPRESSION, opaque=True))]


def copy(walk: Walk, tree: exp.Copy) -> None:
    """COPY INTO of Snowflake and COPY of DuckDB; what is no plain relation is a file or a stage."""
    record = walk.record
    record.flags.add("file")
    files = [one for one in tree.args.get("files") or () if isinstance(one, exp.Expr)]
    inner = tree.this
    outward = not _is_relation(walk, inner) or not tree.args.get("kind")
    record.kind(Kind.COPY_OUT if outward else Kind.COPY_IN)
    record.flags.add("copy_to" if outward else "copy_from")
    sides = [inner, *files]
    for side in sides:
        walk.see(side)
        if isinstance(side, exp.Subquery | exp.Query):
            if outward:
                record.output = query(walk, side, Scope(), output=True)[0]
            else:
                record.unresolved("COPY", "a query over staged files")
                query(walk, side, Scope(), output=False)
        elif _is_relation(walk, side) and (outward or side is inner):
            _copied(walk, side, outward)
        else:
            walk.see(*side.walk())
            place = _first_word(side)
            record.files[place] = None
            if "://" in place and not place.startswith("file:"):
                record.flags.add("remote")
    if not record.relations and not record.output:
        record.unresolved("COPY", "it is not known what is copied")


def _copied(walk: Walk, side: exp.Expr, outward: bool) -> None:
    table = side.this if isinstance(side, exp.Schema) else side
    assert isinstance(table, exp.Table)
    walk.see(table, *side.find_all(exp.Column))
    found = names.relation(walk, table, Access.READ if outward else Access.WRITE)
    if outward:
        walk.record.output = list(found.columns) or [("*", found.row())]
        for _, flow in found.columns:
            walk.record.use(flow, Usage.OUTPUT)
    else:
        writes.write_columns(walk, found, [c.name for c in side.expressions] if isinstance(side, exp.Schema) else None)


def _is_relation(walk: Walk, side: exp.Expr) -> bool:
    table = side.this if isinstance(side, exp.Schema) else side
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        return False
    return not (table.this.args.get("quoted") and names.lookup(walk, *names.parts(table) or ("", "", "")) is None)


def _first_word(side: exp.Expr) -> str:
    """`s3://bucket` of a place, `@stage` of a stage: no file names, which may be anything."""
    text = side.name
    head, mark, rest = text.partition("://")
    return f"{head}://{rest.split('/')[0]}" if mark else ("/" if text.startswith("/") else text.split("/")[0])


def export(walk: Walk, tree: exp.Export) -> None:
    record = walk.record
    record.kind(Kind.COPY_OUT)
    record.flags.update(("file", "remote", "copy_to"))
    record.files["gs://"] = None
    if isinstance(tree.this, exp.Query):
        record.output = query(walk, tree.this, Scope(), output=True)[0]
    else:
        record.refuse("EXPORT", "it is not known what is exported")


def load(walk: Walk, tree: exp.LoadData) -> None:
    walk.record.kind(Kind.COPY_IN)
    walk.record.flags.update(("file", "remote", "copy_from"))
    walk.record.files["gs://"] = None
    if tree.args.get("overwrite"):
        walk.record.kind(Kind.DELETE)
    target = writes.target_of(walk, tree.this)
    writes.write_columns(walk, target, None)


def pragma(walk: Walk, tree: exp.Pragma) -> None:
    """Readers of the schema are plain; whatever sets or isn't listed changes how the database behaves."""
    record = walk.record
    inner = tree.this
    walk.see(*tree.walk())
    label = inner.this if isinstance(inner, exp.EQ) else inner
    if not isinstance(label, exp.Expr):
        record.refuse("PRAGMA", "what it sets is not known")
        return
    name = (label.name or (str(label.this) if isinstance(label.this, str) else "")).lower()
    of_relation = frozenset(
        {"table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
    )
    reading = of_relation | {
        "table_list", "database_list", "user_version", "schema_version", "page_count", "encoding", "compile_options",
        "function_list", "show_tables", "version", "database_size", "collation_list",
    }  # fmt: skip
    if (isinstance(inner, exp.EQ) and name not in of_relation) or name not in reading:
        record.kind(Kind.SESSION)
        record.settings[walk.shown(name)] = None
        record.flags.update(("setting", "admin"))
        if name in SECURITY_SETTINGS:
            record.flags.add("security_setting")
        if name not in reading and not isinstance(inner, exp.EQ):
            record.refuse("PRAGMA", "what it does is not known")
    else:
        record.kind(Kind.UTILITY)
    shows(walk)


def attach(walk: Walk, tree: exp.Expr) -> None:
    walk.see(*tree.walk())
    walk.record.kind(Kind.UTILITY, Kind.UNKNOWN)
    walk.record.flags.update(("file", "admin"))
    walk.record.files[""] = None
    walk.record.operate(type(tree).__name__.lower(), "database")
    walk.record.unresolved("ATTACH", "another database")
    walk.record.effects.append(SearchPathSet(None))
