"""Settings that change how a text is read, or what the database lets happen."""

from __future__ import annotations

LEXER_SETTINGS = frozenset({"sql_mode", "quoted_identifier", "ansi_defaults", "names", "character set", "charset",
                            "character_set_client", "collation_connection"})  # fmt: skip
SECURITY_SETTINGS = frozenset(
    {
        "local_infile", "general_log", "general_log_file", "secure_file_priv", "sql_log_bin", "slow_query_log_file",
        "foreign_key_checks", "writable_schema", "trusted_schema", "enable_external_access", "key", "rekey",
        "lock_configuration", "allow_unsigned_extensions", "log_bin_trust_function_creators",
        "home_directory", "extension_directory", "secret_directory", "temp_directory", "temp_store_directory",
        "custom_extension_repository", "autoinstall_extension_repository", "autoinstall_known_extensions",
        "autoload_known_extensions", "allow_community_extensions", "allow_unredacted_secrets", "allowed_paths",
        "allowed_directories", "disabled_filesystems", "profiling_output", "log_query_path", "data_store_directory",
    }
)  # fmt: skip
