"""The rows of the fact tables, field by field as in schema/facts.sql (a test holds the two together). Pure.

Times are microseconds since 1970 in UTC, digests hexadecimal text; maps are tuples of (key, value). The module is long
because it is one list: a class for each table, nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

Texts = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]


class Who(NamedTuple):
    """The columns that say who, in sessions and decisions."""

    who: str
    principal: str
    principal_kind: str
    principal_issuer: str
    principal_email: str
    principal_groups: Texts
    human: str | None
    human_groups: Texts
    on_behalf_of: Texts
    authentication: str


class EventRow(NamedTuple):
    time: int
    event_id: str
    type: str
    producer_id: str
    epoch: int
    seq: int
    source: str
    correlation_id: str
    causation_id: str
    time_unix_nano: int
    trace_id: str
    span_id: str
    omitted: Texts
    prev_hash: bytes
    hash: bytes
    raw: bytes


class SessionStartRow(NamedTuple):
    time: int
    session_id: str
    opened: bool
    who: str
    principal: str
    principal_kind: str
    principal_issuer: str
    principal_email: str
    principal_groups: Texts
    human: str | None
    human_groups: Texts
    on_behalf_of: Texts
    authentication: str
    database: str
    engine: str
    environment: str
    db_role: str
    client_user: str
    client_address: str
    client_application: str
    client_protocol: str
    client_tls: str
    enforcement_point: str
    intent: str
    ticket: str
    refusal_code: str
    refusal: str


class SessionEndRow(NamedTuple):
    time: int
    session_id: str
    reason: str
    duration_ms: float
    statements: int
    bytes_in: int
    bytes_out: int


class DecisionRow(NamedTuple):
    time: int
    decision_id: str
    session_id: str
    who: str
    principal: str
    principal_kind: str
    principal_issuer: str
    principal_email: str
    principal_groups: Texts
    human: str | None
    human_groups: Texts
    on_behalf_of: Texts
    authentication: str
    database: str
    environment: str
    effect: str
    rules: Texts
    severity: str
    message: str
    statement: str
    kinds: Texts
    tables: Texts
    masked: Texts
    intent: str
    ticket: str
    policy_revision: str
    engine: str
    error_code: str
    approval_id: str
    message_kind: str
    parse_decision_id: str
    statements: int
    complete: bool
    row_limit: int | None
    byte_limit: int | None
    timeout_ms: int | None
    read_only: bool
    statement_digest: str
    parameters_digest: str
    catalog_version: str
    latency_us: float
    client_address: str
    client_application: str
    client_tls: str
    enforcement_point: str


class DecisionRuleRow(NamedTuple):
    time: int
    decision_id: str
    rule: str
    effect: str
    message: str
    severity: str
    controls: Texts


class StatementRow(NamedTuple):
    time: int
    decision_id: str
    statement_index: int
    statement: str
    fingerprint: str
    kinds: Texts
    operations: Texts
    tables: Texts
    functions: Texts
    flags: Texts
    unresolved: Texts
    complete: bool
    has_where: bool | None
    always_true: bool | None
    pinned: Texts
    row_limit: int | None
    parameters: int


class ExecutionRow(NamedTuple):
    time: int
    decision_id: str
    session_id: str
    statement_index: int
    outcome: str
    command_tag: str
    rows: int
    bytes: int
    duration_ms: float
    sqlstate: str
    masked_cells: int
    in_transaction: bool


class TableAccessRow(NamedTuple):
    time: int
    decision_id: str
    statement_index: int
    schema_name: str
    table_name: str
    kind: str
    access: str
    via: str
    tags: Texts


class ColumnAccessRow(NamedTuple):
    time: int
    decision_id: str
    statement_index: int
    schema_name: str
    table_name: str
    column_name: str
    usage: str
    tags: Texts


class MaskedColumnRow(NamedTuple):
    time: int
    decision_id: str
    statement_index: int
    ordinal: int
    output_name: str
    method: str
    rule: str
    sources: Texts
    tags: Texts


class ColumnChangeRow(NamedTuple):
    time: int
    decision_id: str
    statement_index: int
    schema_name: str
    table_name: str
    column_name: str
    value_mac: str | None
    row_keys: Pairs
    tags: Texts


class ApprovalEventRow(NamedTuple):
    time: int
    approval_id: str
    step: str
    who: str = ""
    principal: str = ""
    principal_issuer: str = ""
    decision_id: str = ""
    session_id: str = ""
    database: str = ""
    statement: str = ""
    rules: Texts = ()
    approvers: Texts = ()
    quorum: int = 0
    expires: int | None = None
    reason: str = ""
    intent: str = ""
    ticket: str = ""


class PolicyChangeRow(NamedTuple):
    time: int
    activated: bool
    revision: str
    previous_revision: str
    engine: str
    policies: Texts
    error: str


class CatalogChangeRow(NamedTuple):
    time: int
    database: str
    version: str
    previous_version: str
    relations: int
    enforcement_point: str


class AlertEventRow(NamedTuple):
    time: int
    alert_id: str
    rule: str
    severity: str
    title: str
    window_start: int
    window_end: int
    principal: str
    principal_issuer: str
    database: str
    evidence: Pairs
    observed: int
    threshold: int


class CheckpointRow(NamedTuple):
    time: int
    origin: str
    tree_size: int
    root_hash: str
    note: str


class SettingsChangeRow(NamedTuple):
    time: int
    component: str
    setting: str
    value: str


class EnforcementGapRow(NamedTuple):
    time: int
    enforcement_point: str
    reason: str
    denials: int
    since: int
    until: int


class TextEventRow(NamedTuple):
    time: int
    kind: str
    decision_id: str
    subject: str
    issuer: str
    before_month: str
    who: str
    principal: str
    principal_issuer: str
    reason: str


class DeadLetterRow(NamedTuple):
    time: int | None
    origin: str
    position: int
    producer_id: str
    epoch: int | None
    seq: int | None
    type: str
    reason: str
    error: str
    raw: bytes


Row = (
    EventRow
    | SessionStartRow
    | SessionEndRow
    | DecisionRow
    | DecisionRuleRow
    | StatementRow
    | ExecutionRow
    | TableAccessRow
    | ColumnAccessRow
    | MaskedColumnRow
    | ColumnChangeRow
    | ApprovalEventRow
    | PolicyChangeRow
    | CatalogChangeRow
    | AlertEventRow
    | CheckpointRow
    | SettingsChangeRow
    | EnforcementGapRow
    | TextEventRow
    | DeadLetterRow
)

TABLES: dict[str, type[Row]] = {
    "events": EventRow,
    "session_starts": SessionStartRow,
    "session_ends": SessionEndRow,
    "decisions": DecisionRow,
    "decision_rules": DecisionRuleRow,
    "statements": StatementRow,
    "executions": ExecutionRow,
    "table_access": TableAccessRow,
    "column_access": ColumnAccessRow,
    "masked_columns": MaskedColumnRow,
    "column_changes": ColumnChangeRow,
    "approval_events": ApprovalEventRow,
    "policy_changes": PolicyChangeRow,
    "catalog_changes": CatalogChangeRow,
    "alert_events": AlertEventRow,
    "checkpoints": CheckpointRow,
    "settings_changes": SettingsChangeRow,
    "enforcement_gaps": EnforcementGapRow,
    "text_events": TextEventRow,
    "dead_letters": DeadLetterRow,
}
"""Fact table to the type of its rows."""

TABLE_OF: dict[type[Row], str] = {row: table for table, row in TABLES.items()}
