-- The catalog that the cases assume (tests/cases/README.md), and what some of them name beyond it, with rows that show
-- a leak: every ssn looks like 917-00-0001, every email like u1@clear.example.
CREATE ROLE admin NOLOGIN;
CREATE ROLE app NOLOGIN;
CREATE TABLE users (id int PRIMARY KEY, name text, email text, ssn text, org_id int);
CREATE SEQUENCE users_id_seq OWNED BY users.id;
CREATE VIEW v_users AS SELECT id, name, email, ssn, org_id FROM users;
CREATE TABLE users_part (id int, name text) PARTITION BY RANGE (id);
CREATE TABLE users_part_1 PARTITION OF users_part FOR VALUES FROM (0) TO (100000);
CREATE TABLE orders (id int PRIMARY KEY, user_id int, note text, total numeric);
CREATE TABLE secrets (id int PRIMARY KEY, ssn text);
CREATE TABLE public_notes (id int PRIMARY KEY, note text);
CREATE TABLE audit (id int PRIMARY KEY);
CREATE TABLE t2 (id int);
CREATE TABLE t (x text);
CREATE TABLE docs (vec tsvector);
CREATE TABLE b (ssn text);
CREATE VIEW pg_stat_statements AS SELECT 1 AS userid, ''::text AS query;

CREATE FUNCTION my_func(int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN EXECUTE 'DEL' || 'ETE FROM users WHERE id = ' || $1; RETURN 1; END $$;
CREATE FUNCTION ssn_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM public.users WHERE id = $1';
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION leak(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN 1; END $$;

INSERT INTO users SELECT i, 'Person ' || i, 'u' || i || '@clear.example', '917-00-' || lpad(i::text, 4, '0'), i % 7
FROM generate_series(1, 1000) i;
INSERT INTO users_part SELECT id, name FROM users;
INSERT INTO secrets SELECT id, ssn FROM users;
INSERT INTO orders SELECT i, i, 'order ' || i, i FROM generate_series(1, 5) i;
INSERT INTO public_notes SELECT i, 'note ' || i FROM generate_series(1, 5) i;
INSERT INTO audit VALUES (1);
INSERT INTO t2 VALUES (1);
INSERT INTO t VALUES ('x');
INSERT INTO docs VALUES ('plain words'::tsvector);
INSERT INTO b SELECT ssn FROM users;
ANALYZE;
