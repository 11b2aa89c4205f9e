"""Built-in functions that fail on no value, or on none of some of their arguments.

Whatever is not here may fail by what it is given, and then the failure tells something of it. What fails by types or by
a constant alone doesn't count, nor an overflow that only a value at the very end of a type's range meets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from decision.analysis.flow import Flow
from decision.analysis.postgres.parse import Node, bigint, constant, only, qualified

_TEXTS = """ascii bit_count bit_length bpchar btrim casefold char_length character_length concat concat_ws crc32 crc32c
    initcap left length lower ltrim md5 name octet_length position quote_ident quote_literal quote_nullable
    reverse right rtrim sha224 sha256 sha384 sha512 starts_with strpos text textcat textlen to_ascii to_bin
    to_hex to_oct translate upper varchar is_normalized pg_input_is_valid xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document"""
_NUMBERS = "abs cbrt ceil ceiling degrees erf erfc floor min_scale radians scale sign trim_scale"
_TIMES = "age isfinite justify_days justify_hours justify_interval now uuid_extract_timestamp uuid_extract_version"
_JSON = """array_to_json json_build_array json_strip_nulls json_typeof jsonb_build_array jsonb_contains jsonb_exists
    jsonb_extract_path json_extract_path jsonb_extract_path_text json_extract_path_text jsonb_pretty jsonb_strip_nulls
    jsonb_typeof row_to_json to_json to_jsonb"""
_ARRAYS = """array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_string array_upper cardinality generate_subscripts isempty
    lower_inc lower_inf num_nonnulls num_nulls unnest upper_inc upper_inf"""
_SEARCH = """numnode phraseto_tsquery plainto_tsquery querytree strip to_tsvector ts_headline ts_rank ts_rank_cd
    tsvector_to_array websearch_to_tsquery"""
_NETWORK = "abbrev broadcast family host hostmask inet_same_family masklen netmask network"
_AGGREGATES = """any_value avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
    cume_dist dense_rank every first_value json_agg json_agg_strict jsonb_agg jsonb_agg_strict last_value max min mode
    percent_rank range_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy
    regr_syy row_number stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg"""
_SYSTEM = """acldefault aclexplode col_description format_type obj_description pg_blocking_pids pg_collation_for
    pg_column_is_updatable pg_column_size pg_database_size pg_describe_object pg_encoding_to_char pg_identify_object
    pg_indexes_size pg_options_to_table pg_partition_root pg_relation_filenode pg_relation_is_publishable
    pg_relation_is_updatable pg_relation_size pg_sequence_last_value pg_size_pretty pg_table_size
    pg_tablespace_databases pg_tablespace_location pg_total_relation_size pg_typeof shobj_description"""
_ALL = f"{_TEXTS} {_NUMBERS} {_TIMES} {_JSON} {_ARRAYS} {_SEARCH} {_NETWORK} {_AGGREGATES} {_SYSTEM}"
TOTAL = frozenset(_ALL.split())
_FIRST = """encode json_object_field jsonb_object_field normalize nth_value regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_split_to_array regexp_split_to_table regexp_substr round split_part
    string_to_array string_to_table substr substring trunc"""
# Where arguments (0-based; -1: all but the first) fail on no value, if the others hold nothing of columns.
_PLACES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_FIRST.split(), (0,)),
    **dict.fromkeys(("date_bin", "date_part", "date_trunc", "extract", "timezone"), (1,)),
    **dict.fromkeys(("percentile_cont", "percentile_disc"), (-1,)),
    **dict.fromkeys(("lag", "lead"), (0, 2)),
    **dict.fromkeys(("jsonb_insert", "jsonb_set"), (2,)),
}
_GROWING = frozenset({"lpad", "overlay", "regexp_replace", "repeat", "replace", "rpad"})
_SMALL = 1_000  # characters of a text, or times that one is repeated
_DATES = re.compile(r"[YMDHISWQJT:/. ,-]*")
_PLAIN_FORMAT = re.compile(r"(?:[^%]|%[s%L])*")
_PAIRS = frozenset(
    f"{form}_{what}" for form in ("json", "jsonb")
    for what in ("build_object", "object_agg", "object_agg_strict", "object_agg_unique", "object_agg_unique_strict")
)  # fmt: skip
_QUIET = ("hash", "pg_get_", "pg_stat_get_")


def telling(name: str, arguments: Sequence[Node], flows: Sequence[Flow], variadic: bool = False) -> Sequence[Flow]:
    """Those of a built-in function's arguments by which it may fail."""
    if name in TOTAL or name.startswith(_QUIET) or name.endswith("_is_visible") or _quiet(name, arguments, variadic):
        return ()
    if any("NamedArgExpr" in argument for argument in arguments):
        return flows
    if name in _PAIRS:
        return flows[::2]  # the keys: one that is NULL fails
    places = _PLACES.get(name)
    if places is None:
        return flows
    if -1 in places:
        places = tuple(range(1, len(flows)))
    others = [flow for number, flow in enumerate(flows) if number not in places]
    return flows if any(flow.sources or flow.opaque for flow in others) else ()


def _quiet(name: str, arguments: Sequence[Node], variadic: bool) -> bool:
    """What depends on the constants that it is given."""
    others = [_text(node) for node in arguments[1:]]
    last = others[-1] if others else None
    if name == "convert_to":
        return last is not None and last.upper() in ("UTF8", "UTF-8")
    if name == "to_char":
        return last is not None and _DATES.fullmatch(last) is not None
    if name == "format":
        form = _text(arguments[0]) if arguments else None
        return not variadic and form is not None and _PLAIN_FORMAT.fullmatch(form) is not None
    if name == "array_agg":
        return all("ColumnRef" in node or "A_Const" in node or _plain_call(node) for node in arguments)
    if name in _GROWING:
        return all(text is not None and len(text) <= _SMALL and not _large(text) for text in others)
    return False


def _plain_call(node: Node) -> bool:
    return qualified(node.get("FuncCall", {}).get("funcname"))[1] in _TEXTS.split()


def _large(text: str) -> bool:
    number = bigint(text)
    return text.isdigit() if number is None else number > _SMALL


def _text(node: Node) -> str | None:
    tag, body = only(node)
    return constant(body) if tag == "A_Const" else None
