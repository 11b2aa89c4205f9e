"""What a bundle may use. Pure.

Three sets of builtins: portable ones, on which both engines agree; what only an OPA server has; and what no bundle may
use, because the same input would then not always give the same decision, or because evaluation would reach out.
"""

from __future__ import annotations

from collections.abc import Iterable

# Operators are builtins to OPA. `walk`, `json.match_schema` and `strings.replace_n` differ between the engines.
OPERATORS = frozenset(
    {
        "and", "assign", "div", "eq", "equal", "gt", "gte", "internal.member_2", "internal.member_3",
        "lt", "lte", "minus", "mul", "neq", "or", "plus", "rem",
    }
)  # fmt: skip

PORTABLE = OPERATORS | frozenset(
    {
        "abs", "array.concat", "array.reverse", "array.slice", "ceil", "concat", "contains", "count", "endswith",
        "floor", "format_int", "glob.match", "indexof", "intersection", "is_array", "is_boolean", "is_null",
        "is_number", "is_object", "is_set", "is_string", "lower", "max", "min", "net.cidr_contains", "numbers.range",
        "object.filter", "object.get", "object.keys", "object.remove", "object.union", "object.union_n", "product",
        "regex.match", "replace", "round", "sort", "split", "sprintf", "startswith", "strings.any_prefix_match",
        "strings.any_suffix_match", "substring", "sum", "time.add_date", "time.clock", "time.date",
        "time.parse_rfc3339_ns", "time.weekday", "to_number", "trim", "trim_left", "trim_prefix", "trim_right",
        "trim_space", "trim_suffix", "type_name", "union", "upper",
    }
)  # fmt: skip

FORBIDDEN = frozenset(
    {
        "http.send", "net.lookup_ip_addr", "opa.runtime", "print", "rand.intn", "rego.metadata.chain",
        "rego.metadata.rule", "rego.parse_module", "time.now_ns", "trace", "uuid.rfc4122",
    }
)  # fmt: skip


def beyond_portable(builtins: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(builtins) - PORTABLE))


def forbidden(builtins: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(builtins) & FORBIDDEN))
