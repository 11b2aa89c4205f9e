"""The small schema of generated statements, and its sensitive columns.

`SENSITIVE` are the columns whose values differ between the two databases that a statement is put to, and how. Every
table has a key `id`; texts of digits keep casts alive.
"""

from __future__ import annotations

SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, ssn text, email text, org int);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, note text, total int);
CREATE TABLE events (id int, org int, payload text, PRIMARY KEY (id, org)) PARTITION BY LIST (org);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
CREATE TABLE documents (id int PRIMARY KEY, title text, body text);
CREATE TABLE contracts (partner text) INHERITS (documents);
CREATE VIEW people AS SELECT id, upper(name) AS name, ssn AS hidden, org FROM users;
CREATE VIEW spending AS
  SELECT u.id, u.email, (SELECT string_agg(o.note, ',' ORDER BY o.id) FROM orders o WHERE o.user_id = u.id) AS notes
  FROM people p JOIN users u USING (id);
CREATE VIEW nested AS SELECT s.id, s.notes || '!' AS notes, p.hidden FROM spending s JOIN people p USING (id);
CREATE TYPE couple AS (a text, b text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 200);
CREATE FUNCTION twice(a text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || a';
CREATE FUNCTION pick_first(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)';
CREATE FUNCTION hstore_like(a text, b text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN a || ''=>'' || b; END';
CREATE FUNCTION pair(a text, b text) RETURNS couple LANGUAGE sql IMMUTABLE AS 'SELECT ROW(a, b)::couple';
CREATE FUNCTION digits_of(u users) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT right(u.ssn, 2)';
CREATE FUNCTION ssn_of(who int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM users WHERE id = who';
CREATE FUNCTION pieces(a text) RETURNS TABLE (place int, piece text) LANGUAGE sql IMMUTABLE
  AS 'VALUES (1, left(a, 1)), (2, right(a, 1))';
CREATE FUNCTION members(o int) RETURNS SETOF users LANGUAGE sql STABLE
  AS 'SELECT * FROM users WHERE org = o ORDER BY id';
CREATE FUNCTION longer(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(a, '''') || b';
CREATE FUNCTION named(a text, b text DEFAULT 'z', c text DEFAULT 'q') RETURNS text LANGUAGE sql IMMUTABLE
  AS 'SELECT a || b || c';
CREATE FUNCTION card(who int, OUT label text, OUT code text) LANGUAGE sql STABLE
  AS 'SELECT name, ssn FROM users WHERE id = who';
CREATE FUNCTION notes_of(who int) RETURNS TABLE (place int, remark text) LANGUAGE plpgsql STABLE
  AS 'BEGIN RETURN QUERY SELECT o.id, o.note FROM orders o WHERE o.user_id = who ORDER BY o.id; END';
CREATE TABLE answering (id int, a text);
CREATE RULE answer AS ON INSERT TO answering DO INSTEAD SELECT u.id, u.ssn, new.a FROM users u ORDER BY u.id;
CREATE AGGREGATE longest(text) (SFUNC = longer, STYPE = text);
INSERT INTO users VALUES (1, 'ann', '123', 'ann@x.org', 1), (2, 'bob', '234', 'bob@y.org', 1),
  (3, 'cy', '345', NULL, 2), (4, 'dee', '456', 'dee@x.org', 2);
INSERT INTO orders VALUES (1, 1, 'x1', 10), (2, 1, 'y2', 20), (3, 2, 'z3', 30), (4, 3, 'w4', 40);
INSERT INTO events VALUES (1, 1, '111'), (2, 2, '222'), (3, 1, '333');
INSERT INTO documents VALUES (1, 'one', '901');
INSERT INTO contracts VALUES (2, 'two', '902', 'acme');
"""
# (schema, table, column), and how the other database differs from the first
SENSITIVE = {
    ("public", "users", "ssn"): "UPDATE users SET ssn = translate(ssn, '123456', '945128')",
    ("public", "users", "email"): "UPDATE users SET email = replace(email, 'x', 'q')",
    ("public", "orders", "note"): "UPDATE orders SET note = translate(note, 'xyzw', 'wayb')",
    ("public", "events", "payload"): "UPDATE events SET payload = translate(payload, '123', '917')",
    ("public", "documents", "body"): "UPDATE documents SET body = translate(body, '19', '72')",
}  # fmt: skip
TABLES: dict[str, dict[str, str]] = {
    "users": {"id": "int", "name": "text", "ssn": "text", "email": "text", "org": "int"},
    "orders": {"id": "int", "user_id": "int", "note": "text", "total": "int"},
    "events": {"id": "int", "org": "int", "payload": "text"},
    "documents": {"id": "int", "title": "text", "body": "text"},
    "contracts": {"id": "int", "title": "text", "body": "text", "partner": "text"},
    "people": {"id": "int", "name": "text", "hidden": "text", "org": "int"},
    "spending": {"id": "int", "email": "text", "notes": "text"},
    "nested": {"id": "int", "notes": "text", "hidden": "text"},
}
TAINTED = {
    "ssn": {("users", "ssn"), ("people", "hidden"), ("nested", "hidden")},
    "email": {("users", "email"), ("spending", "email")},
    "note": {("orders", "note"), ("spending", "notes"), ("nested", "notes")},
    "payload": {("events", "payload")},
    "body": {("documents", "body"), ("contracts", "body")},
}
