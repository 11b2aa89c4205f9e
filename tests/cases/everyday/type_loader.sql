-- A driver that loads all types when it connects.

SELECT version();

SELECT n.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (SELECT typ.oid,
    typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, elem.oid AS elemtypoid, CASE
    WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype::text END AS kind FROM pg_type typ LEFT JOIN
    pg_class cls ON cls.oid = typ.typrelid LEFT JOIN pg_proc proc ON proc.oid = typ.typreceive LEFT JOIN
    pg_type elem ON elem.oid = typ.typelem WHERE typ.typtype IN ('b', 'r', 'm', 'e', 'd') OR (typ.typtype =
    'c' AND cls.relkind = 'c')) t JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY CASE WHEN t.typtype =
    'd' THEN 1 ELSE 0 END;

SELECT t.oid, a.attname, a.atttypid FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid WHERE
    t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY t.oid, a.attnum;

SELECT t.oid, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid ORDER BY t.oid, e.enumsortorder;

SELECT r.rngtypid, r.rngsubtype, r.rngmultitypid FROM pg_range r;

SELECT attname, atttypid, attnotnull, atthasdef, attidentity, pg_get_serial_sequence(attrelid::regclass::text,
    attname) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0;

DISCARD ALL;
