"""Mutations of a text by token and by byte; all randomness comes from the generator that is handed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz.corpus import tokens

Random = random.Random
ODD = (
    b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f\x94\x91", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"'",
    b"\"", b"$$", b"$a$", b"/*", b"*/", b"--", b"\\", b";", b"(", b")", b"E'\\x", b"U&'\\", b"::", b"[", b"]", b"{",
    b"99999999999999999999", b"$99999", b"0x", b"1e999", b"+-+-+-", b"\x0d", b"\x0b", b".", b",",
)  # fmt: skip
WRAPS = (
    "SELECT * FROM ({}) x", "WITH x AS ({}) SELECT * FROM x", "EXPLAIN ANALYZE {}", "PREPARE p AS {}",
    "DECLARE c CURSOR FOR {}", "CREATE VIEW v AS {}", "CREATE TABLE z AS {}", "COPY ({}) TO STDOUT",
    "DO $do$ BEGIN {}; END $do$", "DO $do$ DECLARE r record; BEGIN FOR r IN {} LOOP NULL; END LOOP; END $do$",
    "DO $do$ BEGIN EXECUTE $ex${}$ex$; END $do$", "SELECT query_to_xml($q${}$q$, true, true, '')",
    "CREATE FUNCTION f(a int) RETURNS SETOF record LANGUAGE sql AS $f${}$f$", "SELECT EXISTS ({})",
    "SELECT ARRAY({}), ({})", "{} UNION ALL {}", "({}) INTERSECT SELECT 1",
    "CREATE RULE r AS ON INSERT TO users DO ALSO {}", "SELECT 1 FROM users WHERE id IN ({})",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC {}; END",
    "MERGE INTO users u USING ({}) s ON true WHEN MATCHED THEN DELETE", "INSERT INTO users {}",
    "UPDATE users SET (id, name) = ({})", "{}; EXECUTE p; FETCH ALL c", "CREATE SCHEMA s {}",
    "SELECT * FROM users u, LATERAL ({}) l", "SELECT CASE WHEN ({}) THEN 1 END", "SELECT f(VARIADIC ({}))",
    "CREATE MATERIALIZED VIEW m AS {}",
)  # fmt: skip


def mutated(rnd: Random, corpus: Sequence[str]) -> bytes:
    """One text: a statement of the corpus, changed a few times, now and then bytes that are no statement."""
    if rnd.random() < 0.03:
        return rnd.randbytes(rnd.randint(0, 200))
    text = rnd.choice(corpus)
    for _ in range(rnd.choice((0, 1, 1, 1, 2, 4))):
        text = rnd.choice(_TEXT_STEPS)(rnd, text, corpus)[:20_000]
    raw = text.encode("utf-8", "surrogatepass")
    if rnd.random() < 0.15:
        for _ in range(rnd.randint(1, 4)):
            raw = _bytes(rnd, raw)
    return raw


def _bytes(rnd: Random, raw: bytes) -> bytes:
    at = rnd.randint(0, len(raw))
    match rnd.randint(0, 4):
        case 0:
            return raw[:at] + rnd.choice(ODD) + raw[at:]
        case 1:
            return raw[:at] + raw[at + rnd.randint(1, 8) :]
        case 2:
            return raw[:at] + bytes([rnd.randrange(256)]) + raw[at + 1 :]
        case 3:
            return raw[:at]
        case _:
            return raw[:at] + raw[max(0, at - 20) : at] * rnd.randint(1, 30) + raw[at:]


def _wrapped(rnd: Random, text: str, _corpus: Sequence[str]) -> str:
    return rnd.choice(WRAPS).replace("{}", text.rstrip("; \n"))


def _joined(rnd: Random, text: str, corpus: Sequence[str]) -> str:
    return text + rnd.choice(("; ", ";", "\n", " UNION ", ", ", " AND ")) + rnd.choice(corpus)


def _removed(rnd: Random, text: str, _corpus: Sequence[str]) -> str:
    parts = tokens(text)
    at = rnd.randint(0, len(parts))
    del parts[at : at + rnd.randint(1, 6)]
    return "".join(parts)


def _repeated(rnd: Random, text: str, _corpus: Sequence[str]) -> str:
    parts = tokens(text)
    at = rnd.randint(0, len(parts))
    parts[at:at] = parts[max(0, at - rnd.randint(1, 12)) : at] * rnd.choice((1, 2, 5, 100))
    return "".join(parts)


def _swapped(rnd: Random, text: str, _corpus: Sequence[str]) -> str:
    parts = tokens(text)
    if len(parts) > 1:
        one, other = rnd.randrange(len(parts)), rnd.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
    return "".join(parts)


def _spliced(rnd: Random, text: str, corpus: Sequence[str]) -> str:
    """Tokens of another statement, in or instead of this one's."""
    parts, others = tokens(text), tokens(rnd.choice(corpus))
    at, start = rnd.randint(0, len(parts)), rnd.randint(0, len(others))
    size = rnd.randint(1, 15)
    parts[at : at + rnd.choice((0, size))] = others[start : start + size]
    return "".join(parts)


def _inside(rnd: Random, text: str, corpus: Sequence[str]) -> str:
    """A whole query where a word was."""
    parts = tokens(text)
    if parts:
        parts[rnd.randrange(len(parts))] = f"({rnd.choice(corpus).rstrip('; ')})"
    return "".join(parts)


_TEXT_STEPS: tuple[Callable[[Random, str, Sequence[str]], str], ...] = (
    _wrapped, _wrapped, _wrapped, _joined, _joined, _removed, _repeated, _swapped, _spliced, _spliced, _inside, _inside,
)  # fmt: skip
