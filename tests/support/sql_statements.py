"""Random statements over the small schema: queries, the statements that wrap one, and writes with RETURNING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.support.sql_expressions import Column, Scope, Source, Value
from tests.support.sql_queries import Queries
from tests.support.sql_schema import TABLES


@dataclass(frozen=True)
class Made:
    """Messages of one session; the last one's rows are looked at. `taints` of its output columns, None: not known."""

    messages: tuple[str, ...]
    implicit: bool
    taints: tuple[bool, ...] | None


class Statements(Queries):
    """Draws the messages of one session."""

    def message(self) -> Made:
        draw = self.build
        wrap = draw.integers(0, 15)
        if wrap == 0:
            return self.writing()
        if wrap == 12:
            return self.chained()
        if wrap == 13:
            return self.kept()
        if wrap == 14:
            return self.answered()
        text, columns = self.query(Scope(()), 3, None)
        taints = tuple(column.taint for column in columns)
        messages: tuple[str, ...] = (text,)
        if wrap == 1:
            messages = (f"DECLARE c CURSOR FOR {text}", "FETCH ALL FROM c")
        elif wrap == 2:
            messages = (f"PREPARE p AS {text}", "EXECUTE p")
        elif wrap == 3:
            names = ", ".join(f"n{number}" for number in range(len(columns)))
            messages = (f"CREATE TEMP TABLE kept ({names}) AS {text}", "SELECT * FROM kept") if names else (text,)
        elif wrap == 4:
            messages = (f"COPY ({text}) TO STDOUT",)
        elif wrap == 5:
            messages = (f"CREATE TEMP VIEW kept AS {text}", "TABLE kept") if self.viewable(columns) else (text,)
        elif wrap == 6 and self.viewable(columns):
            messages = (f"CREATE TEMP VIEW kept AS {text}", "CREATE TEMP TABLE again AS TABLE kept", "TABLE again")
        elif wrap == 7:
            messages = (f"DECLARE c SCROLL CURSOR FOR {text}", "MOVE 1 FROM c", "FETCH BACKWARD ALL FROM c")
        elif wrap == 8 and text.startswith("SELECT") and not any(w in text for w in ("DISTINCT", "GROUP BY", " OVER ")):
            messages = (f"{text} FOR UPDATE",)
        return Made(messages, draw.implicit, taints)

    def chained(self) -> Made:
        """Writes in WITH, each reading what the one before gives back."""
        draw = self.build
        text, columns = self.plain(Scope(()), 2, ("text", "text"))
        own = tuple(Column(n, k, ("documents", n) in self.tainted) for n, k in TABLES["documents"].items())
        given = Source("q", tuple(replace(c, name=n) for n, c in zip("ab", columns, strict=True)))
        new = draw.value(Scope((Source("d", own, "documents"), given)), "text", 1)
        body = (
            f"WITH changed AS (UPDATE documents d SET title = {new.sql} FROM (SELECT * FROM ({text}) LIMIT 1) q(a, b) "
            "WHERE d.id = 1 RETURNING d.id, d.title, q.b), "
            "made AS (INSERT INTO orders (id, note) SELECT 100 + c.id, c.title || c.b FROM changed c "
            "RETURNING id, note, total), "
            "gone AS (DELETE FROM contracts k USING made m WHERE k.id = 2 RETURNING m.note, k.title) "
            "SELECT m.id, m.note, g.title, g.note AS n FROM made m, gone g"
        )
        told = new.taint or columns[1].taint or ("orders", "note") in self.tainted
        return Made((body,), draw.implicit, (False, told, ("contracts", "title") in self.tainted, told))

    def kept(self) -> Made:
        """A value put into a setting, and asked back."""
        draw = self.build
        text, columns = self.plain(Scope(()), 2, ("text",))
        asked = draw.pick(
            ("SHOW k.v", "SELECT current_setting('k.v')", "SELECT upper(current_setting('K.V', true)) AS v")
        )
        messages = (f"SELECT set_config('k.v', (SELECT max(q.a) FROM ({text}) q(a)), false)", asked)
        return Made(messages, draw.implicit, (columns[0].taint,))

    def answered(self) -> Made:
        """A write that a rule answers with rows of its own."""
        draw = self.build
        text, columns = self.plain(Scope(()), 2, ("text",))
        body = f"INSERT INTO answering (id, a) SELECT 1, * FROM (SELECT * FROM ({text}) LIMIT 1)"
        return Made((body,), draw.implicit, (False, ("users", "ssn") in self.tainted, columns[0].taint))

    def viewable(self, columns: Sequence[Column]) -> bool:
        names = [column.name for column in columns]
        return len(set(names)) == len(names) and all(names)

    def writing(self) -> Made:
        draw = self.build
        own = tuple(Column(n, k, ("documents", n) in self.tainted) for n, k in TABLES["documents"].items())
        target = Source("d", own, "documents")
        text, columns = self.plain(Scope(()), 2, ("text", "text"))
        given = Source("q", tuple(replace(c, name=n) for n, c in zip("ab", columns, strict=True)))
        where = draw.value(draw.deciding(Scope((target,))), "bool", 1).sql
        new = draw.value(Scope((target, given)), "text", 1)
        choice = draw.integers(0, 5)
        alone = f"(SELECT * FROM ({text}) LIMIT 1) q(a, b)"
        heads = (
            f"INSERT INTO documents AS d (id, title, body) SELECT 100 + row_number() OVER (), * FROM ({text}) q(a, b)",
            f"UPDATE documents AS d SET title = {new.sql} FROM ({text}) q(a, b) WHERE {where}",
            f"UPDATE ONLY documents AS d SET (title, body) = ROW({new.sql}, d.body) FROM {alone} WHERE d.id = 1",
            f"DELETE FROM documents AS d USING {alone} WHERE {where}",
            f"INSERT INTO documents AS d (id, title, body) SELECT 1, * FROM {alone} ON CONFLICT (id) DO UPDATE "
            "SET title = excluded.title || d.title, body = excluded.body",
            f"MERGE INTO documents AS d USING (SELECT 1 AS k, * FROM {alone}) s ON d.id = s.k "
            "WHEN MATCHED THEN UPDATE SET title = s.a WHEN NOT MATCHED BY SOURCE THEN DELETE",
        )
        stored = any(column.taint for column in columns) or new.taint
        row = replace(target, columns=tuple(replace(c, taint=c.taint or stored) for c in own))
        values = [draw.value(Scope((row,)), kind, 1) for kind in ("text", "int")]
        if draw.chance(30):
            values.append(draw.pick((Value("new.title || old.body", True), Value("old.title", False))))
        kinds = ("text", "int", "text")[: len(values)]
        body, listed = self.listed(values, kinds, f"{heads[choice]} RETURNING <listed>")
        if draw.chance(30):
            body = f"WITH changed AS ({body}) SELECT * FROM changed"
        return Made((body,), draw.implicit, tuple(column.taint for column in listed))
