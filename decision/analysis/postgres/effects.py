"""What built-in functions do beyond computing a value, and how those of well-known extensions behave.

Whatever is neither here nor known to be harmless is opaque.
"""

from __future__ import annotations

from decision.analysis.postgres.builtins import NAMES, VOLATILE
from decision.model.facts import Effect

_EFFECTS: dict[tuple[Effect, ...], str] = {
    (Effect.READS_FILES,): """
        pg_read_file pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir
        pg_ls_archive_statusdir pg_ls_replslotdir pg_ls_logicalsnapdir pg_ls_logicalmapdir pg_ls_summariesdir
        pg_current_logfile pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_wal_summary_contents
        pg_available_wal_summaries pg_file_settings pg_logdir_ls bt_page_items get_raw_page
        pg_get_loaded_modules""",
    (Effect.WRITES_FILES,): "pg_rotate_logfile pg_file_write pg_file_rename pg_file_unlink pg_file_sync",
    (Effect.LARGE_OBJECT, Effect.READS_FILES, Effect.WRITES): "lo_import",
    (Effect.LARGE_OBJECT, Effect.WRITES_FILES): "lo_export",
    (Effect.LARGE_OBJECT, Effect.WRITES): """
        lo_creat lo_create lo_unlink lo_put lo_from_bytea lowrite lo_truncate lo_truncate64 lo_open""",
    (Effect.LARGE_OBJECT,): "lo_get loread lo_close lo_lseek lo_lseek64 lo_tell lo_tell64",
    (Effect.NETWORK, Effect.DYNAMIC_SQL, Effect.OPAQUE): """
        dblink dblink_exec dblink_open dblink_send_query dblink_fetch dblink_get_result""",
    (Effect.NETWORK, Effect.OPAQUE): """
        dblink_connect dblink_connect_u dblink_disconnect dblink_close dblink_cancel_query dblink_is_busy
        dblink_get_connections dblink_error_message dblink_get_notify dblink_get_pkey dblink_build_sql_insert
        dblink_build_sql_update dblink_build_sql_delete http http_get http_post http_put http_delete http_patch""",
    (Effect.DYNAMIC_SQL, Effect.OPAQUE): """
        query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat
        ts_rewrite table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema
        schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
        xpath_table crosstab crosstab2 crosstab3 crosstab4 crosstab_hash connectby""",
    (Effect.KILLS_SESSIONS,): "pg_terminate_backend pg_cancel_backend",
    (Effect.CHANGES_SETTINGS,): """
        set_config pg_reload_conf setseed pg_replication_origin_session_setup pg_replication_origin_session_reset
        pg_replication_origin_xact_setup pg_replication_origin_xact_reset""",
    (Effect.SLEEPS,): "pg_sleep pg_sleep_for pg_sleep_until",
    (Effect.WRITES,): """
        nextval setval pg_notify pg_logical_emit_message pg_create_restore_point pg_switch_wal pg_promote
        pg_backup_start pg_backup_stop pg_wal_replay_pause pg_wal_replay_resume pg_export_snapshot
        pg_create_physical_replication_slot pg_create_logical_replication_slot pg_drop_replication_slot
        pg_copy_physical_replication_slot pg_copy_logical_replication_slot pg_replication_slot_advance
        pg_sync_replication_slots pg_logical_slot_get_changes pg_logical_slot_get_binary_changes
        pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_advance
        pg_stat_reset pg_stat_reset_shared pg_stat_reset_single_table_counters pg_stat_reset_single_function_counters
        pg_stat_reset_slru pg_stat_reset_replication_slot pg_stat_reset_subscription_stats pg_stat_reset_backend_stats
        pg_restore_relation_stats pg_restore_attribute_stats pg_clear_relation_stats pg_clear_attribute_stats
        pg_import_system_collations pg_nextoid pg_extension_config_dump pg_log_backend_memory_contexts
        pg_log_standby_snapshot pg_stop_making_pinned_objects brin_summarize_range brin_summarize_new_values
        brin_desummarize_range gin_clean_pending_list pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock
        pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
        pg_try_advisory_xact_lock_shared pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all""",
    (Effect.OPAQUE,): """
        pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes currtid2 amvalidate plpgsql_validator""",
}  # fmt: skip

_HARMLESS = frozenset(
    [
        "pg_get_sequence_data",
        "array_sample",
        "array_shuffle",
        "clock_timestamp",
        "current_query",
        "currval",
        "gen_random_uuid",
        "lastval",
        "pg_blocking_pids",
        "pg_collation_actual_version",
        "pg_control_checkpoint",
        "pg_control_init",
        "pg_control_recovery",
        "pg_control_system",
        "pg_current_wal_flush_lsn",
        "pg_current_wal_insert_lsn",
        "pg_current_wal_lsn",
        "pg_database_collation_actual_version",
        "pg_database_size",
        "pg_get_aios",
        "pg_get_backend_memory_contexts",
        "pg_get_multixact_members",
        "pg_get_shmem_allocations",
        "pg_get_shmem_allocations_numa",
        "pg_get_wait_events",
        "pg_get_wal_replay_pause_state",
        "pg_get_wal_resource_managers",
        "pg_get_wal_summarizer_state",
        "pg_indexes_size",
        "pg_is_in_recovery",
        "pg_is_wal_replay_paused",
        "pg_isolation_test_session_is_blocked",
        "pg_jit_available",
        "pg_last_committed_xact",
        "pg_last_wal_receive_lsn",
        "pg_last_wal_replay_lsn",
        "pg_last_xact_replay_timestamp",
        "pg_lock_status",
        "pg_notification_queue_usage",
        "pg_partition_ancestors",
        "pg_partition_tree",
        "pg_prepared_xact",
        "pg_relation_size",
        "pg_replication_origin_progress",
        "pg_replication_origin_session_is_setup",
        "pg_replication_origin_session_progress",
        "pg_safe_snapshot_blocking_pids",
        "pg_sequence_last_value",
        "pg_show_replication_origin_status",
        "pg_stat_clear_snapshot",
        "pg_stat_force_next_flush",
        "pg_stat_get_backend_io",
        "pg_stat_get_backend_wal",
        "pg_stat_get_io",
        "pg_stat_get_recovery_prefetch",
        "pg_stat_have_stats",
        "pg_table_size",
        "pg_tablespace_size",
        "pg_total_relation_size",
        "pg_xact_commit_timestamp",
        "pg_xact_commit_timestamp_origin",
        "pg_xact_status",
        "random",
        "random_normal",
        "timeofday",
        "txid_status",
        "uuidv4",
        "uuidv7",
        "pg_stat_get_xact_blocks_fetched",
        "pg_stat_get_xact_blocks_hit",
        "pg_stat_get_xact_function_calls",
        "pg_stat_get_xact_function_self_time",
        "pg_stat_get_xact_function_total_time",
        "pg_stat_get_xact_numscans",
        "pg_stat_get_xact_tuples_deleted",
        "pg_stat_get_xact_tuples_fetched",
        "pg_stat_get_xact_tuples_hot_updated",
        "pg_stat_get_xact_tuples_inserted",
        "pg_stat_get_xact_tuples_newpage_updated",
        "pg_stat_get_xact_tuples_returned",
        "pg_stat_get_xact_tuples_updated",
    ]
)

EFFECTS: dict[str, tuple[Effect, ...]] = {
    name: effects for effects, names in _EFFECTS.items() for name in names.split()
}
# Functions whose text argument number (0-based) is SQL that they run.
SQL_ARGUMENT = {
    "query_to_xml": 0, "query_to_xmlschema": 0, "query_to_xml_and_xmlschema": 0, "ts_stat": 0, "ts_rewrite": 1,
}  # fmt: skip
# Functions that give back what tables, files of the server or other sessions hold.
VALUES_OF_OTHERS = frozenset(
    {
        "lo_get", "loread", "pg_read_file", "pg_read_binary_file", "pg_logical_slot_get_changes", "get_raw_page",
        "pg_logical_slot_get_binary_changes", "pg_logical_slot_peek_changes", "pg_logical_slot_peek_binary_changes",
    }
)  # fmt: skip
# Functions that read the table that they are given by name; and those that read tables that no argument names.
TABLE_TO_XML = frozenset({"table_to_xml", "table_to_xml_and_xmlschema"})
UNKNOWN_TABLES = frozenset(
    {"schema_to_xml", "schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema",
     "cursor_to_xml"}
)  # fmt: skip
# Functions whose bodies are SQL over pg_catalog's relations, which they read: relation to columns.
READERS: dict[str, dict[str, tuple[str, ...]]] = {
    "col_description": {"pg_description": ("classoid", "description", "objoid", "objsubid")},
    "obj_description": {
        "pg_class": ("oid", "relname", "relnamespace"),
        "pg_description": ("classoid", "description", "objoid", "objsubid"),
    },
    "shobj_description": {
        "pg_class": ("oid", "relname", "relnamespace"),
        "pg_shdescription": ("classoid", "description", "objoid"),
    },
    "ts_debug": {
        "pg_ts_config": ("cfgparser", "oid"),
        "pg_ts_config_map": ("mapcfg", "mapdict", "mapseqno", "maptokentype"),
    },
}
DENIAL_OF_SERVICE = frozenset({"pg_sleep", "pg_sleep_for", "pg_sleep_until", "generate_series", "repeat"})
XML_SQL = frozenset(name for name in EFFECTS if name.endswith(("_to_xml", "_to_xmlschema", "_to_xml_and_xmlschema")))
ADMINISTRATIVE = frozenset(
    [
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_reload_conf",
        "pg_rotate_logfile",
        "pg_promote",
        "pg_switch_wal",
        "pg_create_restore_point",
        "pg_backup_start",
        "pg_backup_stop",
        "pg_wal_replay_pause",
        "pg_wal_replay_resume",
        "pg_stat_reset",
        "pg_stat_reset_shared",
        "pg_log_backend_memory_contexts",
    ]
)
REPLICATION = frozenset(
    name for name in EFFECTS if "replication" in name or name.startswith("pg_logical_") or "_slot" in name
)


def builtin_effects(name: str) -> tuple[Effect, ...] | None:
    """The effects of a pg_catalog function; None where there is no function of that name."""
    if name not in NAMES:
        return None
    known = EFFECTS.get(name)
    if known is not None:
        return known
    return (Effect.OPAQUE,) if name in VOLATILE and name not in _HARMLESS else ()


def extension_effects(name: str) -> tuple[Effect, ...] | None:
    """The effects that a function of this name has when an extension brings it; None if no such is known."""
    return EFFECTS.get(name) if name not in NAMES else None
