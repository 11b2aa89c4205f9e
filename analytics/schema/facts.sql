-- The fact tables: one row or more for each event, made by analytics.project, never changed afterwards.
--
-- This file is the one source of names, types and documentation: the text behind each column becomes its COMMENT.
-- Every fact has `time`, the event's own time: segments are kept by its UTC day. The principal stands in sessions and
-- decisions only; the views (views.sql) bring it to the others by decision_id and session_id.

CREATE TABLE events ( -- Every event, with the exact bytes that were stored
  time TIMESTAMPTZ, -- When it happened, by the producer's clock
  event_id VARCHAR, -- Its id (UUIDv7)
  type VARCHAR, -- What happened: StatementDecided, StatementExecuted, SessionOpened …
  producer_id VARCHAR, -- The journal that made it durable
  epoch BIGINT, -- The journal's incarnation number
  seq BIGINT, -- Its number in that journal; no number is missing or used twice
  source VARCHAR, -- The component that reported it
  correlation_id VARCHAR, -- The session it belongs to, or what else it is about
  causation_id VARCHAR, -- The event or decision that led to it
  time_unix_nano BIGINT, -- `time` in full, in nanoseconds since 1970
  trace_id VARCHAR, -- OpenTelemetry trace id, hexadecimal
  span_id VARCHAR, -- OpenTelemetry span id, hexadecimal
  omitted VARCHAR[], -- Fields cut because the event would have been too large (their hashes are in the event)
  prev_hash BLOB, -- The chain's value before it
  hash BLOB, -- The chain's value after it
  raw BLOB, -- The stored bytes, from which everything here can be made again
);

CREATE TABLE session_starts ( -- Sessions that were opened or refused
  time TIMESTAMPTZ, -- When the client connected
  session_id VARCHAR, -- The session
  opened BOOLEAN, -- Whether it was let in
  who VARCHAR, -- Who asks, for people: `agent for human`
  principal VARCHAR, -- The principal's subject
  principal_kind VARCHAR, -- human, agent or service; empty where nobody was proven
  principal_issuer VARCHAR, -- The identity provider that vouches for it
  principal_email VARCHAR, -- Its e-mail address, if the credential named one
  principal_groups VARCHAR[], -- Its groups
  human VARCHAR, -- The human behind it (itself, if it is one)
  human_groups VARCHAR[], -- That human's groups
  on_behalf_of VARCHAR[], -- Everyone it acts for, nearest first
  authentication VARCHAR, -- How it proved who it is: oidc, mtls, bearer
  database VARCHAR, -- The database entry it asked for
  engine VARCHAR, -- postgres …
  environment VARCHAR, -- dev, staging or prod
  db_role VARCHAR, -- The database's own role on the upstream connection
  client_user VARCHAR, -- What a refused client called itself
  client_address VARCHAR, -- Its address and port
  client_application VARCHAR, -- The application's name, as it says
  client_protocol VARCHAR, -- The protocol it speaks
  client_tls VARCHAR, -- The TLS version, empty without
  enforcement_point VARCHAR, -- Where it connected
  intent VARCHAR, -- Why, as the client says
  ticket VARCHAR, -- The ticket it refers to
  refusal_code VARCHAR, -- Why it was refused, as a code
  refusal VARCHAR, -- Why it was refused, in words
);

CREATE TABLE session_ends ( -- Sessions that ended
  time TIMESTAMPTZ, -- When
  session_id VARCHAR, -- The session
  reason VARCHAR, -- client, server, network, expired, shutdown, error
  duration_ms DOUBLE, -- How long it lasted, in milliseconds
  statements BIGINT, -- How many statements were executed
  bytes_in BIGINT, -- Bytes received from the client
  bytes_out BIGINT, -- Bytes sent to the client
);

CREATE TABLE decisions ( -- The answer to each message that a client wanted to run
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  session_id VARCHAR, -- The session it was asked in
  who VARCHAR, -- Who asked, for people: `agent for human`
  principal VARCHAR, -- The principal's subject
  principal_kind VARCHAR, -- human, agent or service
  principal_issuer VARCHAR, -- The identity provider that vouches for it
  principal_email VARCHAR, -- Its e-mail address, if the credential named one
  principal_groups VARCHAR[], -- Its groups
  human VARCHAR, -- The human behind it (itself, if it is one)
  human_groups VARCHAR[], -- That human's groups
  on_behalf_of VARCHAR[], -- Everyone it acts for, nearest first
  authentication VARCHAR, -- How it proved who it is: oidc, mtls, bearer
  database VARCHAR, -- The database entry
  environment VARCHAR, -- dev, staging or prod
  effect VARCHAR, -- allow, deny or hold
  rules VARCHAR[], -- The rules that led to the effect, worst first
  severity VARCHAR, -- The worst severity among them: low, medium, high, critical
  message VARCHAR, -- What the person was told; empty for allow
  statement VARCHAR, -- The text without literals
  kinds VARCHAR[], -- What its statements do: select, update, ddl …
  tables VARCHAR[], -- The tables it touches, as schema.table
  masked VARCHAR[], -- The output columns that were to be masked
  intent VARCHAR, -- Why, as the client says
  ticket VARCHAR, -- The ticket it refers to
  policy_revision VARCHAR, -- The digest of the policy bundle that decided
  engine VARCHAR, -- The Rego engine that evaluated it
  error_code VARCHAR, -- Why no policy was asked, if so: syntax_refused, limit_exceeded …
  approval_id VARCHAR, -- The approval that it asked for or used
  message_kind VARCHAR, -- The protocol message: query, parse, bind, function_call
  parse_decision_id VARCHAR, -- For a bind: the decision on its parse
  statements INTEGER, -- How many statements the message holds, as far as analysis could tell
  complete BOOLEAN, -- Whether analysis understood everything
  row_limit BIGINT, -- The most rows it may return, if limited
  byte_limit BIGINT, -- The most bytes it may return, if limited
  timeout_ms BIGINT, -- The longest it may run, if limited
  read_only BOOLEAN, -- Whether it had to run in a read-only transaction
  statement_digest VARCHAR, -- Keyed digest of the exact bytes, hexadecimal
  parameters_digest VARCHAR, -- Keyed digest of the bound values, hexadecimal
  catalog_version VARCHAR, -- The catalog snapshot it was analysed with
  latency_us DOUBLE, -- From question to answer, in microseconds
  client_address VARCHAR, -- The client's address and port
  client_application VARCHAR, -- The application's name, as it says
  client_tls VARCHAR, -- The TLS version, empty without
  enforcement_point VARCHAR, -- The enforcement point that asked
);

CREATE TABLE decision_rules ( -- Every rule that spoke in a decision
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  rule VARCHAR, -- The rule's id
  effect VARCHAR, -- What it says: allow, deny or hold
  message VARCHAR, -- Why, in its words
  severity VARCHAR, -- low, medium, high, critical
  controls VARCHAR[], -- The controls it serves: SOC2:CC6.1 …
);

CREATE TABLE statements ( -- What analysis says of each statement; one row for a message that could not be analysed
  time TIMESTAMPTZ, -- When its message was decided
  decision_id VARCHAR, -- The decision on its message
  statement_index INTEGER, -- Its place in the message, from 0
  statement VARCHAR, -- The text without literals
  fingerprint VARCHAR, -- Equal for statements of the same shape
  kinds VARCHAR[], -- What it does: select, insert, update, delete, ddl …; unknown if it was not understood
  operations VARCHAR[], -- What DDL and DCL it is: `drop table public.payments`
  tables VARCHAR[], -- The tables it touches, as schema.table
  functions VARCHAR[], -- The functions it calls that do more than compute
  flags VARCHAR[], -- What else is notable: dynamic_sql, role_change …
  unresolved VARCHAR[], -- What analysis could not know
  complete BOOLEAN, -- Whether it understood everything
  has_where BOOLEAN, -- Whether there is a WHERE
  always_true BOOLEAN, -- Whether that WHERE was shown not to restrict
  pinned VARCHAR[], -- The columns that WHERE holds to one value
  row_limit BIGINT, -- Its own row limit, if any
  parameters INTEGER, -- How many parameters it has
);

CREATE TABLE executions ( -- What the database then did
  time TIMESTAMPTZ, -- When it was over
  decision_id VARCHAR, -- The decision that let it run
  session_id VARCHAR, -- The session
  statement_index INTEGER, -- Which statement of the message, from 0
  outcome VARCHAR, -- completed, failed, cancelled, denied (at run time) or unknown
  command_tag VARCHAR, -- What the database reports: SELECT 5 …
  rows BIGINT, -- Rows returned or affected
  bytes BIGINT, -- Bytes sent to the client
  duration_ms DOUBLE, -- How long it ran, in milliseconds
  sqlstate VARCHAR, -- The error's code, if it failed
  masked_cells BIGINT, -- Values that were masked
  in_transaction BOOLEAN, -- Whether a later rollback may have undone it
);

CREATE TABLE table_access ( -- Which relation each statement touches, one row for each way
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  statement_index INTEGER, -- Which statement of the message, from 0
  schema_name VARCHAR, -- The relation's schema
  table_name VARCHAR, -- The relation
  kind VARCHAR, -- table, view, system …
  access VARCHAR, -- read, write, ddl or lock
  via VARCHAR, -- direct, or by view, rule, trigger, function …
  tags VARCHAR[], -- The relation's tags
);

CREATE TABLE column_access ( -- Which column each statement uses, one row for each use
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  statement_index INTEGER, -- Which statement of the message, from 0
  schema_name VARCHAR, -- The table's schema
  table_name VARCHAR, -- The table
  column_name VARCHAR, -- The column
  usage VARCHAR, -- output, filter, write, join, group, order …
  tags VARCHAR[], -- The column's tags
);

CREATE TABLE masked_columns ( -- Output columns that a decision ordered to be masked
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  statement_index INTEGER, -- Which statement of the message, from 0
  ordinal INTEGER, -- The column's place in the output, from 1
  output_name VARCHAR, -- Its name in the output
  method VARCHAR, -- How it was masked: email, partial, hash, full, null …
  rule VARCHAR, -- The rule that wanted it
  sources VARCHAR[], -- The base columns it is made of, as schema.table.column
  tags VARCHAR[], -- Their tags
);

CREATE TABLE column_changes ( -- Columns that a statement was to write
  time TIMESTAMPTZ, -- When it was decided
  decision_id VARCHAR, -- The decision
  statement_index INTEGER, -- Which statement of the message, from 0
  schema_name VARCHAR, -- The table's schema
  table_name VARCHAR, -- The table
  column_name VARCHAR, -- The column
  value_mac VARCHAR, -- Keyed digest of the new value, hexadecimal; NULL if the statement does not tell it
  row_keys MAP(VARCHAR, VARCHAR), -- Which row: the columns held to one value, with the keyed digests of those values
  tags VARCHAR[], -- The column's tags
);

CREATE TABLE approval_events ( -- Every step in the life of an approval
  time TIMESTAMPTZ, -- When
  approval_id VARCHAR, -- The approval
  step VARCHAR, -- requested, vote_granted, vote_denied, expired or used
  who VARCHAR, -- Who asked or voted, for people
  principal VARCHAR, -- The subject of who asked or voted
  principal_issuer VARCHAR, -- Its identity provider
  decision_id VARCHAR, -- The decision that asked for it, or used it
  session_id VARCHAR, -- The session that asked for it, or used it
  database VARCHAR, -- The database entry
  statement VARCHAR, -- The text without literals
  rules VARCHAR[], -- The rules that hold the statement
  approvers VARCHAR[], -- The groups that may approve
  quorum INTEGER, -- How many must approve
  expires TIMESTAMPTZ, -- Until when it can be given and used
  reason VARCHAR, -- The reason given with a vote
  intent VARCHAR, -- Why, as the client says
  ticket VARCHAR, -- The ticket it refers to
);

CREATE TABLE policy_changes ( -- Policy bundles that became active or were refused
  time TIMESTAMPTZ, -- When
  activated BOOLEAN, -- Whether it became active
  revision VARCHAR, -- The bundle's digest
  previous_revision VARCHAR, -- The digest of the one before, or of the one that stays active
  engine VARCHAR, -- The Rego engine
  policies VARCHAR[], -- The policies in it
  error VARCHAR, -- Why it was refused
);

CREATE TABLE catalog_changes ( -- New snapshots of a database's catalog
  time TIMESTAMPTZ, -- When
  database VARCHAR, -- The database entry
  version VARCHAR, -- The snapshot's digest
  previous_version VARCHAR, -- The digest of the one before
  relations BIGINT, -- How many relations it holds
  enforcement_point VARCHAR, -- Who sent it
);

CREATE TABLE alert_events ( -- Alerts as they were raised; raising one again replaces it
  time TIMESTAMPTZ, -- When
  alert_id VARCHAR, -- The alert
  rule VARCHAR, -- The detection rule
  severity VARCHAR, -- low, medium, high, critical
  title VARCHAR, -- What was seen
  window_start TIMESTAMPTZ, -- Begin of the time looked at
  window_end TIMESTAMPTZ, -- Its end
  principal VARCHAR, -- The subject it is about
  principal_issuer VARCHAR, -- Its identity provider
  database VARCHAR, -- The database entry it is about
  evidence MAP(VARCHAR, VARCHAR), -- The figures behind it
  observed BIGINT, -- The figure that was compared; of one alert the greatest counts
  threshold BIGINT, -- What it was compared with
);

CREATE TABLE checkpoints ( -- Signed tree heads
  time TIMESTAMPTZ, -- When
  origin VARCHAR, -- The log's name
  tree_size BIGINT, -- How many events it covers
  root_hash VARCHAR, -- The tree's root, hexadecimal
  note VARCHAR, -- The signed note
);

CREATE TABLE settings_changes ( -- Settings that came into force
  time TIMESTAMPTZ, -- When
  component VARCHAR, -- Whose
  setting VARCHAR, -- Which
  value VARCHAR, -- The new value, secrets redacted
);

CREATE TABLE enforcement_gaps ( -- Denials that an enforcement point gave alone while nothing answered it
  time TIMESTAMPTZ, -- When it was reported
  enforcement_point VARCHAR, -- Which
  reason VARCHAR, -- Why it was alone
  denials BIGINT, -- How many statements it denied
  since TIMESTAMPTZ, -- From when
  until TIMESTAMPTZ, -- Until when
);

CREATE TABLE text_events ( -- Exact texts of statements that someone read, and keys of such texts that were erased
  time TIMESTAMPTZ, -- When
  kind VARCHAR, -- revealed or erased
  decision_id VARCHAR, -- revealed: the decision whose text was read
  subject VARCHAR, -- erased: whose statements' texts are gone
  issuer VARCHAR, -- erased: that principal's identity provider, empty for every one
  before_month VARCHAR, -- erased: the first month (UTC) whose texts stay
  who VARCHAR, -- Who did it, for people
  principal VARCHAR, -- The subject of who did it
  principal_issuer VARCHAR, -- Its identity provider
  reason VARCHAR, -- Why
);

CREATE TABLE dead_letters ( -- Events that could not be read or projected; none is skipped silently
  time TIMESTAMPTZ, -- When it happened, NULL if the bytes don't tell
  origin VARCHAR, -- Where it was read from: the journal, or the topic and partition
  position BIGINT, -- Its number there
  producer_id VARCHAR, -- The journal that made it, if known
  epoch BIGINT, -- The journal's incarnation number, if known
  seq BIGINT, -- Its number in that journal, if known
  type VARCHAR, -- The event's type, if known
  reason VARCHAR, -- undecodable, unknown_payload, unprojectable or conflict
  error VARCHAR, -- What is wrong with it
  raw BLOB, -- The bytes
);
