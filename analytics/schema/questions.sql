-- The questions that are asked again and again. `airlock query --list` shows them, `airlock report NAME` and
-- `airlock query --question NAME --param KEY=VALUE` run them; the text stands here to be copied and changed.
--
-- A block is `-- QUESTION name: what it answers`, a line `-- key TYPE: meaning` (or `key TYPE = default`) for each
-- parameter, and one statement in which `$key` stands for the value. Types: TEXT, NUMBER, TIME (a date, a time, or 30d,
-- 12h, 15m ago), TABLE (a name or schema.name: `$key` is the name, `$key_schema` the schema, empty for any).

-- QUESTION who-read: Who read a table, how often, how much and when
-- table TABLE: The table
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
SELECT
  who, database, count(DISTINCT decision_id) FILTER (outcome = 'completed') AS reads,
  (sum(rows) FILTER (outcome = 'completed'))::BIGINT AS rows, min(time) FILTER (outcome = 'completed') AS first,
  max(time) FILTER (outcome = 'completed') AS last, principal_kind, human, list(DISTINCT via ORDER BY via) AS via
FROM table_access
WHERE table_name = $table AND ($table_schema = '' OR schema_name = $table_schema) AND access = 'read'
  AND time >= $from AND time < $to
GROUP BY who, database, principal_kind, human HAVING reads > 0
ORDER BY reads DESC, who, database;

-- QUESTION did: What a principal did, itself or through an agent, newest first
-- principal TEXT: Its subject
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
SELECT
  d.time, d.who, d.database, d.effect, x.outcome, d.statement, d.tables, x.rows, x.duration_ms, d.rules, d.intent,
  d.ticket, d.session_id, d.decision_id
FROM decisions d LEFT JOIN fact.executions x ON x.decision_id = d.decision_id
WHERE (d.principal = $principal OR d.human = $principal) AND d.message_kind <> 'parse'
  AND d.time >= $from AND d.time < $to
ORDER BY d.time DESC;

-- QUESTION denials-by-rule: What was refused, by rule and day
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
SELECT day, rule, count(*) AS denials, count(DISTINCT principal) AS principals, list(DISTINCT database ORDER BY database) AS databases
FROM (
  SELECT time::DATE AS day, principal, database,
    unnest(CASE WHEN len(rules) > 0 THEN rules ELSE [coalesce(nullif(error_code, ''), 'none')] END) AS rule
  FROM denials WHERE time >= $from AND time < $to
)
GROUP BY day, rule ORDER BY day DESC, denials DESC, rule;

-- QUESTION percentiles: How long decisions and executions took, by database
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
SELECT
  database, d.decisions, d.latency[1] AS decision_p50_us, d.latency[2] AS decision_p95_us,
  d.latency[3] AS decision_p99_us, x.executions, x.duration[1] AS execution_p50_ms, x.duration[2] AS execution_p95_ms,
  x.duration[3] AS execution_p99_ms
FROM (
  SELECT database, count(*) AS decisions, quantile_cont(latency_us, [0.5, 0.95, 0.99]) AS latency
  FROM fact.decisions WHERE time >= $from AND time < $to GROUP BY database
) d
LEFT JOIN ( -- by the session, of which there are fewer than decisions
  SELECT s.database, count(*) AS executions, quantile_cont(x.duration_ms, [0.5, 0.95, 0.99]) AS duration
  FROM fact.executions x JOIN fact.session_starts s ON s.session_id = x.session_id
  WHERE x.time >= $from AND x.time < $to GROUP BY s.database
) x USING (database)
ORDER BY database;

-- QUESTION first-access: Who touched which table for the first time since then
-- table TABLE = %: The table; % for any
-- from TIME = 1970-01-01: Since when
-- to TIME = 9999-12-31: Until when
WITH new AS ( -- by digests, which are small; the rest is looked up for these alone
  SELECT hash(who, database, name) AS key
  FROM (
    SELECT who, database, time, unnest(tables) AS name FROM fact.decisions
    WHERE effect = 'allow' AND message_kind <> 'parse' AND time < $to
  )
  WHERE $table = '%' OR name = $table_schema || '.' || $table OR ($table_schema = '' AND ends_with(name, '.' || $table))
  GROUP BY key HAVING min(time) >= $from
)
SELECT
  min(time) AS first, who, database, name AS table_name, count(*) AS times, arg_min(decision_id, time) AS decision_id
FROM (
  SELECT who, database, time, decision_id, unnest(tables) AS name FROM fact.decisions
  WHERE effect = 'allow' AND message_kind <> 'parse' AND time >= $from AND time < $to
)
SEMI JOIN new ON new.key = hash(who, database, name)
GROUP BY who, database, name
ORDER BY first DESC, who, table_name;

-- QUESTION enumeration: Who asked the same with many different values, or touched many tables, within an hour
-- least NUMBER = 50: At least so many different values, or tables
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
WITH busy AS ( -- most hours of most principals are too quiet to matter
  SELECT hash(who, database) AS principal, time_bucket(INTERVAL '1 hour', time) AS hour
  FROM fact.decisions WHERE message_kind <> 'parse' AND time >= $from AND time < $to
  GROUP BY ALL HAVING greatest(count(*), sum(len(tables))) >= $least
),
asked AS (
  SELECT
    d.who, d.database, d.statement, d.tables, b.principal, b.hour, hash(d.statement) AS shape,
    hash(d.statement_digest, d.parameters_digest) AS digest
  FROM fact.decisions d
  JOIN busy b ON b.principal = hash(d.who, d.database) AND b.hour = time_bucket(INTERVAL '1 hour', d.time)
  WHERE d.message_kind <> 'parse' AND d.time >= $from AND d.time < $to
)
SELECT
  hour, any_value(who) AS who, any_value(database) AS database, 'values' AS of, count(DISTINCT digest) AS different,
  count(*) AS statements, any_value(statement) AS statement
FROM asked GROUP BY principal, hour, shape HAVING count(*) >= $least AND different >= $least
UNION ALL
SELECT hour, any_value(who), any_value(database), 'tables', count(DISTINCT name), sum(n)::BIGINT, NULL
FROM (
  SELECT principal, hour, who, database, unnest(tables) AS name, n
  FROM (
    SELECT principal, hour, tables, any_value(who) AS who, any_value(database) AS database, count(*) AS n
    FROM asked GROUP BY principal, hour, tables
  )
)
GROUP BY principal, hour HAVING count(DISTINCT name) >= $least
ORDER BY different DESC, hour DESC, who;

-- QUESTION event: One event by its id
-- id TEXT: The event's id
SELECT * FROM events WHERE event_id = $id;

-- QUESTION who-changed: Who changed a column, and in which row
-- table TABLE: The table
-- column TEXT: The column
-- row TEXT = %: The keyed digest of the value that names the row; % for any
-- from TIME = 1970-01-01: From when on
-- to TIME = 9999-12-31: Until when
SELECT
  time, who, database, effect, outcome, rows, in_transaction, row_keys, value_mac, statement, intent, ticket,
  decision_id
FROM column_changes
WHERE table_name = $table AND ($table_schema = '' OR schema_name = $table_schema) AND column_name = $column
  AND ($row = '%' OR list_contains(map_values(row_keys), $row)) AND time >= $from AND time < $to
ORDER BY time DESC;
