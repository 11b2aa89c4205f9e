"""Functions with effects beyond a value, by dialect, from each server's manual; and the ones known to have none.

A function that stands in neither table is one of the database's own or a new built-in: its effects are opaque, unless
sqlglot has a class of its own for it (which it has for the plain functions of SQL).
"""

from __future__ import annotations

from decision.model.facts import Effect

ORIGINAL = "original_name"  # under which key of its meta a function of the tree has the name in the text
READ, WRITE, OS, NET = Effect.READS_FILES, Effect.WRITES_FILES, Effect.OS_COMMAND, Effect.NETWORK
DYNAMIC, KILL, SET, SLEEP = Effect.DYNAMIC_SQL, Effect.KILLS_SESSIONS, Effect.CHANGES_SETTINGS, Effect.SLEEPS
WRITES, OPAQUE = Effect.WRITES, Effect.OPAQUE


def _table(*rows: tuple[str, tuple[Effect, ...]]) -> dict[str, tuple[Effect, ...]]:
    return {name: effects for names, effects in rows for name in names.split()}


EFFECTS: dict[str, dict[str, tuple[Effect, ...]]] = {
    "mysql": _table(
        ("load_file", (READ,)),
        ("sys_exec sys_eval sys_get sys_set", (OS, OPAQUE)),
        ("sleep benchmark get_lock wait_for_executed_gtid_set master_pos_wait source_pos_wait", (SLEEP,)),
        ("release_lock release_all_locks", (WRITES,)),
        ("ps_kill", (KILL,)),
        ("last_insert_id", (WRITES,)),
    ),
    "sqlite": _table(
        ("load_extension", (OS, OPAQUE)),
        ("readfile fsdir zipfile", (READ,)),
        ("writefile", (WRITE,)),
        ("edit", (WRITE, OS)),
        ("fts3_tokenizer", (OPAQUE,)),
        ("csv", (READ,)),
        ("sqlar_uncompress", (OPAQUE,)),
    ),
    "tsql": _table(
        ("xp_cmdshell", (OS,)),
        ("sp_oacreate sp_oamethod sp_oagetproperty sp_oasetproperty sp_oadestroy sp_oastop", (OS, OPAQUE)),
        ("openrowset opendatasource", (NET, READ, DYNAMIC, OPAQUE)),
        ("openquery", (NET, DYNAMIC, OPAQUE)),
        ("xp_dirtree xp_fileexist xp_subdirs xp_fixeddrives sys.fn_get_audit_file fn_get_audit_file "
         "fn_xe_file_target_read_file fn_trace_gettable", (READ,)),
        ("xp_regread xp_instance_regread", (READ,)),
        ("xp_regwrite xp_instance_regwrite xp_regdeletekey xp_regdeletevalue", (WRITE, SET)),
        ("sp_executesql sp_execute sp_prepare sp_prepexec sp_cursoropen", (DYNAMIC,)),
        ("sp_configure sp_setapprole sp_addsrvrolemember sp_addrolemember sp_dboption", (SET,)),
        ("sp_send_dbmail sp_invoke_external_rest_endpoint", (NET,)),
        ("sp_add_job sp_add_jobstep sp_start_job sp_execute_external_script", (OS, DYNAMIC, OPAQUE)),
        ("sp_addlinkedserver sp_serveroption", (NET, SET)),
    ),
    "snowflake": _table(
        ("system$wait", (SLEEP,)),
        ("system$cancel_query system$cancel_all_queries system$abort_session system$abort_transaction", (KILL,)),
        ("system$send_email system$send_snowflake_notification", (NET,)),
        ("get_presigned_url build_scoped_file_url build_stage_file_url", (READ, NET)),
        ("result_scan last_query_id", (OPAQUE,)),
        ("infer_schema directory", (READ,)),
        ("system$pipe_force_resume system$task_dependents_enable", (WRITES,)),
        ("complete ai_complete snowflake.cortex.complete", (NET,)),
    ),
    "bigquery": _table(
        ("external_query", (NET, DYNAMIC, OPAQUE)),
        ("appends changes", (OPAQUE,)),
        ("session_user", ()),
    ),
    "duckdb": _table(
        ("read_csv read_csv_auto sniff_csv read_parquet parquet_scan parquet_metadata parquet_schema "
         "parquet_file_metadata parquet_kv_metadata parquet_bloom_probe read_json read_json_auto read_json_objects "
         "read_json_objects_auto read_ndjson read_ndjson_auto read_ndjson_objects read_text read_blob glob read_xlsx "
         "st_read st_read_meta st_drivers delta_scan iceberg_scan iceberg_metadata iceberg_snapshots sqlite_scan "
         "sqlite_attach arrow_scan read_avro read_duckdb", (READ, NET)),
        ("postgres_scan postgres_scan_pushdown postgres_query postgres_execute postgres_attach mysql_scan mysql_query "
         "mysql_execute", (NET, DYNAMIC, OPAQUE)),
        ("query query_table", (DYNAMIC, OPAQUE)),
        ("getenv", (READ,)),
        ("nextval", (WRITES,)),
        ("write_log", (WRITES,)),
        ("which_secret duckdb_secrets", (OPAQUE,)),
        ("setseed", (SET,)),
        ("sql_auto_complete json_execute_serialized_sql", (DYNAMIC, OPAQUE)),
    ),
    "oracle": _table(
        ("utl_http.request utl_http.request_pieces utl_inaddr.get_host_address utl_inaddr.get_host_name "
         "httpuritype dbms_ldap.init", (NET,)),
        ("bfilename", (READ,)),
        ("dbms_sqlhash.gethash", (DYNAMIC, OPAQUE)),
        ("dbms_xmlgen.getxml dbms_xmlgen.getxmltype dbms_xmlquery.getxml xmltype", (DYNAMIC, OPAQUE)),
        ("dbms_pipe.receive_message dbms_lock.sleep dbms_session.sleep", (SLEEP,)),
        ("dbms_java_test.funcall dbms_scheduler.create_job", (OS, OPAQUE)),
        ("sys_eval", (OS, OPAQUE)),
    ),
}  # fmt: skip
EFFECTS["mariadb"] = EFFECTS["mysql"]

# Prefixes of packages: everything in them.
PACKAGES: dict[str, tuple[tuple[str, tuple[Effect, ...]], ...]] = {
    "oracle": (
        ("utl_http.", (NET,)), ("utl_tcp.", (NET,)), ("utl_smtp.", (NET,)), ("utl_mail.", (NET,)),
        ("utl_inaddr.", (NET,)), ("dbms_ldap.", (NET,)), ("utl_file.", (READ, WRITE)), ("dbms_lob.", (READ, OPAQUE)),
        ("dbms_sql.", (DYNAMIC, OPAQUE)), ("ctxsys.", (OPAQUE,)),
    ),
    "bigquery": (("ml.", (OPAQUE,)), ("net.", ()), ("keys.", (OPAQUE,)), ("ai.", (NET, OPAQUE))),
    "snowflake": (("system$", (OPAQUE,)), ("snowflake.", (OPAQUE,)), ("ai_", (NET,))),
    "tsql": (("xp_", (OS, OPAQUE)), ("sp_", (OPAQUE,)), ("fn_", (OPAQUE,))),
}  # fmt: skip

_COMMON = (
    "abs acos ascii asin atan atan2 ceil ceiling char char_length character_length chr coalesce concat concat_ws cos "
    "cot crc32 current_catalog current_date current_role current_schema current_time current_timestamp current_user "
    "database date_add date_diff date_format date_sub datediff dateadd datename datepart day dayname dayofmonth "
    "dayofweek dayofyear degrees elt exp field find_in_set floor format from_unixtime greatest hex hour if ifnull iff "
    "iif "
    "initcap insert instr isnull json json_array json_contains json_extract json_extract_string json_group_array "
    "json_group_object json_keys json_length json_object json_type json_valid json_quote json_set json_remove "
    "json_replace json_insert json_unquote lcase least left len length ln localtime localtimestamp locate log log10 "
    "log2 lower lpad ltrim md5 mid minute mod month monthname now nullif nvl nvl2 octet_length ord pi position pow "
    "power quarter quote radians rand random regexp_like regexp_replace regexp_substr repeat replace replicate reverse "
    "right round row row_count rpad rtrim second sha sha1 sha2 sha256 sign sin soundex space sqrt str strcmp strftime "
    "substr substring substring_index sysdate tan time timediff timestampadd timestampdiff to_char to_date to_number "
    "to_timestamp trim trunc truncate typeof ucase unhex unicode unix_timestamp upper user utc_date utc_time "
    "utc_timestamp uuid values version week weekday year zeroblob printf julianday changes total_changes "
    "last_insert_rowid date datetime timestamp likely unlikely likelihood glob count sum avg min max total "
    "group_concat string_agg array_agg any_value first last row_number rank dense_rank percent_rank cume_dist ntile "
    "lag lead first_value last_value nth_value stddev stddev_pop stddev_samp variance var_pop var_samp bit_and bit_or "
    "bit_xor bit_count approx_count_distinct median mode grouping grouping_id getdate sysdatetime sysutcdatetime "
    "getutcdate newid isnumeric charindex patindex stuff quotename choose eomonth datefromparts checksum "
    "decode sys_guid add_months last_day months_between next_day rownum object_construct object_agg array_construct "
    "to_json_string to_json parse_json farm_fingerprint safe_divide generate_uuid safe_cast list_value list_aggregate "
    "struct_pack map list_sort list_distinct len array_length regexp_matches epoch epoch_ms time_bucket "
    "range generate_series unnest json_each json_tree pragma_table_info pragma_index_list pragma_index_info "
    "pragma_foreign_key_list flatten split_to_table generate_array generate_date_array string_split openjson "
    "sqlite_version last_insert_rowid sha512 to_base64 from_base64 inet_aton inet_ntoa is_uuid uuid_to_bin bin_to_uuid "
    "connection_id found_rows schema session_user system_user suser_sname db_name object_id scope_identity "
    "sqlite_source_id hash list_transform list_filter array_transform json_arrayagg"
)
_PLAIN = frozenset(_COMMON.split())
# Aggregates of MySQL, DuckDB and SQLite that are no AggFunc of sqlglot's.
AGGREGATES = frozenset({"json_arrayagg", "list", "total"})


def effects_of(dialect: str, name: str) -> tuple[Effect, ...] | None:
    """What a call of `name` (lower case, with its package) does beyond a value; None: not known."""
    if dialect == "oracle":
        name = name.removeprefix("sys.")
    found = EFFECTS.get(dialect, {}).get(name)
    if found is not None:
        return found
    last = name.rsplit(".", 1)[-1]
    if last == name and name in _PLAIN:
        return ()
    for prefix, effects in PACKAGES.get(dialect, ()):
        if name.startswith(prefix):
            return effects
    return EFFECTS.get(dialect, {}).get(last)
