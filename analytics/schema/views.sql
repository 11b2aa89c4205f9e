-- What analysts ask: views over the facts. The text behind each column becomes its COMMENT.
-- The same file serves the published catalog and a rebuilt one; `fact.x` is every row of fact x.
-- Rows made of one event share its time: joined by it too, a condition on `time` spares the files of both sides.

CREATE VIEW sessions AS -- Who connected, from where, for how long
SELECT
  s.time, -- When the client connected
  s.session_id, -- The session
  s.who, -- Who asks, for people: `agent for human`
  s.principal, -- The principal's subject
  s.principal_kind, -- human, agent or service; empty where nobody was proven
  s.principal_email, -- Its e-mail address, if the credential named one
  s.principal_groups, -- Its groups
  s.human, -- The human behind it (itself, if it is one)
  s.human_groups, -- That human's groups
  s.on_behalf_of, -- Everyone it acts for, nearest first
  s.principal_issuer, -- The identity provider that vouches for it
  s.authentication, -- How it proved who it is
  s.database, -- The database entry
  s.environment, -- dev, staging or prod
  CASE WHEN NOT s.opened THEN 'refused' WHEN e.session_id IS NULL THEN 'open' ELSE 'closed' END AS outcome, -- refused, open (or its end was never reported) or closed
  s.refusal_code, -- Why it was refused, as a code
  s.refusal, -- Why it was refused, in words
  s.intent, -- Why, as the client says
  s.ticket, -- The ticket it refers to
  e.time AS ended, -- When it ended
  e.reason AS end_reason, -- client, server, network, expired, shutdown, error
  e.duration_ms, -- How long it lasted, in milliseconds
  e.statements, -- How many statements were executed
  e.bytes_in, -- Bytes received from the client
  e.bytes_out, -- Bytes sent to the client
  s.db_role, -- The database's own role on the upstream connection
  s.client_user, -- What a refused client called itself
  s.client_address, -- The client's address and port
  s.client_application, -- The application's name, as it says
  s.client_protocol, -- The protocol it speaks
  s.client_tls, -- The TLS version, empty without
  s.enforcement_point, -- Where it connected
FROM fact.session_starts s LEFT JOIN fact.session_ends e ON e.session_id = s.session_id;

CREATE VIEW decisions AS -- The answer to each message that a client wanted to run
SELECT
  time, -- When it was decided
  who, -- Who asked, for people: `agent for human`
  effect, -- allow, deny or hold
  database, -- The database entry
  environment, -- dev, staging or prod
  statement, -- The text without literals
  tables, -- The tables it touches, as schema.table
  rules, -- The rules that led to the effect, worst first
  message, -- What the person was told; empty for allow
  severity, -- The worst severity among the rules
  intent, -- Why, as the client says
  ticket, -- The ticket it refers to
  policy_revision, -- The digest of the policy bundle that decided
  principal, -- The principal's subject
  principal_kind, -- human, agent or service
  principal_email, -- Its e-mail address, if the credential named one
  principal_groups, -- Its groups
  human, -- The human behind it (itself, if it is one)
  human_groups, -- That human's groups
  on_behalf_of, -- Everyone it acts for, nearest first
  principal_issuer, -- The identity provider that vouches for it
  authentication, -- How it proved who it is
  kinds, -- What its statements do: select, update, ddl …
  masked, -- The output columns that were to be masked
  error_code, -- Why no policy was asked, if so
  approval_id, -- The approval that it asked for or used
  row_limit, -- The most rows it may return, if limited
  byte_limit, -- The most bytes it may return, if limited
  timeout_ms, -- The longest it may run, if limited
  read_only, -- Whether it had to run in a read-only transaction
  message_kind, -- The protocol message: query, parse, bind, function_call
  decision_id, -- The decision
  parse_decision_id, -- For a bind: the decision on its parse
  session_id, -- The session it was asked in
  statements, -- How many statements the message holds
  complete, -- Whether analysis understood everything
  engine, -- The Rego engine that evaluated it
  statement_digest, -- Keyed digest of the exact bytes, hexadecimal
  parameters_digest, -- Keyed digest of the bound values, hexadecimal
  catalog_version, -- The catalog snapshot it was analysed with
  latency_us, -- From question to answer, in microseconds
  client_address, -- The client's address and port
  client_application, -- The application's name, as it says
  client_tls, -- The TLS version, empty without
  enforcement_point, -- The enforcement point that asked
FROM fact.decisions;

CREATE VIEW executions AS -- What the database did for each decision that let something run
SELECT
  x.time, -- When it was over
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  x.outcome, -- completed, failed, cancelled, denied (at run time) or unknown
  x.rows, -- Rows returned or affected
  x.bytes, -- Bytes sent to the client
  x.duration_ms, -- How long it ran, in milliseconds
  x.masked_cells, -- Values that were masked
  x.command_tag, -- What the database reports
  x.sqlstate, -- The error's code, if it failed
  d.statement, -- The text of the whole message without literals
  d.tables, -- The tables it touches, as schema.table
  d.intent, -- Why, as the client says
  d.ticket, -- The ticket it refers to
  d.rules, -- The rules that let it run
  d.policy_revision, -- The digest of the policy bundle that decided
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.principal_groups, -- Its groups
  d.human, -- The human behind it (itself, if it is one)
  d.time AS decided, -- When it was decided
  x.in_transaction, -- Whether a later rollback may have undone it
  x.statement_index, -- Which statement of the message, from 0
  x.decision_id, -- The decision that let it run
  x.session_id, -- The session
FROM fact.executions x LEFT JOIN fact.decisions d ON d.decision_id = x.decision_id;

CREATE VIEW statements AS -- Every statement that someone wanted to run: the answer, and what the database then did
SELECT
  s.time, -- When it was decided
  d.who, -- Who asked, for people: `agent for human`
  d.effect, -- allow, deny or hold
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  s.statement, -- The text without literals
  s.kinds, -- What it does: select, insert, update, delete, ddl …; unknown if it was not understood
  s.tables, -- The tables it touches, as schema.table
  d.rules, -- The rules that led to the effect, worst first
  d.message, -- What the person was told; empty for allow
  x.outcome, -- What the database did; NULL if it did not run or was never reported
  x.rows, -- Rows returned or affected
  x.bytes, -- Bytes sent to the client
  x.duration_ms, -- How long it ran, in milliseconds
  x.masked_cells, -- Values that were masked
  x.sqlstate, -- The error's code, if it failed
  d.intent, -- Why, as the client says
  d.ticket, -- The ticket it refers to
  d.policy_revision, -- The digest of the policy bundle that decided
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.principal_groups, -- Its groups
  d.human, -- The human behind it (itself, if it is one)
  s.operations, -- What DDL and DCL it is: `drop table public.payments`
  s.functions, -- The functions it calls that do more than compute
  s.flags, -- What else is notable: dynamic_sql, role_change …
  s.unresolved, -- What analysis could not know
  s.complete, -- Whether it understood everything
  s.has_where, -- Whether there is a WHERE
  s.always_true, -- Whether that WHERE was shown not to restrict
  s.pinned, -- The columns that WHERE holds to one value
  s.row_limit, -- Its own row limit, if any
  s.parameters, -- How many parameters it has
  s.fingerprint, -- Equal for statements of the same shape
  d.message_kind, -- The protocol message: query, parse, bind, function_call
  x.time AS executed, -- When the execution was over
  s.statement_index, -- Its place in the message, from 0
  s.decision_id, -- The decision on its message
  d.session_id, -- The session
FROM fact.statements s
JOIN fact.decisions d ON d.decision_id = s.decision_id AND d.time = s.time
LEFT JOIN fact.executions x ON x.decision_id = s.decision_id AND x.statement_index = s.statement_index;

CREATE VIEW denials AS -- Everything that was refused, once: statements, executions at run time, and sessions
SELECT
  time, -- When it was refused
  who, -- Who asked, for people: `agent for human`
  database, -- The database entry
  environment, -- dev, staging or prod
  statement, -- The text without literals; NULL for a session
  rules, -- The rules that refuse it, worst first
  message, -- What the person was told
  intent, -- Why, as the client says
  ticket, -- The ticket it refers to
  tables, -- The tables it touches, as schema.table
  policy_revision, -- The digest of the policy bundle that decided
  principal, -- The principal's subject
  principal_kind, -- human, agent or service; empty where nobody was proven
  principal_groups, -- Its groups
  human, -- The human behind it (itself, if it is one)
  severity, -- The worst severity among the rules
  stage, -- What was refused: statement, execution (an obligation could not be fulfilled) or session
  error_code, -- Why no policy was asked, if so
  decision_id, -- The decision; NULL for a session
  session_id, -- The session
FROM (
  SELECT time, who, database, environment, statement, rules, message, intent, ticket, tables, policy_revision,
    principal, principal_kind, principal_groups, human, severity, 'statement' AS stage, error_code, decision_id,
    session_id
  FROM (
    SELECT * FROM fact.decisions WHERE effect = 'deny' AND message_kind <> 'bind'
    UNION ALL
    -- Drivers send a bind right behind its parse: both are refused, and that is one statement.
    SELECT * EXCLUDE (before) FROM (
      SELECT *, lag(message_kind) OVER (PARTITION BY session_id, statement_digest ORDER BY time, decision_id) AS before
      FROM fact.decisions
      WHERE effect = 'deny'
        AND session_id IN (SELECT session_id FROM fact.decisions WHERE effect = 'deny' AND message_kind = 'bind')
    )
    WHERE message_kind = 'bind' AND coalesce(before, '') <> 'parse'
  )
  UNION ALL
  SELECT x.time, d.who, d.database, d.environment, d.statement, d.rules,
    'denied at run time: an obligation of the decision could not be fulfilled', d.intent, d.ticket, d.tables,
    d.policy_revision, d.principal, d.principal_kind, d.principal_groups, d.human, d.severity, 'execution',
    'obligation_unfulfillable', x.decision_id, x.session_id
  FROM (SELECT * FROM fact.executions WHERE outcome = 'denied') x
  LEFT JOIN fact.decisions d ON d.decision_id = x.decision_id AND d.effect <> 'deny'
  WHERE NOT EXISTS (FROM fact.decisions n WHERE n.decision_id = x.decision_id AND n.effect = 'deny')
  UNION ALL
  SELECT time, coalesce(nullif(who, ''), client_user), database, environment, NULL, [refusal_code], refusal, intent,
    ticket, [], NULL, principal, principal_kind, principal_groups, human, NULL, 'session', refusal_code, NULL,
    session_id
  FROM fact.session_starts WHERE NOT opened
);

CREATE VIEW masked_reads AS -- Columns that someone read masked: who saw what only in part
SELECT
  m.time, -- When it was decided
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  m.output_name, -- The column's name in the output
  m.method, -- How it was masked
  m.sources, -- The base columns it is made of, as schema.table.column
  m.tags, -- Their tags
  m.rule, -- The rule that wanted it
  x.rows, -- Rows returned
  x.masked_cells, -- Values masked in the whole output
  x.outcome, -- What the database did; NULL if it did not run or was never reported
  d.statement, -- The text of the whole message without literals
  d.intent, -- Why, as the client says
  d.ticket, -- The ticket it refers to
  d.policy_revision, -- The digest of the policy bundle that decided
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.principal_groups, -- Its groups
  d.human, -- The human behind it (itself, if it is one)
  m.ordinal, -- The column's place in the output, from 1
  m.statement_index, -- Which statement of the message, from 0
  m.decision_id, -- The decision
  d.session_id, -- The session
FROM fact.masked_columns m
JOIN fact.decisions d ON d.decision_id = m.decision_id AND d.time = m.time
LEFT JOIN fact.executions x ON x.decision_id = m.decision_id AND x.statement_index = m.statement_index
WHERE d.message_kind <> 'parse';

CREATE VIEW table_access AS -- Who touched which table, and how
SELECT
  a.time, -- When it was decided
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  a.schema_name, -- The relation's schema
  a.table_name, -- The relation
  a.kind, -- table, view, system …
  a.access, -- read, write, ddl or lock
  a.via, -- direct, or by view, rule, trigger, function …
  a.tags, -- The relation's tags
  d.effect, -- allow, deny or hold
  x.outcome, -- What the database did; NULL if it did not run or was never reported
  x.rows, -- Rows returned or affected
  d.statement, -- The text of the whole message without literals
  d.rules, -- The rules that led to the effect, worst first
  d.intent, -- Why, as the client says
  d.ticket, -- The ticket it refers to
  d.policy_revision, -- The digest of the policy bundle that decided
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.principal_groups, -- Its groups
  d.human, -- The human behind it (itself, if it is one)
  d.message_kind, -- The protocol message: query, parse, bind, function_call
  a.statement_index, -- Which statement of the message, from 0
  a.decision_id, -- The decision
  d.session_id, -- The session
FROM fact.table_access a
JOIN fact.decisions d ON d.decision_id = a.decision_id AND d.time = a.time
LEFT JOIN fact.executions x ON x.decision_id = a.decision_id AND x.statement_index = a.statement_index;

CREATE VIEW column_access AS -- Who used which column, and for what
SELECT
  a.time, -- When it was decided
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  a.schema_name, -- The table's schema
  a.table_name, -- The table
  a.column_name, -- The column
  a.usage, -- output, filter, write, join, group, order …
  a.tags, -- The column's tags
  d.effect, -- allow, deny or hold
  d.statement, -- The text of the whole message without literals
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.human, -- The human behind it (itself, if it is one)
  d.message_kind, -- The protocol message: query, parse, bind, function_call
  a.statement_index, -- Which statement of the message, from 0
  a.decision_id, -- The decision
  d.session_id, -- The session
FROM fact.column_access a JOIN fact.decisions d ON d.decision_id = a.decision_id AND d.time = a.time;

CREATE VIEW column_changes AS -- Who changed which column of which row; values only as keyed digests
SELECT
  c.time, -- When it was decided
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  c.schema_name, -- The table's schema
  c.table_name, -- The table
  c.column_name, -- The column
  c.row_keys, -- Which row: the columns held to one value, with the keyed digests of those values
  c.value_mac, -- Keyed digest of the new value, hexadecimal; NULL if the statement does not tell it
  c.tags, -- The column's tags
  d.effect, -- allow, deny or hold: only what was allowed and completed was changed
  x.outcome, -- What the database did; NULL if it did not run or was never reported
  x.rows, -- Rows affected
  x.in_transaction, -- Whether a later rollback may have undone it
  d.statement, -- The text of the whole message without literals
  d.rules, -- The rules that led to the effect, worst first
  d.intent, -- Why, as the client says
  d.ticket, -- The ticket it refers to
  d.policy_revision, -- The digest of the policy bundle that decided
  d.principal, -- The principal's subject
  d.principal_kind, -- human, agent or service
  d.principal_groups, -- Its groups
  d.human, -- The human behind it (itself, if it is one)
  c.statement_index, -- Which statement of the message, from 0
  c.decision_id, -- The decision
  d.session_id, -- The session
FROM fact.column_changes c
JOIN fact.decisions d ON d.decision_id = c.decision_id AND d.time = c.time
LEFT JOIN fact.executions x ON x.decision_id = c.decision_id AND x.statement_index = c.statement_index
WHERE d.message_kind <> 'parse';

CREATE VIEW decision_rules AS -- Every rule that spoke in a decision
SELECT
  r.time, -- When it was decided
  r.rule, -- The rule's id
  r.effect, -- What it says: allow, deny or hold
  r.severity, -- low, medium, high, critical
  r.message, -- Why, in its words
  r.controls, -- The controls it serves: SOC2:CC6.1 …
  d.who, -- Who asked, for people: `agent for human`
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  d.effect AS decision, -- What was decided in the end: allow, deny or hold
  d.policy_revision, -- The digest of the policy bundle that decided
  r.decision_id, -- The decision
FROM fact.decision_rules r JOIN fact.decisions d ON d.decision_id = r.decision_id AND d.time = r.time;

CREATE VIEW approvals AS -- Every approval and what became of it
SELECT
  q.time, -- When it was asked for
  q.approval_id, -- The approval
  CASE
    WHEN v.used IS NOT NULL THEN 'used'
    WHEN v.denials > 0 THEN 'denied'
    WHEN v.expired IS NOT NULL THEN 'expired'
    WHEN v.grants >= q.quorum THEN 'granted'
    ELSE 'requested'
  END AS state, -- requested, granted, denied, expired or used, as far as events tell
  q.who AS requester, -- Who asked, for people
  q.database, -- The database entry
  q.statement, -- The text without literals
  q.rules, -- The rules that hold the statement
  q.approvers, -- The groups that may approve
  q.quorum, -- How many must approve
  v.votes, -- Who voted, for people
  v.reasons, -- The reasons they gave
  q.intent, -- Why, as the client says
  q.ticket, -- The ticket it refers to
  q.expires, -- Until when it can be given and used
  v.used, -- When it was used
  v.used_by AS used_decision_id, -- The decision that used it
  q.decision_id, -- The decision that asked for it
  q.session_id, -- The session that asked for it
FROM (SELECT * FROM fact.approval_events WHERE step = 'requested') q
LEFT JOIN (
  SELECT
    approval_id,
    min(time) FILTER (step = 'used') AS used,
    arg_min(decision_id, time) FILTER (step = 'used') AS used_by,
    min(time) FILTER (step = 'expired') AS expired,
    count(DISTINCT (principal_issuer, principal)) FILTER (step = 'vote_granted') AS grants,
    count(*) FILTER (step = 'vote_denied') AS denials,
    list(who || CASE step WHEN 'vote_granted' THEN ': yes' ELSE ': no' END ORDER BY time) FILTER (starts_with(step, 'vote_')) AS votes,
    list(reason ORDER BY time) FILTER (starts_with(step, 'vote_')) AS reasons
  FROM fact.approval_events WHERE step <> 'requested' GROUP BY approval_id
) v ON v.approval_id = q.approval_id;

CREATE VIEW alerts AS -- Every alert in its strongest form
SELECT
  time, -- When it was last raised
  alert_id, -- The alert
  rule, -- The detection rule
  severity, -- low, medium, high, critical
  title, -- What was seen
  principal, -- The subject it is about
  principal_issuer, -- Its identity provider
  database, -- The database entry it is about
  observed, -- The figure that was compared
  threshold, -- What it was compared with
  window_start, -- Begin of the time looked at
  window_end, -- Its end
  evidence, -- The figures behind it
FROM fact.alert_events
QUALIFY row_number() OVER (PARTITION BY alert_id ORDER BY observed DESC NULLS LAST, time DESC, window_end DESC) = 1;

CREATE VIEW policy_changes AS -- Policy bundles that became active or were refused
SELECT
  time, -- When
  activated, -- Whether it became active
  revision, -- The bundle's digest
  previous_revision, -- The digest of the one before, or of the one that stays active
  engine, -- The Rego engine
  policies, -- The policies in it
  error, -- Why it was refused
FROM fact.policy_changes;

CREATE VIEW catalog_changes AS -- New snapshots of a database's catalog
SELECT
  time, -- When
  database, -- The database entry
  version, -- The snapshot's digest
  previous_version, -- The digest of the one before
  relations, -- How many relations it holds
FROM fact.catalog_changes;

CREATE VIEW events AS -- Every event, with the exact bytes that were stored
SELECT
  time, -- When it happened, by the producer's clock
  type, -- What happened: StatementDecided, StatementExecuted, SessionOpened …
  event_id, -- Its id (UUIDv7)
  source, -- The component that reported it
  correlation_id, -- The session it belongs to, or what else it is about
  causation_id, -- The event or decision that led to it
  producer_id, -- The journal that made it durable
  epoch, -- The journal's incarnation number
  seq, -- Its number in that journal
  omitted, -- Fields cut because the event would have been too large
  trace_id, -- OpenTelemetry trace id, hexadecimal
  span_id, -- OpenTelemetry span id, hexadecimal
  time_unix_nano, -- `time` in full, in nanoseconds since 1970
  octet_length(raw) AS size, -- How many bytes were stored
  raw, -- The stored bytes
  prev_hash, -- The chain's value before it
  hash, -- The chain's value after it
FROM fact.events;

CREATE VIEW gaps AS -- Events that a producer numbered but that never arrived
SELECT
  producer_id, -- The journal
  epoch, -- The incarnation after the hole
  last_seq + 1 AS first_missing, -- The first number that is missing
  first_seq - 1 AS last_missing, -- The last number that is missing
  first_seq - last_seq - 1 AS missing, -- How many are missing
FROM (
  SELECT producer_id, epoch, first_seq, coalesce(max(last_seq) OVER (
    PARTITION BY producer_id ORDER BY epoch, first_seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS last_seq
  FROM meta.coverage
) WHERE first_seq > last_seq + 1;

CREATE VIEW chain_breaks AS -- Neighbouring events whose hashes don't fit together: something was edited
SELECT
  time, -- When the later event happened
  producer_id, -- The journal
  epoch, -- Its incarnation number
  seq, -- The later event's number
  event_id, -- The later event's id
  prev_hash, -- The chain's value before it, as it says
  hash_before, -- The chain's value after its neighbour, as that one says
FROM (
  SELECT time, producer_id, epoch, seq, event_id, prev_hash,
    lag(hash) OVER w AS hash_before, lag(seq) OVER w AS seq_before
  FROM fact.events WINDOW w AS (PARTITION BY producer_id ORDER BY seq)
) WHERE seq = seq_before + 1 AND prev_hash <> hash_before OR seq = seq_before;

CREATE VIEW dead_letters AS -- Events that could not be read or projected; none is skipped silently
SELECT
  time, -- When it happened, NULL if the bytes don't tell
  reason, -- undecodable, unknown_payload, unprojectable or conflict
  error, -- What is wrong with it
  type, -- The event's type, if known
  origin, -- Where it was read from: the journal, or the topic and partition
  position, -- Its number there
  producer_id, -- The journal that made it, if known
  epoch, -- The journal's incarnation number, if known
  seq, -- Its number in that journal, if known
  raw, -- The bytes
FROM fact.dead_letters;

CREATE VIEW enforcement_gaps AS -- Denials that an enforcement point gave alone while nothing answered it
SELECT
  time, -- When it was reported
  enforcement_point, -- Which
  reason, -- Why it was alone
  denials, -- How many statements it denied
  since, -- From when
  until, -- Until when
FROM fact.enforcement_gaps;

CREATE VIEW settings_changes AS -- Settings that came into force
SELECT
  time, -- When
  component, -- Whose
  setting, -- Which
  value, -- The new value, secrets redacted
FROM fact.settings_changes;

CREATE VIEW text_events AS -- Who read the exact text of a statement, and whose texts were erased
SELECT
  time, -- When
  kind, -- revealed or erased
  who, -- Who did it, for people
  reason, -- Why
  decision_id, -- revealed: the decision whose text was read
  subject, -- erased: whose statements' texts are gone
  issuer, -- erased: that principal's identity provider, empty for every one
  before_month, -- erased: the first month (UTC) whose texts stay
  principal, -- The subject of who did it
  principal_issuer, -- Its identity provider
FROM fact.text_events;

CREATE VIEW checkpoints AS -- Signed tree heads
SELECT
  time, -- When
  origin, -- The log's name
  tree_size, -- How many events it covers
  root_hash, -- The tree's root, hexadecimal
  note, -- The signed note
FROM fact.checkpoints;

CREATE VIEW activity_per_minute AS -- What each principal did on each database minute by minute: rates, latencies, denials
SELECT
  time_bucket(INTERVAL '1 minute', d.time) AS minute, -- The minute it was decided in
  d.database, -- The database entry
  d.environment, -- dev, staging or prod
  d.who, -- Who asked, for people: `agent for human`
  d.principal, -- The principal's subject
  d.principal_issuer, -- The identity provider that vouches for it
  count(*) FILTER (d.message_kind <> 'parse') AS statements, -- Messages that were to run
  count(*) FILTER (d.effect = 'deny') AS denials, -- Denied, the parse and the bind of a statement each
  count(*) FILTER (d.effect = 'hold') AS holds, -- Held for an approval
  quantile_cont(d.latency_us, 0.5) AS decision_p50_us, -- Median time to decide, in microseconds
  quantile_cont(d.latency_us, 0.99) AS decision_p99_us, -- 99 of 100 were decided within it, in microseconds
  coalesce(sum(x.executions), 0)::BIGINT AS executions, -- Statements that ran
  coalesce(sum(x.failed), 0)::BIGINT AS failed, -- Statements that the database refused or broke off
  coalesce(sum(x.rows), 0)::BIGINT AS rows, -- Rows returned or affected
  coalesce(sum(x.bytes), 0)::BIGINT AS bytes, -- Bytes sent to the client
  coalesce(sum(x.masked_cells), 0)::BIGINT AS masked_cells, -- Values masked
  max(x.duration_ms) AS longest_ms, -- The longest execution, in milliseconds
FROM fact.decisions d
LEFT JOIN (
  SELECT decision_id, count(*) AS executions, count(*) FILTER (outcome <> 'completed') AS failed, sum(rows) AS rows,
    sum(bytes) AS bytes, sum(masked_cells) AS masked_cells, max(duration_ms) AS duration_ms
  FROM fact.executions GROUP BY decision_id
) x ON x.decision_id = d.decision_id
GROUP BY minute, d.database, d.environment, d.who, d.principal, d.principal_issuer;

CREATE VIEW denials_per_minute AS -- Denials minute by minute, by database, rule and principal; one that several rules led to counts for each
SELECT
  minute, -- The minute
  database, -- The database entry
  rule, -- The rule, or the code where no policy was asked
  who, -- Who asked, for people
  principal, -- The principal's subject
  count(*) AS denials, -- How many
FROM (
  SELECT time_bucket(INTERVAL '1 minute', time) AS minute, database, who, principal,
    unnest(CASE WHEN len(rules) > 0 THEN rules ELSE [coalesce(nullif(error_code, ''), 'none')] END) AS rule
  FROM denials
) GROUP BY minute, database, rule, who, principal;

CREATE VIEW retention AS -- From when on each kind of data is complete: what is older has expired, but for what a hold keeps
SELECT
  class, -- The class of data, a key of [retention]
  list(table_name ORDER BY table_name) AS facts, -- The fact tables of that class
  any_value(complete_since) AS complete_since, -- The first UTC day that is kept in full; NULL: nothing has expired yet
  any_value(expired_at) AS expired_at, -- When something of it expired last
  any_value(expired_rows) AS expired_rows, -- How many rows have expired so far
  min(oldest) AS oldest, -- The oldest day of which anything is there, by a legal hold if it lies before
  coalesce(sum(held_days), 0)::BIGINT AS held_days, -- Days of its tables before that are there still: held, or to go next
FROM meta.retention r LEFT JOIN (
  SELECT s.table_name, min(s.day) AS oldest, count(DISTINCT s.day) FILTER (s.day < f.complete_since) AS held_days
  FROM meta.segments s JOIN meta.retention f USING (table_name) WHERE s.day > DATE '1970-01-01' GROUP BY ALL
) USING (table_name)
GROUP BY class;

CREATE VIEW legal_holds AS -- Legal holds: what must be kept, who said so and why
SELECT
  hold_id, -- The hold
  released_at IS NULL AS active, -- Whether it is in force
  scope, -- What it keeps, for people
  reason, -- Why
  set_by, -- Who set it
  set_at, -- When
  principal, -- Whose data it keeps; NULL: everybody's
  database, -- The database entry; NULL: all of them
  first_day, -- From which UTC day on; NULL: from the first
  last_day, -- To which UTC day; NULL: without an end
  released_by, -- Who released it
  released_at, -- When it was released
  released_reason, -- Why it was released
FROM meta.holds;

CREATE VIEW ingestion AS -- How far the audit store is: what was taken, and when it was published
SELECT
  published, -- When this state was published
  events, -- How many events were taken
  duplicates, -- How many came again and changed nothing
  dead_letters, -- How many could not be read or projected
  missing, -- How many are missing now: numbered by their journal, not arrived
FROM meta.status;
