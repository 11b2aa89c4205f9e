"""The other dialects under the fuzz: their seeds, their wraps, and what must hold of each message.

Two things are held that no single case can: a defect of ours is a finding though the service would deny it, and facts
don't depend on what stands between the words (blanks, line ends, comments), nor on the case of keywords.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import orjson

from decision.analysis import Analyzer, SessionState
from decision.analysis.dialects import DIALECTS
from decision.analysis.dialects.lexical import Piece, scan
from decision.analysis.dialects.traits import TRAITS
from decision.analysis.limits import Limits
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError, AnalysisFault
from tests.fuzz.corpus import CASES
from tests.fuzz.mutate import mutated
from tests.fuzz.session import SLOW_S, Broken

WRAPS = (
    "SELECT * FROM ({}) x", "WITH x AS ({}) SELECT * FROM x", "EXPLAIN {}", "PREPARE p FROM '{}'",
    "CREATE VIEW v AS {}",
    "CREATE TABLE z AS {}", "COPY ({}) TO 'x'", "COPY INTO @s FROM ({})", "EXPORT DATA OPTIONS(uri='gs://b/*') AS {}",
    "EXEC('{}')", "EXEC sp_executesql N'{}'", "EXECUTE IMMEDIATE '{}'", "SELECT * FROM OPENQUERY(s, '{}')",
    "INSERT INTO users {}", "REPLACE INTO t {}", "UPDATE t SET x = ({}) WHERE x = 1", "DELETE FROM t WHERE x IN ({})",
    "MERGE INTO t USING ({}) s ON (t.x = s.id) WHEN MATCHED THEN UPDATE SET x = 1", "{} INTO OUTFILE 'x'",
    "{} INTO @a", "SELECT EXISTS ({})", "SELECT 1, ({})", "{} UNION ALL {}", "({}) EXCEPT SELECT 1", "BEGIN {}; END",
    "IF 1 = 1 {}", "SELECT * FROM users u, LATERAL ({}) l", "SELECT * FROM t CROSS APPLY ({}) a", "{} FOR UPDATE",
    "CREATE PROCEDURE p() {}", "DECLARE @x INT = ({})", "SET @x = ({})", "SELECT ARRAY({})", "{} LIMIT 1", "{} -- x",
    "/* x */ {}", "{}; {}", "BEGIN; {}; COMMIT", "SELECT f({})", "FROM ({}) SELECT *", "PIVOT ({}) ON x USING sum(y)",
)  # fmt: skip
# What no parser's grammar gave: pieces as the manuals write them, put together freely.
WORDS = (
    "SELECT", "FROM", "WHERE", "users", "u", "ssn", "id", "*", "u.*", ",", "(", ")", "JOIN", "ON", "USING",
    "(id)", "AS",
    "x", "GROUP BY", "ORDER BY", "LIMIT 1", "TOP 1", "UNION", "ALL", "WITH", "INSERT INTO", "VALUES", "(1)", "UPDATE",
    "SET", "=", "DELETE", "MERGE INTO", "WHEN MATCHED THEN", "NOT", "NULL", "'a'", '"a"', "`a`", "[a]", "1", ".", "..",
    "::", "@v", ":v", "?", "$1", "@@version", "@stage", "INTO", "OUTFILE", "OVER", "PARTITION BY", "QUALIFY", "PIVOT",
    "UNPIVOT", "LATERAL", "CROSS APPLY", "UNNEST", "FLATTEN", "CASE", "END", "IN", "EXISTS", "BETWEEN", "AND", "OR",
    "LIKE", "'%'", "STRUCT", "EXCLUDE", "EXCEPT", "REPLACE", "FOR UPDATE", "FOR JSON AUTO", "OUTPUT inserted.*",
    "RETURNING *", "CONNECT BY", "PRIOR", "START WITH", "t@link", "srv.db.dbo.t", "CREATE", "TABLE", "VIEW", "DROP",
    "ALTER", "ADD", "COLUMN", "EXEC", "CALL", "DECLARE", "GRANT", "TO", "REVOKE", "USE", "SHOW", "DESCRIBE", "PRAGMA",
    "ATTACH", "COPY", "LOAD", "EXPLAIN", "TRUNCATE", "HANDLER", "LOCK", "KILL", "+", "-", "||", "->", "->>", "=>", ":=",
    "{", "}", "[", "]", "COUNT(*)", "MAX(ssn)", "CAST(ssn AS INT)", "TRY", "IDENTIFIER('users')", "TABLE(f())",
    "MATCH_RECOGNIZE", "TABLESAMPLE", "AT(TIMESTAMP", "VERSION AS OF", "FOR SYSTEM_TIME AS OF", "ASOF", "NATURAL",
)  # fmt: skip


def cases(dialect: str) -> list[str]:
    """The statements of the dialect's cases, and those of all others behind them."""
    folder = CASES / "analysis" / "dialects"
    found = [
        (file.stem.split(".")[0] != dialect, json.loads(line)["sql"])
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    own = [sql for other, sql in found if not other]
    return own * 3 + [sql for other, sql in found if other]


def _free(rnd: random.Random) -> bytes:
    """Words put together freely, behind one that begins a statement."""
    words = [rnd.choice(("SELECT", "WITH", "INSERT INTO", "UPDATE", "DELETE FROM", "MERGE INTO", "CREATE", "SELECT"))]
    words += rnd.choices(WORDS, k=rnd.randint(1, 25))
    return " ".join(words).encode()


def message(rnd: random.Random, corpus: Sequence[str]) -> bytes:
    if rnd.random() < 0.2:
        return _free(rnd)
    if rnd.random() < 0.4:
        text = rnd.choice(WRAPS).replace("{}", rnd.choice(corpus).rstrip("; \n"))
        if rnd.random() < 0.5:
            return text.encode("utf-8", "surrogatepass")
        return mutated(rnd, [text])
    return mutated(rnd, corpus)


def respelled(rnd: random.Random, dialect: str, text: str) -> str:
    """The same statement: other blanks and comments between its words, keywords in another case."""
    pieces = scan(text, TRAITS[dialect], Limits()).pieces
    out: list[str] = []
    end = 0
    for piece in pieces:
        gap = text[end : piece.start]
        if "/*+" in gap or "--+" in gap:
            out.append(gap)
        elif gap:
            out.append(rnd.choice((" ", "\n", "\t ", " /* c */ ", "\n/**/ ", " -- c\n")))
        out.append(_other_case(rnd, piece))
        end = piece.end
    return "".join(out)


def _other_case(rnd: random.Random, piece: Piece) -> str:
    if piece.kind == "word" and piece.text.upper() in _KEYWORDS:
        return rnd.choice((piece.text.lower(), piece.text.upper(), piece.text.title()))
    return piece.text


_KEYWORDS = frozenset(
    [
        "SELECT", "FROM", "WHERE", "JOIN", "ON", "GROUP", "ORDER", "BY", "UNION", "ALL", "WITH", "INSERT", "INTO",
        "VALUES", "UPDATE", "SET", "DELETE", "MERGE", "USING", "WHEN", "MATCHED", "THEN", "AND", "OR", "NOT", "NULL",
        "IN", "EXISTS", "AS", "CREATE", "TABLE", "DROP", "ALTER", "GRANT", "REVOKE", "EXEC", "CALL", "LOAD", "LIMIT",
    ]
)  # fmt: skip


def check(
    analyzer: Analyzer, rnd: random.Random, text: bytes, catalog: CatalogSnapshot | None, state: SessionState
) -> SessionState:
    """The state after `text`. Raises Broken, and AnalysisFault as it is."""
    try:
        analysis = analyzer.analyze(text, catalog, state)
    except AnalysisFault:
        raise
    except AnalysisError as error:
        if not error.message:
            raise Broken("an error without words", text) from None
        return state
    facts = analysis.facts
    document = orjson.loads(analysis.document)
    _hold(orjson.dumps(document, option=orjson.OPT_SORT_KEYS) == analysis.document, "the document is canonical", text)
    _hold(len(analysis.effects) == len(facts.statements), "effects belong to statements", text)
    for statement in facts.statements:
        _hold(bool(statement.kinds), "a statement has a kind", text)
        _hold(0 < statement.length <= len(text) - statement.location, "a statement lies within its text", text)
    other = respelled(rnd, analyzer.dialect, text.decode()).encode()
    try:
        again = analyzer.analyze(other, catalog, state)
    except AnalysisFault:
        raise
    except AnalysisError:  # the parser knows some pairs of words only with nothing but blanks between them
        return state.advance(analysis, "I")
    both = text + b"\n=>\n" + other
    _hold(facts.complete or not again.facts.complete, "what is not understood stays so, whatever its blanks", both)
    same = _meaning(again.document) == _meaning(analysis.document)
    _hold(same or not again.facts.complete, "facts don't depend on blanks", both)
    return state.advance(analysis, "I").advance(analysis, "T")


def _meaning(document: bytes) -> object:
    """The facts without what shows the text, letters' case aside."""
    found = orjson.loads(document.decode().casefold())
    for statement in found["statements"]:
        statement.pop("normalized_text"), statement.pop("fingerprint")
    return found


def _hold(condition: bool, what: str, text: bytes) -> None:
    if not condition:
        raise Broken(what, text)


def player(dialect: str) -> Callable[[int, int, Sequence[str], CatalogSnapshot], list[bytes]]:
    """Plays rounds of this dialect."""
    return partial(play, dialect)


def play(dialect: str, seed: int, number: int, corpus: Sequence[str], catalog: CatalogSnapshot) -> list[bytes]:
    """The round `number` of `seed`, as tests.fuzz.session.play does it. `dialect` may be `all`: each in turn."""
    chosen = DIALECTS[number % len(DIALECTS)] if dialect == "all" else dialect
    rnd = random.Random(f"{seed}:{number}:{chosen}")
    analyzer = Analyzer(chosen, Limits(cached_text_bytes=0))
    seen = rnd.choice((catalog, catalog, None))
    state = SessionState()
    texts: list[bytes] = []
    for _ in range(rnd.randint(1, 4)):
        texts.append(message(rnd, corpus))
        started = time.process_time()
        try:
            state = check(analyzer, rnd, texts[-1], seen, state)
        except AnalysisFault as error:
            raise Broken(f"{chosen}: {error.message}", texts[-1]) from error
        except Broken as error:
            raise Broken(f"{chosen}: {error.what}", error.text) from None
        if time.process_time() - started > 2 * SLOW_S:
            raise Broken(f"{chosen}: too slow", texts[-1])
    return texts
