-- What an analyst may not ask, one case a line. {root} is the data folder, where secret.txt, secret.json, secret.parquet
-- and other.duckdb hold the word that must not come out; {segment} is a published file, {live} the writer's own.
-- writing
INSERT INTO hot.events SELECT * FROM hot.events
WITH x AS (INSERT INTO audit.hot.session_ends SELECT * FROM fact.session_ends RETURNING 1) SELECT * FROM x
WITH x AS (DELETE FROM audit.hot.events RETURNING 1) SELECT * FROM x
DELETE FROM hot.events
TRUNCATE hot.events
UPDATE hot.decisions SET effect = 'allow'
MERGE INTO hot.events USING (SELECT 1) ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES
DROP VIEW denials
ALTER VIEW denials RENAME TO d
COMMENT ON VIEW denials IS 'nothing to see'
CREATE OR REPLACE VIEW denials AS SELECT 1
CREATE TABLE t (a INTEGER)
CREATE TEMP TABLE t AS SELECT 1
CREATE TEMP VIEW denials AS SELECT 1
CREATE INDEX i ON hot.events (seq)
CREATE SEQUENCE s
CREATE SCHEMA x
CREATE TYPE x AS ENUM ('a')
CREATE MACRO denials() AS TABLE SELECT 1
CHECKPOINT
VACUUM
SELECT * FROM checkpoint('audit')
SELECT * FROM force_checkpoint('audit')
-- copying out and in
COPY (SELECT 1) TO '{root}/out.csv'
COPY (SELECT 1) TO '{segment}' (FORMAT parquet)
COPY (SELECT 1) TO '/dev/stdout'
COPY (SELECT 1 AS day) TO '{root}/analytics/segments' (FORMAT parquet, PARTITION_BY day)
COPY events TO '{root}/out.parquet'
COPY hot.events FROM '{root}/secret.txt'
COPY FROM DATABASE audit TO memory
EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (FORMAT parquet)
/*     SELECT 1 --*/ EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (FORMAT parquet)
EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{root}/out.csv'
EXPLAIN ANALYZE DELETE FROM hot.events
EXPORT DATABASE '{root}/dump'
IMPORT DATABASE '{root}'
SELECT * FROM query('COPY (SELECT 1) TO ''{root}/out.csv''')
SELECT * FROM query('DELETE FROM hot.events')
-- other databases
ATTACH '{root}/other.duckdb'
ATTACH '{live}' AS live (READ_ONLY)
ATTACH ':memory:' AS scratch
ATTACH 'https://example.com/x.duckdb'
DETACH audit
USE memory
SELECT * FROM read_duckdb('{root}/other.duckdb')
SELECT * FROM '{root}/other.duckdb'
-- other files
SELECT * FROM '{root}/secret.txt'
SELECT * FROM "{root}/secret.txt"
FROM '/etc/passwd'
FROM 'file:///etc/passwd'
FROM '{root}/secret.parquet'
FROM '{root}/*.parquet'
SELECT * FROM read_text('{root}/secret.txt')
SELECT content FROM read_text('/etc/passwd')
SELECT * FROM read_text(['{segment}', '{root}/secret.txt'])
SELECT * FROM read_text('{segment}/../../../../../secret.txt')
SELECT * FROM read_blob('{live}')
SELECT * FROM read_blob('{root}/secret.txt')
SELECT * FROM read_csv('{root}/secret.txt')
SELECT * FROM read_csv_auto('{root}/secret.txt')
SELECT * FROM read_csv('/proc/self/environ')
SELECT * FROM sniff_csv('{root}/secret.txt')
SELECT * FROM read_json('{root}/secret.json')
SELECT * FROM read_json_objects('{root}/secret.json')
SELECT * FROM read_ndjson('{root}/secret.json')
SELECT * FROM read_parquet('{root}/secret.parquet')
SELECT * FROM parquet_scan('{root}/secret.parquet')
SELECT * FROM parquet_metadata('{root}/secret.parquet')
SELECT * FROM parquet_schema('{root}/secret.parquet')
SELECT * FROM parquet_file_metadata('{root}/secret.parquet')
SELECT * FROM parquet_kv_metadata('{root}/secret.parquet')
SELECT * FROM parquet_full_metadata('{root}/secret.parquet')
SELECT * FROM parquet_bloom_probe('{root}/secret.parquet', 'word', 'x')
SELECT * FROM glob('{root}/*')
SELECT * FROM glob('/etc/*')
WITH x AS (SELECT * FROM read_text('{root}/secret.txt')) SELECT * FROM x
SELECT (SELECT content FROM read_text('{root}/secret.txt'))
DESCRIBE SELECT * FROM read_csv('{root}/secret.txt')
SUMMARIZE SELECT * FROM read_csv('{root}/secret.txt')
SELECT * FROM query('SELECT * FROM read_text(''{root}/secret.txt'')')
SELECT * FROM query_table('{root}/secret.txt')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{root}/secret.txt'')'))
-- the network
SELECT * FROM read_text('https://example.com/x')
SELECT * FROM read_parquet('s3://bucket/x')
SELECT * FROM 'https://example.com/x.parquet'
-- extensions and secrets
INSTALL httpfs
INSTALL httpfs FROM '{root}'
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{root}/x.duckdb_extension'
UPDATE EXTENSIONS
CREATE SECRET x (TYPE s3)
CREATE PERSISTENT SECRET x (TYPE s3)
DROP SECRET x
SELECT * FROM duckdb_secrets()
SELECT * FROM which_secret('s3://x', 's3')
SELECT * FROM load_aws_credentials()
-- settings
SET enable_external_access = true
SET lock_configuration = false
SET GLOBAL allowed_paths = ['/etc/passwd']
SET temp_directory = '/tmp'
SET memory_limit = '100GB'
SET VARIABLE a = 1
SET python_enable_replacements = true
RESET allowed_paths
PRAGMA enable_profiling
PRAGMA enable_external_access = true
PRAGMA database_list
CALL pragma_version()
CALL enable_logging(storage = 'file', storage_path = '{root}/log')
SELECT * FROM enable_logging(storage_path := '{root}/log')
SELECT * FROM enable_profiling()
SELECT * FROM disable_logging()
SELECT * FROM truncate_duckdb_logs()
SELECT write_log('x')
SELECT [write_log(x) FOR x IN ['a']]
SELECT COLUMNS(c -> write_log(c) IS NULL) FROM denials
SELECT write_log('x') OVER ()
-- the process
SELECT * FROM python_variable
SELECT * FROM python_frame
SELECT * FROM python_map_function((FROM denials))
SELECT * FROM arrow_scan(1, 1, 1)
SELECT * FROM pandas_scan(1)
SELECT * FROM register_external_resource_type('x', kind := 'y', create_function := 'z')
SELECT * FROM create_external_resource('x')
SELECT * FROM destroy_external_resource('checkpoint', 1)
SELECT getenv('HOME')
SELECT sleep_ms(60000)
SELECT nextval('s')
-- not one question
SELECT 1; SELECT 2
SELECT 1; DROP VIEW denials
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE p
BEGIN
COMMIT
PIVOT denials ON stage USING count(*)
;
