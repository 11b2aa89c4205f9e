"""The queries that read a catalog snapshot. They run with search_path pg_catalog, so that the server prints
definitions with every name qualified."""

from __future__ import annotations

RELATIONS = """
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.relrowsecurity,
       c.reltuples::float8, c.relispartition,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END,
       coalesce((SELECT s.srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                 WHERE f.ftrelid = c.oid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND n.nspname NOT LIKE 'pg\\_toast%%'
  AND n.nspname NOT LIKE 'pg\\_temp\\_%%'
ORDER BY n.nspname, c.relname
"""

COLUMNS = """
SELECT a.attrelid::int8, a.attname, a.attnum::int4, a.atttypid::int8, format_type(a.atttypid, a.atttypmod),
       a.attnotnull, a.atthasdef, (a.attgenerated <> ''), coalesce(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
ORDER BY a.attrelid, a.attnum
"""

KEYS = """
SELECT i.indrelid::int8, i.indisprimary,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.n <= i.indnkeyatts ORDER BY k.n)::text[]
FROM pg_index i
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
"""

INDEXES = """
SELECT i.indrelid::int8, c.relname, i.indisunique, coalesce(pg_get_expr(i.indexprs, i.indrelid), ''),
       coalesce(pg_get_expr(i.indpred, i.indrelid), '')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid >= 16384
ORDER BY i.indrelid, c.relname
"""

CHECKS = """
SELECT k.conrelid::int8, pg_get_expr(k.conbin, k.conrelid)
FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid <> 0 AND k.conrelid >= 16384
ORDER BY k.conrelid, k.conname
"""

FOREIGN_KEYS = """
SELECT k.conrelid::int8, k.conname, n.nspname, t.relname, k.confdeltype::text, k.confupdtype::text,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n)::text[],
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)::text[]
FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype = 'f'
ORDER BY k.conrelid, k.conname
"""

TRIGGERS = """
SELECT t.tgrelid::int8, t.tgname, t.tgtype::int4, n.nspname, p.proname, t.tgenabled <> 'D'
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal
ORDER BY t.tgrelid, t.tgname
"""

RULES = """
SELECT r.ev_class::int8, r.rulename, r.ev_type::text, r.is_instead, pg_get_ruledef(r.oid)
FROM pg_rewrite r WHERE r.rulename <> '_RETURN' AND r.ev_enabled <> 'D'
ORDER BY r.ev_class, r.rulename
"""

POLICIES = """
SELECT p.polrelid::int8, p.polname, p.polcmd::text, coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
       coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_policy p ORDER BY p.polrelid, p.polname
"""

INHERITANCE = """
SELECT i.inhrelid::int8, i.inhparent::int8 FROM pg_inherits i ORDER BY i.inhrelid, i.inhseqno
"""

# A function with OUT parameters is told as the TABLE(…) that it returns.
FUNCTIONS = """
SELECT n.nspname, p.proname, p.oid::int8,
       ARRAY(SELECT format_type(t, NULL)
             FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, i) ORDER BY u.i)::text[],
       coalesce(
         (SELECT 'TABLE(' || string_agg(quote_ident(coalesce(nullif(p.proargnames[u.i], ''), 'column' || u.o)) || ' '
                 || format_type(p.proallargtypes[u.i], NULL), ', ' ORDER BY u.i) || ')'
          FROM (SELECT m.i, row_number() OVER (ORDER BY m.i) AS o
                FROM unnest(p.proargmodes) WITH ORDINALITY m(mode, i) WHERE m.mode IN ('o', 'b', 't')) u
          WHERE p.prorettype IN ('record'::regtype, 'void'::regtype) HAVING count(*) > 0),
         CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END
         || coalesce((SELECT quote_ident(cn.nspname) || '.' || quote_ident(cc.relname)
                      FROM pg_type ct JOIN pg_class cc ON cc.oid = ct.typrelid
                      JOIN pg_namespace cn ON cn.oid = cc.relnamespace WHERE ct.oid = p.prorettype),
                     format_type(p.prorettype, NULL))),
       l.lanname, p.provolatile::text, p.prokind::text, p.prosecdef, p.proretset,
       CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN coalesce({sql_body}, p.prosrc) ELSE '' END,
       coalesce(array_remove(p.proargnames, ''), '{}')::text[], coalesce(p.proconfig, '{}')::text[],
       coalesce(pg_get_expr(p.proargdefaults, 0), '')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname <> 'pg_catalog' AND n.nspname NOT LIKE 'pg\\_temp\\_%%'
ORDER BY n.nspname, p.proname, p.oid
"""

OPERATORS = """
SELECT DISTINCT n.nspname, o.oprname, pn.nspname, p.proname
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_proc p ON p.oid = o.oprcode
JOIN pg_namespace pn ON pn.oid = p.pronamespace
WHERE o.oid >= 16384 OR pn.nspname <> 'pg_catalog'
ORDER BY 1, 2, 3, 4
"""

CASTS = """
SELECT format_type(c.castsource, NULL), format_type(c.casttarget, NULL), c.castmethod::text, c.castcontext::text,
       coalesce(n.nspname, ''), coalesce(p.proname, '')
FROM pg_cast c LEFT JOIN pg_proc p ON p.oid = c.castfunc LEFT JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.oid >= 16384
ORDER BY 1, 2
"""

DOMAINS = """
SELECT n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
       ARRAY(SELECT pg_get_expr(k.conbin, 0) FROM pg_constraint k
             WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.conname)::text[], coalesce(t.typdefault, '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND t.oid >= 16384
ORDER BY 1, 2
"""

EVENT_TRIGGERS = """
SELECT e.evtname, e.evtevent, n.nspname, p.proname, coalesce(e.evttags, '{}')::text[]
FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE e.evtenabled <> 'D'
ORDER BY e.evtname
"""

EXTENSIONS = "SELECT extname || ' ' || extversion FROM pg_extension ORDER BY extname"

# Changes whenever a row of a catalog that a snapshot is made of does: transaction ids and counts, cheap to compute.
FINGERPRINT = """
SELECT md5(string_agg(part, ' ')) FROM (
  SELECT 'class ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, relname, relnamespace, relkind, relnatts, relrowsecurity, relhastriggers, relhasrules,
              relispartition), 0)), 0) FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
    AND relpersistence <> 't'
  UNION ALL SELECT 'attribute ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', attrelid, attnum, attname, atttypid, attnotnull, atthasdef, attisdropped), 0)), 0)
    FROM pg_attribute a WHERE attrelid >= 16384 AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = a.attrelid
    AND c.relpersistence <> 't' AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S'))
  UNION ALL SELECT 'rewrite ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text, ev_enabled), 0)), 0) FROM pg_rewrite
  UNION ALL SELECT 'trigger ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, tgname, tgfoid, tgenabled, xmin::text), 0)), 0) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'constraint ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_constraint WHERE contype IN ('f', 'p', 'u', 'c')
  UNION ALL SELECT 'policy ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_policy
  UNION ALL SELECT 'proc ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT 'inherits ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', inhrelid, inhparent), 0)), 0) FROM pg_inherits
  UNION ALL SELECT 'index ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', indexrelid, indisvalid), 0)), 0) FROM pg_index WHERE indrelid >= 16384
  UNION ALL SELECT 'default ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_attrdef
  UNION ALL SELECT 'operator ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'cast ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_cast WHERE oid >= 16384
  UNION ALL SELECT 'domain ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_type WHERE typtype = 'd' AND oid >= 16384
  UNION ALL SELECT 'event trigger ' || count(*) || ' ' || coalesce(sum(hashtextextended(
    concat_ws(' ', oid, xmin::text), 0)), 0) FROM pg_event_trigger
  UNION ALL SELECT 'namespace ' || string_agg(oid || ' ' || nspname, ',' ORDER BY oid) FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_temp%%' AND nspname NOT LIKE 'pg\\_toast%%'
) parts(part)
"""
