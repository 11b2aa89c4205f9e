"""Random queries over the small schema: FROM in all its forms, grouping, set operations, WITH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.support.sql_expressions import Column, Expressions, Integers, Scope, Source, Value
from tests.support.sql_schema import TABLES, TAINTED

_GROUPINGS = (
    "{0}", "{0}", "ROLLUP ({0})", "GROUPING SETS (({0}), ())", "CUBE ({0})", "ROLLUP ({0}, {1})",
    "GROUPING SETS (({0}, {1}), ({1}), ())", "DISTINCT {0}, ROLLUP ({1})",
)  # fmt: skip


class Queries:
    """Draws queries. `sensitive` is the column of TAINTED that is watched."""

    def __init__(self, integers: Integers, sensitive: str) -> None:
        implicit = integers(0, 3) == 0
        self.build = Expressions(integers, implicit)
        self.build.subquery = self.subquery
        self.tainted = TAINTED[sensitive]
        self.ctes: list[Source] = []

    def subquery(self, scope: Scope, depth: int, kinds: Sequence[str]) -> tuple[str, tuple[Column, ...]]:
        inner = Scope((), (*scope.sources, *scope.outer), clean=scope.clean)
        return self.plain(inner, depth, kinds)

    def query(self, scope: Scope, depth: int, kinds: Sequence[str] | None) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        choice = draw.integers(0, 9) if depth > 0 and draw.fuel > 0 else 0
        if choice == 7:
            return self.set_operation(scope, depth - 1, kinds)
        if choice == 8:
            return self.with_query(scope, depth - 1, kinds)
        if choice == 9 and kinds is None:
            return self.values(scope)
        return self.plain(scope, depth, kinds)

    def values(self, scope: Scope) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        rows = [[draw.value(scope, kind, 1) for kind in ("text", "int")] for _ in range(2)]
        text = ", ".join(f"({row[0].sql}, {row[1].sql})" for row in rows)
        taints = [any(row[place].taint for row in rows) for place in range(2)]
        return f"(VALUES {text})", (Column("column1", "text", taints[0]), Column("column2", "int", taints[1]))

    def set_operation(self, scope: Scope, depth: int, kinds: Sequence[str] | None) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        wanted = tuple(kinds or [draw.pick(("text", "int")) for _ in range(draw.integers(1, 3))])
        word = draw.pick(("UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL"))
        inner = scope if word == "UNION ALL" else draw.deciding(scope)
        left, first = self.plain(inner, depth, wanted)
        right, second = self.plain(inner, depth, wanted)
        columns = tuple(Column(a.name, a.kind, a.taint or b.taint) for a, b in zip(first, second, strict=True))
        return f"(({left}) {word} ({right}))", columns

    def with_query(self, scope: Scope, depth: int, kinds: Sequence[str] | None) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        name = draw.pick(("w", "users", draw.fresh("cte")))
        recursive = draw.chance(30) and name != "users"
        shown = draw.pick(("", "MATERIALIZED ", "NOT MATERIALIZED "))
        if recursive:
            start, columns = self.plain(scope, depth, ("text", "text", "int"))
            names = ["a", "b", "n"]
            text = (
                f"WITH RECURSIVE {name}({', '.join(names)}) AS {shown}(({start}) UNION ALL "
                f"SELECT r.b, r.a || '+', r.n + 1 FROM {name} r WHERE r.n < 3)"
            )
            both = columns[0].taint or columns[1].taint
            more: list[Column] = []
            if draw.chance(30):
                text += draw.pick((" SEARCH DEPTH FIRST BY a SET ord", " SEARCH BREADTH FIRST BY n, b SET ord"))
                more = [Column("ord", "record", both or columns[2].taint or draw.implicit)]
            if draw.chance(30) and (draw.implicit or not columns[2].taint):
                text += " CYCLE n SET cyc USING path"
                more += [
                    Column("cyc", "bool", draw.implicit),
                    Column("path", "record", columns[2].taint or draw.implicit),
                ]
            if draw.implicit:
                columns = tuple(Column(column.name, column.kind, True) for column in columns)
            elif columns[2].taint:
                text = text.replace("r.n < 3", "false")
            made: tuple[Column, ...] = (
                Column("a", "text", both),
                Column("b", "text", both),
                Column("n", "int", columns[2].taint),
                *more,
            )
        else:
            body, columns = self.query(scope, depth, None)
            names = [f"w{number}" for number in range(len(columns))]
            made = tuple(replace(column, name=n) for n, column in zip(names, columns, strict=True))
            text = f"WITH {name}({', '.join(names)}) AS {shown}({body})"
        before = list(self.ctes)
        self.ctes.append(Source(name, made))
        rest, columns = self.plain(scope, depth, kinds)
        self.ctes = before
        return f"({text} {rest})", columns

    def plain(self, scope: Scope, depth: int, kinds: Sequence[str] | None) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        sources, from_text = self.from_clause(scope, depth)
        inner = replace(scope, sources=tuple(sources))
        where = f" WHERE {draw.value(draw.deciding(inner), 'bool', min(depth, 2)).sql}" if draw.chance(40) else ""
        style = draw.integers(0, 5)
        if style == 0 and kinds is None and depth > 0:
            return self.starred(sources, from_text + where)
        wanted = kinds or [draw.pick(("text", "text", "int", "bool")) for _ in range(draw.integers(1, 3))]
        if style == 1:
            return self.grouped(inner, from_text + where, wanted, depth)
        listed: list[Value] = []
        windows = style == 2
        picking = replace(inner, windows=windows)
        for kind in wanted:
            listed.append(draw.value(picking, kind, min(depth, 3)))
        tail = where
        deciding = draw.deciding(inner)
        if windows:
            by, order = draw.leaf(deciding, "int").sql, draw.leaf(deciding, "text").sql
            tail += f" WINDOW w AS (PARTITION BY {by} ORDER BY {order})"
        distinct = ""
        if style == 3 and (draw.implicit or not any(value.taint for value in listed)):
            distinct = "DISTINCT "
        elif style == 4:
            key = draw.leaf(deciding, "text").sql
            distinct = f"DISTINCT ON ({key}) " if key != "'k'" else ""
            tail += f" ORDER BY {key}" if distinct else ""
        elif style == 5 and draw.chance(60) and draw.leaf(deciding, "text").sql != "'k'":
            tail += f" ORDER BY {draw.value(deciding, 'text', 1).sql} || ''"
            tail += draw.pick(("", " DESC NULLS LAST LIMIT 2", " OFFSET 1", " FETCH FIRST 1 ROW WITH TIES"))
        return self.listed(listed, wanted, f"SELECT {distinct}<listed>{from_text}{tail}")

    def listed(self, values: list[Value], kinds: Sequence[str], template: str) -> tuple[str, tuple[Column, ...]]:
        names = [self.build.fresh("c") for _ in values]
        text = ", ".join(f"{value.sql} AS {name}" for value, name in zip(values, names, strict=True))
        columns = tuple(Column(n, k, v.taint) for n, k, v in zip(names, kinds, values, strict=True))
        return template.replace("<listed>", text), columns

    def starred(self, sources: list[Source], tail: str) -> tuple[str, tuple[Column, ...]]:
        if len(sources) == 1 or self.build.chance(50):
            source = self.build.pick(sources)
            return f"SELECT {source.alias}.*{tail}", source.columns
        if tail.startswith(" FROM") and "USING" not in tail and "NATURAL" not in tail:
            return f"SELECT *{tail}", tuple(column for source in sources for column in source.columns)
        return f"SELECT {sources[0].alias}.*{tail}", sources[0].columns

    def grouped(self, scope: Scope, tail: str, kinds: Sequence[str], depth: int) -> tuple[str, tuple[Column, ...]]:
        draw = self.build
        deciding = draw.deciding(scope)
        key = draw.leaf(deciding, "text")
        values: list[Value] = []
        for number, kind in enumerate(kinds):
            if number == 0 and kind == "text" and "." in key.sql and draw.chance(50):
                values.append(key)
            else:
                values.append(draw.value(replace(scope, aggregates=True, outer=()), kind, max(1, min(depth, 2))))
        other = draw.leaf(deciding, "int")
        if "." in key.sql and "." in other.sql:
            form = draw.pick(_GROUPINGS)
            tail += f" GROUP BY {form.format(key.sql, other.sql)}"
            if draw.chance(30):
                tail += f" HAVING {draw.value(replace(deciding, aggregates=True, outer=()), 'bool', 1).sql} IS NOT NULL"
        return self.listed(values, kinds, f"SELECT <listed>{tail}")

    # FROM

    def from_clause(self, scope: Scope, depth: int) -> tuple[list[Source], str]:
        draw = self.build
        sources: list[Source] = []
        text = ""
        for number in range(draw.integers(1, 2) if depth > 0 else 1):
            source, entry = self.from_item(replace(scope, sources=tuple(sources)), depth, first=number == 0)
            if number == 0:
                text = f" FROM {entry}"
            else:
                text += self.join(scope, sources, source, entry)
            sources.append(source)
        return sources, text

    def join(self, scope: Scope, sources: list[Source], source: Source, entry: str) -> str:
        draw = self.build
        lateral = entry.startswith("LATERAL") or "(" in entry.split(" ")[0]
        both = replace(scope, sources=(*sources, source))
        has_id = all(sum(c.name == "id" for c in s.columns) == 1 for s in (sources[0], source))
        choice = draw.integers(0, 5)
        if choice == 0:
            return f", {entry}"
        if choice == 1 and has_id and not lateral and source.row:
            return f" {draw.pick(('JOIN', 'LEFT JOIN', 'FULL JOIN'))} {entry} USING (id)"
        if choice in (2, 3):
            kind = draw.pick(("JOIN", "LEFT JOIN"))
            return f" {kind} {entry} ON {draw.value(draw.deciding(both), 'bool', 1).sql}"
        return f" CROSS JOIN {entry}"

    def from_item(self, scope: Scope, depth: int, first: bool) -> tuple[Source, str]:
        draw = self.build
        alias = draw.fresh("t")
        choice = draw.integers(0, 9) if depth > 0 and draw.fuel > 0 else 0
        if choice in (5, 6):
            outside = replace(scope, sources=(), outer=scope.outer)
            body, columns = self.query(outside, depth - 1, None)
            return self.named(alias, columns, f"({body}) AS {alias}")
        if choice == 7 and not first:
            body, columns = self.query(Scope((), (*scope.sources, *scope.outer), clean=scope.clean), depth - 1, None)
            return self.named(alias, columns, f"LATERAL ({body}) AS {alias}")
        if choice == 8:
            return self.function(scope, alias)
        if choice == 9 and self.ctes:
            cte = draw.pick(self.ctes)
            return replace(cte, alias=alias), f"{cte.alias} AS {alias}"
        hidden = {cte.alias for cte in self.ctes}
        names = [name for name in TABLES if name not in hidden]
        telling = [name for name in names if name in {table for table, _ in self.tainted}]
        table = draw.pick(telling if telling and draw.chance(50) else names)
        columns = tuple(Column(n, k, (table, n) in self.tainted) for n, k in TABLES[table].items())
        text = f"{draw.pick(('', 'public.'))}{table} {draw.pick(('', 'AS '))}{alias}"
        return Source(alias, columns, table), text

    def named(self, alias: str, columns: tuple[Column, ...], text: str) -> tuple[Source, str]:
        """Sometimes with a list of column names, which also hides equal ones."""
        if self.build.chance(40):
            names = [f"{alias}_{number}" for number in range(len(columns))]
            columns = tuple(replace(column, name=name) for name, column in zip(names, columns, strict=True))
            text += f"({', '.join(names)})"
        return Source(alias, columns), text

    def function(self, scope: Scope, alias: str) -> tuple[Source, str]:
        draw = self.build
        one, two = draw.value(scope, "text", 1), draw.value(scope, "text", 1)
        rows = [row for row in draw.rows(scope) if row in scope.sources]
        choice = draw.integers(0, 11)
        both = one.taint or two.taint
        text = "text"
        clean = draw.leaf(replace(draw.deciding(scope), clean=True), "int")
        plain = draw.value(draw.deciding(scope), "text", 1)  # it decides how many rows there are
        if choice == 8:
            columns = (Column("label", text, False), Column("code", text, ("users", "ssn") in self.tainted))
            return Source(alias, columns), f"card({clean.sql}) AS {alias}"
        if choice == 9:
            columns = tuple(
                Column(n, k, ("orders", "note") in self.tainted) for n, k in (("place", "int"), ("remark", text))
            )
            return Source(alias, columns), f"notes_of({clean.sql}) AS {alias}"
        if choice == 10:
            split = draw.pick(
                ("string_to_table({0}, '2')", "regexp_split_to_table({0}, '2')", "unnest(string_to_array({0}, '2'))")
            )
            return Source(
                alias, (Column("x", text, plain.taint),), row=False
            ), f"{split.format(plain.sql)} AS {alias}(x)"
        if choice == 11:
            listed = (
                f"JSON_TABLE(jsonb_build_object('x', {one.sql}, 'y', jsonb_build_array({two.sql}, 'z')), '$' COLUMNS ("
                "x text PATH '$.x', e text EXISTS PATH '$.q', NESTED PATH '$.y[*]' COLUMNS (y text PATH '$'))) "
                f"AS {alias}"
            )
            return Source(alias, tuple(Column(n, text, both) for n in "xey")), listed
        if choice == 0:
            made = f"unnest(ARRAY[{one.sql}, {two.sql}]) AS {alias}(x)", [("x", both)]
        elif choice == 1:
            made = f"pieces({one.sql}) AS {alias}(n, x)", [("n", one.taint), ("x", one.taint)]
        elif choice == 2:
            made = (f"ROWS FROM (unnest(ARRAY[{one.sql}]), pieces({two.sql})) WITH ORDINALITY AS {alias}(x, n, y, o)",
                    [("x", one.taint), ("n", two.taint), ("y", two.taint), ("o", False)])  # fmt: skip
        elif choice == 3 and rows:
            row = draw.pick(rows)
            made = f"jsonb_each_text(to_jsonb({row.alias})) AS {alias}(k, x)", [("k", row.taint), ("x", row.taint)]
        elif choice == 4:
            made = (f"json_to_record(json_build_object('x', {one.sql}, 'y', {two.sql})) AS {alias}(x text, y text)",
                    [("x", both), ("y", both)])  # fmt: skip
        elif choice == 5:
            made = (f"JSON_TABLE(jsonb_build_object('x', {one.sql}), '$' COLUMNS (x text PATH '$.x', o FOR ORDINALITY))"
                    f" AS {alias}", [("x", one.taint), ("o", one.taint)])  # fmt: skip
        elif choice == 6:
            made = (
                f"LATERAL (VALUES ({one.sql}, {two.sql}), ({two.sql}, '7')) AS {alias}(x, y)",
                [("x", both), ("y", two.taint)],
            )
        else:
            columns = tuple(Column(n, k, ("users", n) in self.tainted) for n, k in TABLES["users"].items())
            return Source(alias, columns), f"members({draw.leaf(draw.deciding(scope), 'int').sql}) AS {alias}"
        kinds = {"n": "int" if choice in (1, 2) else text, "o": "int"}
        return Source(alias, tuple(Column(n, kinds.get(n, text), t) for n, t in made[1])), made[0]
