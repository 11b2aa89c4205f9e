-- A database browser: a tree of objects with a properties page for each, definitions, sessions, locks, the data grid.

SELECT oid, datname, pg_encoding_to_char(encoding) AS encoding, datallowconn, pg_get_userbyid(datdba) AS
    owner, pg_database_size(oid) AS size, shobj_description(oid, 'pg_database') AS remark FROM pg_database
    ORDER BY 2;

SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON
    d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname;

SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound,
    pg_catalog.pg_get_partkeydef(c.oid) AS part_key FROM pg_catalog.pg_class c LEFT OUTER JOIN
    pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c');

SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description,
    dep.objid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON a.attrelid = c.oid LEFT OUTER JOIN
    pg_catalog.pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT OUTER JOIN
    pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid LEFT OUTER JOIN pg_depend
    dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum WHERE NOT
    a.attisdropped AND c.oid = 'customers'::regclass ORDER BY a.attnum;

SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, pg_get_constraintdef(c.oid) AS
    def FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN
    pg_catalog.pg_class rt ON rt.oid = c.confrelid WHERE c.conrelid = 'orders'::regclass ORDER BY c.oid;

SELECT i.*, i.indkey AS keys, c.relname, c.relam, pg_get_indexdef(i.indexrelid) AS def,
    pg_relation_size(i.indexrelid) AS size, array_to_string(c.reloptions, ',') AS options, ARRAY(SELECT
    pg_get_indexdef(i.indexrelid, k + 1, true) FROM generate_subscripts(i.indkey, 1) k ORDER BY k) AS cols
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'orders'::regclass;

SELECT x.oid, x.*, p.proname, pg_get_triggerdef(x.oid, true) FROM pg_trigger x JOIN pg_proc p ON p.oid =
    x.tgfoid WHERE NOT x.tgisinternal AND x.tgrelid = 'customers'::regclass;

SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS args, format_type(p.prorettype, null) AS
    ret, l.lanname, p.provolatile, pg_get_functiondef(p.oid) AS def FROM pg_proc p JOIN pg_language l ON l.oid
    = p.prolang WHERE p.pronamespace = 'public'::regnamespace AND p.prokind <> 'a';

SELECT pg_get_viewdef('customer_overview'::regclass, true), pg_total_relation_size('orders'::regclass),
    pg_size_pretty(pg_table_size('orders'));

SELECT rolname, rolsuper, rolcreatedb, rolcanlogin, rolvaliduntil, (SELECT array_agg(b.rolname) FROM
    pg_auth_members m JOIN pg_roles b ON b.oid = m.roleid WHERE m.member = r.oid) AS member_of FROM pg_roles r;

SELECT pid, datname, usename, application_name, client_addr, backend_start, state, wait_event_type || ': ' ||
    wait_event AS wait, pg_blocking_pids(pid) AS blocked_by, query, query_start FROM pg_stat_activity WHERE
    datname = current_database() ORDER BY pid;

SELECT l.pid, l.locktype, l.mode, l.granted, l.relation::regclass AS relation, l.virtualxid FROM pg_locks l
    LEFT JOIN pg_stat_activity a ON a.pid = l.pid;

SELECT 'session_stats' AS chart, row_to_json(t) AS data FROM (SELECT (SELECT count(*) FROM pg_stat_activity)
    AS total, (SELECT count(*) FROM pg_stat_activity WHERE state = 'active') AS active) t UNION ALL SELECT
    'tps', row_to_json(t) FROM (SELECT sum(xact_commit) AS commits, sum(xact_rollback) AS rollbacks FROM
    pg_stat_database) t;

SELECT relname, n_live_tup, n_dead_tup, last_vacuum, last_autoanalyze, seq_scan, idx_scan FROM
    pg_stat_user_tables;

SELECT s.*, pg_sequence_last_value(s.seqrelid) FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid;

SELECT name, setting, unit, category, short_desc, vartype, enumvals, source, pending_restart FROM pg_settings;

SELECT e.extname, e.extversion, x.default_version FROM pg_extension e JOIN pg_available_extensions x ON x.name
    = e.extname;

SELECT rel.oid, quote_ident(nsp.nspname) || '.' || quote_ident(rel.relname) AS name,
    array_to_string(rel.relacl, ',') AS acl, (SELECT string_agg(g.privilege_type, ',') FROM
    aclexplode(rel.relacl) g WHERE g.grantee = rel.relowner) FROM pg_class rel JOIN pg_namespace nsp ON
    nsp.oid = rel.relnamespace WHERE rel.relname = 'customers';

SELECT d.refobjid::regclass, d.classid::regclass, pg_describe_object(d.classid, d.objid, d.objsubid) FROM
    pg_depend d WHERE d.refobjid = 'customers'::regclass AND d.deptype = 'n';

SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base, d.description FROM
    pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN
    pg_catalog.pg_description d ON t.oid = d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR
    c.relkind = 'c');

EXPLAIN (FORMAT JSON, VERBOSE, COSTS) SELECT * FROM orders WHERE customer_id = 3;

EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT) SELECT count(*) FROM orders;

SELECT * FROM public.customers ORDER BY id ASC LIMIT 1000 OFFSET 0;

SELECT x.* FROM (SELECT * FROM orders WHERE status = 'paid') x LIMIT 200;

SELECT t.*, CTID FROM public.orders t LIMIT 501;

SELECT COUNT(*) FROM public.customers t;

UPDATE public.orders SET note = 'edited' WHERE id = 7;

INSERT INTO public.products (sku, name, category, price, stock) VALUES ('SKU-GRID', 'x', 'home', 1, 1)
    RETURNING id;

DELETE FROM public.products WHERE id = 99999;
