"""Random SQL expressions, and a bookkeeping of their own of what they are made from.

`taint` is the generator's knowledge, by construction: a sensitive column is inside. It is an upper bound that knows
nothing of the analysis under test. With `implicit` off, nothing tainted is ever put where it would decide which rows
come out or in which order, so an output can move only because a value flows into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

Choice = TypeVar("Choice")
Integers = Callable[[int, int], int]


@dataclass(frozen=True)
class Column:
    name: str
    kind: str  # text int bool
    taint: bool


@dataclass(frozen=True)
class Source:
    """An entry of FROM. `row`: what stands for its whole row; `table`: it is that table itself."""

    alias: str
    columns: tuple[Column, ...]
    table: str = ""
    row: bool = True

    @property
    def taint(self) -> bool:
        return any(column.taint for column in self.columns)

    def reachable(self) -> list[Column]:
        """Columns whose name is no other's."""
        names = [column.name for column in self.columns]
        return [column for column in self.columns if column.name and names.count(column.name) == 1]


@dataclass(frozen=True)
class Value:
    sql: str
    taint: bool


@dataclass(frozen=True)
class Scope:
    sources: tuple[Source, ...]
    outer: tuple[Source, ...] = ()
    aggregates: bool = False
    windows: bool = False
    clean: bool = False  # only what no sensitive column is in


class Expressions:
    """Draws expressions; `query` (set by the statements' builder) draws sub-selects."""

    def __init__(self, integers: Integers, implicit: bool) -> None:
        self.integers = integers
        self.implicit = implicit
        self.counter = 0
        self.fuel = 60  # of one statement
        self.subquery: Callable[[Scope, int, Sequence[str]], tuple[str, tuple[Column, ...]]]

    def pick(self, items: Sequence[Choice]) -> Choice:
        return items[self.integers(0, len(items) - 1)]

    def chance(self, percent: int) -> bool:
        return self.integers(0, 99) < percent

    def fresh(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def deciding(self, scope: Scope) -> Scope:
        """For what decides about rows and their order."""
        return replace(scope, aggregates=False, windows=False, clean=scope.clean or not self.implicit)

    def columns(self, scope: Scope, kind: str) -> list[tuple[Source, Column]]:
        sources = scope.sources or scope.outer
        if scope.outer and self.chance(15):
            sources = scope.outer
        return [
            (source, column)
            for source in sources
            for column in source.reachable()
            if column.kind == kind and not (scope.clean and column.taint)
        ]

    def rows(self, scope: Scope) -> list[Source]:
        return [s for s in (*scope.sources, *scope.outer) if s.row and not (scope.clean and s.taint)]

    def leaf(self, scope: Scope, kind: str) -> Value:
        found = self.columns(scope, kind)
        telling = [pair for pair in found if pair[1].taint]
        if found:
            source, column = self.pick(telling if telling and self.chance(40) else found)
            return Value(f"{source.alias}.{column.name}", column.taint)
        return Value({"text": "text '5'", "int": "7", "bool": "true"}[kind], False)

    def value(self, scope: Scope, kind: str, depth: int = 2) -> Value:
        self.fuel -= 1
        if depth <= 0 or self.fuel <= 0 or self.chance(30):
            return self.leaf(scope, kind)
        return {"text": self.text, "int": self.number, "bool": self.truth}[kind](scope, depth - 1)

    def made(self, template: str, *values: Value) -> Value:
        used = [value for number, value in enumerate(values) if f"{{{number}}}" in template]
        return Value(template.format(*[value.sql for value in values]), any(value.taint for value in used))

    def text(self, scope: Scope, depth: int) -> Value:
        if scope.aggregates and self.chance(60):
            return self.aggregate(scope, depth)
        if scope.windows and self.chance(25):
            return self.window(scope)
        choice = self.integers(0, 9)
        if choice < 5:
            return self.text_function(scope, depth)
        if choice < 7:
            return self.constructed(scope, depth)
        if choice == 7:
            return self.scalar_subquery(scope, depth)
        rows = self.rows(scope)
        if not rows:
            return self.text_function(scope, depth)
        return self.whole_row(self.pick(rows))

    def text_function(self, scope: Scope, depth: int) -> Value:
        template = self.pick(_TEXT)
        one, two = self.value(scope, "text", depth), self.value(scope, "text", depth)
        if "{i}" in template:
            return self.made(template.replace("{i}", "{2}"), one, two, self.value(scope, "int", 0))
        return self.made(template, one, two)

    def constructed(self, scope: Scope, depth: int) -> Value:
        template = self.pick(_CONSTRUCTED)
        one, two = self.value(scope, "text", depth), self.value(scope, "text", depth)
        three = self.value(scope, "bool", depth)
        return self.made(template, one, two, three)

    def whole_row(self, source: Source) -> Value:
        template = self.pick(_ROWS + (_USERS if source.table == "users" else ()))
        found = source.reachable()
        if "{c}" in template:
            if not found:
                return Value(f"{source.alias}::text", source.taint)
            column = self.pick(found)
            # only that field flows where the row's shape is known
            return Value(template.format(a=source.alias, c=column.name), column.taint)
        return Value(template.format(a=source.alias), source.taint)

    def scalar_subquery(self, scope: Scope, depth: int) -> Value:
        alias = self.fresh("s")
        body, columns = self.subquery(replace(scope, aggregates=False, windows=False), min(depth, 1), ("text",))
        column = columns[0]
        template = self.pick(_SUBQUERIES)
        return Value(template.format(a=alias, c=column.name, q=body), column.taint)

    def number(self, scope: Scope, depth: int) -> Value:
        if scope.aggregates:
            return self.made(self.pick(("count({0})", "sum(length({0}))::int", "count(*)::int")), self.value(
                replace(scope, aggregates=False), "text", depth))  # fmt: skip
        template = self.pick(_NUMBERS)
        return self.made(template, self.value(scope, "text", depth), self.value(scope, "int", depth),
                         self.value(scope, "bool", depth))  # fmt: skip

    def truth(self, scope: Scope, depth: int) -> Value:
        if scope.aggregates:
            inner = self.value(replace(scope, aggregates=False), "bool", depth)
            return self.made(self.pick(("bool_or({0})", "every({0})", "bool_and({0})")), inner)
        choice = self.integers(0, 11)
        if choice == 10:
            alias = self.fresh("e")
            body, _ = self.subquery(self.deciding(scope), 1, ("int",))
            return Value(f"EXISTS (SELECT FROM ({body}) AS {alias})", False)
        if choice == 11:
            body, columns = self.subquery(replace(scope, aggregates=False, windows=False), 1, ("text",))
            tested = self.value(scope, "text", depth)
            template = self.pick(("({0} IN ({1}))", "({0} = ANY ({1}))", "({0} < ALL ({1}))", "({0} NOT IN ({1}))"))
            return self.made(template, tested, Value(body, columns[0].taint))
        return self.made(_BOOL[choice % len(_BOOL)], self.value(scope, "text", depth), self.value(scope, "text", depth),
                         self.value(scope, "bool", depth), self.value(scope, "int", depth))  # fmt: skip

    def aggregate(self, scope: Scope, depth: int) -> Value:
        inner = replace(scope, aggregates=False, windows=False)
        one = self.value(inner, "text", min(depth, 1))
        order = self.value(self.deciding(inner), "text", 0)
        return self.made(self.pick(_AGGREGATES), one, order, self.value(self.deciding(inner), "bool", min(depth, 1)))

    def window(self, scope: Scope) -> Value:
        inner = replace(scope, aggregates=False, windows=False)
        one = self.value(inner, "text", 1)
        by, order = self.value(self.deciding(inner), "text", 0), self.value(self.deciding(inner), "text", 0)
        template = self.pick(_WINDOWS)
        return Value(template.format(one.sql, by.sql, order.sql), one.taint and "{0}" in template)


_SUBQUERIES = (
    "(SELECT max({a}.{c}) FROM ({q}) AS {a})",
    "(SELECT string_agg({a}.{c}, '') FROM ({q}) AS {a})",
    "array_to_string(ARRAY({q}), ',')",
)
_NUMBERS = (
    "length({0})", "ascii({0})", "({1} + {1})", "coalesce({1}, 0)", "abs({1})", "strpos({0}, '1')",
    "(10 / {1})", "({1} * 90000000)", "(7 % ({1} - 1))", "length(substr({0}, 1, {1} - 2))", "length({0}::short)",
    "width_bucket({1}, 1, {1}, 2)", "num_nulls({0}, {1})", "get_byte(convert_to({0}, 'UTF8'), {1})", "(- {1})",
    "CASE WHEN {2} THEN 1 ELSE 0 END", "({2})::int", "hashtext({0})",
)  # fmt: skip
_TEXT = (
    "({0} || {1})", "coalesce({0}, {1})", "nullif({0}, {1})", "greatest({0}, {1})", "upper({0})", "md5({0})",
    "left({0}, {i})", "substr({0}, 2, 3)", "substring({0} from 2 for 2)", "overlay({0} placing 'x' from 1)",
    "trim(both '1' from {0})", "replace({0}, '1', {1})", "translate({0}, '12', '21')", "format('%s:%s', {0}, {1})",
    "concat_ws('-', {0}, {1})", "({0})::varchar(4)::text", "CAST({0} AS name)::text", "({0} COLLATE \"C\")",
    "({0})::short::text", "named({0}, c => {1})", "named(b => {1}, a => {0})", "named({0})", "(VALUES ({0}))",
    "array_to_string((string_to_array({0}, '2'))[2:], '+')", "({0})::bpchar::text", "regexp_substr({0}, '[1-4]+')",
    "JSON_SERIALIZE(JSON_SCALAR({0}))", "(SELECT v FROM (VALUES ({0}), ({1})) x(v) LIMIT 1)", "initcap({0})",
    "(SELECT y.v FROM (SELECT {0} AS v, {1} AS w) y)", "((ROW({0}, {1})::couple)).b", "substring({0}, '([2-4])')",
    "repeat('x', length({0}))", "split_part({0}, '1', 2)", "to_char({0}::int, '999')", "(10 / length({0}))::text",
    "left({0}, - 1)", "normalize({0})", "decode({0}, 'hex')::text", "({0})::json::text",
    "convert_from({0}::bytea, 'UTF8')",
    "twice({0})", "public.twice(a => {0})", "concat(VARIADIC ARRAY[{0}, {1}])",
    "CASE {0} WHEN {1} THEN 'a' ELSE 'b' END",
    "lpad({0}, 12, '*')", "reverse({0})", "split_part({0}, '-', 1)", "regexp_replace({0}, '[1-4]', 'x')",
    "encode(convert_to({0}, 'UTF8'), 'hex')", "pick_first({0}, {1})", "({0} || {i})", "quote_literal({0})",
)  # fmt: skip
_CONSTRUCTED = (
    "CASE WHEN {2} THEN {0} ELSE {1} END", "({2})::text", "(ARRAY[{0}, {1}])[1]", "(ARRAY[{0}, {1}])[1:1]::text",
    "(ROW({0}, {1}))::text", "json_build_object('k', {0})::text", "(jsonb_build_array({0}, {1}) ->> 0)",
    "(jsonb_build_object('k', {0}) -> 'k')::text", "JSON_OBJECT('k': {0})::text", "JSON_ARRAY({0}, {1})::text",
    "JSON_VALUE(jsonb_build_object('k', {0}), '$.k')", "JSON_QUERY(jsonb_build_object('k', {0}), '$.k')::text",
    "JSON_SCALAR({0})::text", "(to_jsonb({0}) #>> '{{}}')", "row_to_json(ROW({0}, {1}))::text",
    "array_to_string(string_to_array({0}, '-'), {1})", "array_cat(ARRAY[{0}], ARRAY[{1}])::text",
    "(ARRAY[{0}] || {1})::text", "nullif({0}, CASE WHEN {2} THEN {1} END)", "hstore_like({0}, {1})",
    "(jsonb_build_object('k', {0})) ['k']::text", "(pair({0}, {1})).a", "(pair({0}, {1})).b",
    "array_to_string((ARRAY[{0}, {1}, 'z'])[2:3], '/')", "(ARRAY[[{0}], [{1}]])[2][1]",
    "jsonb_set(jsonb_build_object('k', {0}), '{{k}}', to_jsonb({1}))::text",
    "(jsonb_path_query_first(jsonb_build_object('k', {0}), '$.k') #>> '{{}}')",
    "JSON_VALUE(jsonb_build_object('k', {0}), '$.z' DEFAULT 'd' ON EMPTY)",
    "JSON_QUERY(jsonb_build_object('k', {0}), '$.k' OMIT QUOTES)::text", "least({0}, {1}, 'm')",
    "JSON_EXISTS(jsonb_build_object('k', {0}), '$.k ? (@ == $v)' PASSING {1} AS v)::text",
)  # fmt: skip
_ROWS = (
    "{a}::text", "row_to_json({a})::text", "to_jsonb({a})::text", "to_json({a}.*)::text", "concat({a}.*)",
    "({a}).{c}::text", "((SELECT {a})).{c}::text", "(ROW({a}.*))::text", "json_build_array({a})::text",
    "format('%s', {a})", "({a} IS NULL)::text", "({a} = {a})::text", "{a}.{c}::text",
)  # fmt: skip
_USERS = ("digits_of({a})", "{a}.digits_of", "({a}).digits_of")
_BOOL = (
    "({0} = {1})", "({0} < {1})", "({0} LIKE '1%')", "({0} IS NOT DISTINCT FROM {1})", "({0} IN ({1}, 'x'))",
    "('1' LIKE {0})", "({0} LIKE {1} ESCAPE 'x')", "({0} ~ {1})", "(10 / {3} > 1)", "({2} OR 10 / {3} > 1)",
    "({0} LIKE '1\\')", "(({0})::int > 200)", "({2} AND ({0})::int > 3)", "({0} IN ('2', (10 / {3})::text))",
    "({0} ~ '^[1-4]')", "(ROW({0}, 1) IS DISTINCT FROM ROW({1}, 1))", "({0} SIMILAR TO '1%')", "({0} IS JSON)",
    "(ARRAY[{0}] @> ARRAY[{1}])", "(string_to_array({0}, '2') && ARRAY[{1}])", "({0} = ANY (ARRAY[{1}, 'x']))",
    "(({2}) IS NOT TRUE)", "(ROW({0}, {3}) = ROW({1}, {3}))", "({0} NOT BETWEEN SYMMETRIC '1' AND {1})",
    "(NOT {2})", "({2} AND {0} > '3')", "({0} BETWEEN '1' AND {1})", "(({0}, {1}) < ({1}, {0}))",
)  # fmt: skip
_AGGREGATES = (
    "max({0})", "min({0})", "string_agg({0}, ',')", "string_agg({0}, ',' ORDER BY {1})", "count({0})::text",
    "string_agg({0}, ',') FILTER (WHERE {2})", "count(*) FILTER (WHERE {2})::text", "array_agg({0})::text",
    "json_agg({0})::text", "mode() WITHIN GROUP (ORDER BY {0})", "percentile_disc(0.5) WITHIN GROUP (ORDER BY {0})",
    "jsonb_object_agg(coalesce({0}, 'n'), 1)::text", "JSON_ARRAYAGG({0})::text", "JSON_OBJECTAGG('k': {0})::text",
    "rank('3') WITHIN GROUP (ORDER BY {0})::text", "string_agg(DISTINCT {0}, ',')",
    "(array_agg({0} ORDER BY {1}))[1]", "string_agg({0}, ',' ORDER BY {1} DESC) FILTER (WHERE {2})",
    "percentile_disc(ARRAY[0, 1]::float[]) WITHIN GROUP (ORDER BY {0})::text", "(max(ROW({0}, 1)))::text",
    "JSON_ARRAYAGG({0} ORDER BY {1} RETURNING jsonb)::text", "cume_dist('3') WITHIN GROUP (ORDER BY {0})::text",
    "array_agg(DISTINCT {0})::text", "json_object_agg(coalesce({0}, 'n'), {0})::text", "max({0}) FILTER (WHERE {2})",
    "any_value({0})", "longest({0})", "count(DISTINCT {0})::text",
)  # fmt: skip
_WINDOWS = (
    "lag({0}) OVER (ORDER BY {2})", "first_value({0}) OVER (PARTITION BY {1} ORDER BY {2})",
    "row_number() OVER (ORDER BY {2})::text", "string_agg({0}, ',') OVER (ORDER BY {2} ROWS 1 PRECEDING)",
    "max({0}) OVER (PARTITION BY {1})", "count({0}) FILTER (WHERE {0} > '2') OVER ()::text",
    "nth_value({0}, 2) OVER (ORDER BY {2} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    "dense_rank() OVER (PARTITION BY {1} ORDER BY {2})::text", "last_value({0}) OVER w", "lead({0}, 1, 'z') OVER (w)",
    "max({0}) OVER (ORDER BY {2} RANGE UNBOUNDED PRECEDING)", "first_value({0}) OVER (w ROWS 1 PRECEDING)",
    "string_agg({0}, '') OVER (ORDER BY {2} GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW)",
    "percent_rank() OVER (ORDER BY {2})::text", "min({0}) OVER (ORDER BY {2} ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)",
    "cume_dist() OVER (PARTITION BY {1} ORDER BY {2})::text", "array_agg({0}) OVER (PARTITION BY {1})::text",
    "ntile(2) OVER (ORDER BY {2})::text",
)  # fmt: skip
