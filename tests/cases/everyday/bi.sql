-- A BI tool that synchronises the schema, scans field values and then runs questions built from clicks.

SELECT version(), current_database(), current_setting('TimeZone');

SET SESSION TIMEZONE TO 'UTC';

SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%' AND
    has_schema_privilege(nspname, 'USAGE');

SELECT c.table_schema AS schema, c.table_name AS name, c.column_name, c.ordinal_position - 1 AS position,
    c.udt_name, c.column_default, c.is_nullable = 'NO' AS required, c.is_identity = 'YES' AS auto,
    col_description(format('%I.%I', c.table_schema, c.table_name)::regclass, c.ordinal_position) AS remark
    FROM information_schema.columns c WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema') ORDER
    BY 1, 2, 4;

SELECT n.nspname, r.relname, CASE r.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v'
    THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' END AS kind,
    r.reltuples::bigint AS rows, obj_description(r.oid, 'pg_class') AS remark FROM pg_catalog.pg_class r JOIN
    pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE r.relkind = ANY
    (ARRAY['r','p','v','m','f']::"char"[]) AND has_table_privilege(r.oid, 'SELECT') AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema';

SELECT ft.relname AS from_table, fa.attname AS from_column, tt.relname AS to_table, ta.attname AS to_column
    FROM pg_constraint k JOIN pg_class ft ON ft.oid = k.conrelid JOIN pg_class tt ON tt.oid = k.confrelid JOIN
    LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY u(f, t, pos) ON true JOIN pg_attribute fa ON
    fa.attrelid = k.conrelid AND fa.attnum = u.f JOIN pg_attribute ta ON ta.attrelid = k.confrelid AND
    ta.attnum = u.t WHERE k.contype = 'f' ORDER BY 1, u.pos;

SELECT tc.table_name, kcu.column_name, ccu.table_name AS target, ccu.column_name AS target_column FROM
    information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu USING
    (constraint_schema, constraint_name) JOIN information_schema.constraint_column_usage ccu USING
    (constraint_schema, constraint_name) WHERE tc.constraint_type = 'FOREIGN KEY';

SELECT i.relname, a.attname, x.indisunique FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN
    pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] WHERE x.indpred IS NULL AND
    x.indisvalid;

WITH granted AS (SELECT table_schema, table_name, privilege_type FROM information_schema.role_table_grants
    WHERE grantee IN (current_user, 'PUBLIC')) SELECT table_schema, table_name, bool_or(privilege_type =
    'SELECT') AS can_select, bool_or(privilege_type = 'UPDATE') AS can_update FROM granted GROUP BY 1, 2;

SELECT t.typname, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid ORDER BY 1, e.enumsortorder;

SELECT source."status" AS "status" FROM (SELECT "public"."orders"."status" AS "status" FROM "public"."orders")
    AS source GROUP BY source."status" ORDER BY source."status" ASC LIMIT 1000;

SELECT "public"."customers"."city" AS "city", substring("public"."customers"."segment" FROM 1 FOR 1234) AS
    "segment" FROM "public"."customers" LIMIT 10000;

SELECT count(distinct "public"."orders"."customer_id") AS "count", avg(length("public"."orders"."note")) AS
    "length", min("public"."orders"."placed_at") AS "first" FROM "public"."orders";

SELECT CAST(date_trunc('month', "o"."placed_at") AS date) AS "month", "c"."country" AS "Customer -> Country",
    sum("o"."total") AS "sum" FROM "public"."orders" AS "o" LEFT JOIN "public"."customers" AS "c" ON
    "o"."customer_id" = "c"."id" WHERE "o"."placed_at" >= date_trunc('year', now() - interval '3 year') GROUP
    BY 1, 2 ORDER BY 1 ASC, 2 ASC;

SELECT floor(("total" - 0.0) / 50) * 50.0 + 0.0 AS bin, count(*) FROM "public"."orders" GROUP BY 1 ORDER BY 1;

SELECT "c"."segment", sum(CASE WHEN "o"."status" = 'paid' THEN 1 ELSE 0.0 END) / nullif(count(*), 0) AS share
    FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY "c"."segment";

SELECT "extract"."dow", count(*) FROM (SELECT extract(dow FROM placed_at) + 1 AS dow FROM orders) "extract"
    GROUP BY 1;

SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY total), stddev_pop(total), mode() WITHIN GROUP (ORDER BY
    status) FROM orders;
