"""Statements that are known by their first words, before (or instead of) sqlglot: what it can't read, or misreads.

Each row of the table says what the statement does; all of them but the plain ones stay `unknown` too, for their rest is
not read.
"""

from __future__ import annotations

from collections.abc import Sequence

from decision.analysis.dialects.calls import procedure
from decision.analysis.dialects.command_table import PROCEDURAL, ROWS, SQLGLOT, Row
from decision.analysis.dialects.guards import BATCH_WORDS
from decision.analysis.dialects.lexical import Piece, dotted
from decision.analysis.dialects.names import by_name
from decision.analysis.dialects.walk import Walk
from decision.analysis.effects import RoleSet, SearchPathSet
from decision.model.facts import Access, Kind, ObjectName

_TRANSACTION = frozenset(
    {"BEGIN", "START", "TRANSACTION", "TRAN", "WORK", "COMMIT", "ROLLBACK", "SAVEPOINT", "SAVE", "RELEASE", "TO",
     "AND", "NO", "CHAIN", "ABORT", "END", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "READ", "ONLY", "WRITE", "WITH",
     "CONSISTENT", "SNAPSHOT", ","}
)  # fmt: skip
_NAMED = ("SAVEPOINT", "TO", "TRAN", "TRANSACTION", "SAVE", "RELEASE")  # a name may stand behind them
_STARTS = frozenset({"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "SAVE", "RELEASE", "ABORT", "END"})


def transaction(walk: Walk, found: Sequence[Piece]) -> bool:
    """Transaction control, and nothing but it."""
    words = [piece.upper for piece in found]
    if words[0] not in _STARTS or (words[0] == "END" and walk.dialect not in ("sqlite", "duckdb")):
        return False
    named = {i + 1 for i, word in enumerate(words) if word in _NAMED}
    if walk.dialect == "tsql" and any(word in BATCH_WORDS - _TRANSACTION for word in words):
        return False
    odd = [i for i, word in enumerate(words) if word not in _TRANSACTION and i not in named]
    if odd or len(words) > 12 or (walk.dialect == "tsql" and words == ["BEGIN"]) or words == ["START"]:
        return False
    if walk.dialect in ("oracle", "bigquery", "snowflake") and words[0] == "BEGIN" and len(words) == 1:
        return walk.dialect == "snowflake" and _tcl(walk)
    return _tcl(walk)


def _tcl(walk: Walk) -> bool:
    walk.record.kind(Kind.TCL)
    walk.record.flags.add("transaction_control")
    return True


def command(walk: Walk, found: Sequence[Piece]) -> bool:
    """Whether the first words decide; if so, the record says what is known."""
    words = [piece.upper for piece in found[:8]]
    row = _row(walk, words)
    if row is not None:
        _apply(walk, row, found)
        return True
    if words[0] in SQLGLOT:
        return False
    if walk.dialect == "tsql" and words[0] not in BATCH_WORDS | PROCEDURAL and found[0].kind in ("word", "name"):
        procedure(walk, found, None)  # a batch's first procedure may stand without EXEC
        return True
    walk.record.kind(Kind.UNKNOWN)
    if words[0] in PROCEDURAL:
        walk.record.kind(Kind.DO)
        walk.record.flags.add("procedural")
        walk.record.effects.append(SearchPathSet(None))
        walk.record.refuse(words[0], "procedural code is not read")
    else:
        walk.record.refuse("statement", "a statement that is not known")
    return True


_FILLERS = frozenset(
    {"OR", "REPLACE", "TEMP", "TEMPORARY", "PUBLIC", "SECURE", "IF", "NOT", "EXISTS", "EDITIONABLE", "NONEDITIONABLE",
     "PERSISTENT"}
)  # fmt: skip


def _row(walk: Walk, words: list[str]) -> Row | None:
    forms = [words]
    if words[0] == "CREATE":
        rest = words[1:]
        while rest and rest[0] in _FILLERS:
            rest = rest[1:]
        forms.append(["CREATE", *rest])
    best: Row | None = None
    for row in ROWS:
        wanted = row.words.split()
        longer = best is None or len(row.words) > len(best.words)
        if longer and walk.dialect in row.dialects and any(form[: len(wanted)] == wanted for form in forms):
            best = row
    if best is not None and best.words == "LOAD" and words[1:2] == ["DATA"]:
        return None
    return best


def _apply(walk: Walk, row: Row, found: Sequence[Piece]) -> None:
    record = walk.record
    record.kind(*row.kinds)
    record.flags.update(row.flags)
    count = len(row.words.split())
    objects: list[ObjectName] = []
    if row.access is not None:
        for path in _relations(found[count:]):
            source = by_name(walk, path, row.access)
            objects.append(ObjectName(*(source.relation or ("", walk.shown(path[-1])))))
    verb, object_type = row.operation
    if verb:
        options: tuple[str, ...] = ()
        if object_type == "privilege":
            options = _privileges(walk, found, objects)
        record.operate(verb, object_type, *objects, options=options)
    if row.words == "VACUUM" and "INTO" in [piece.upper for piece in found]:
        record.flags.add("file")
    if "file" in record.flags:
        record.files.update(dict.fromkeys(_places(found)))
    if "search_path_change" in row.flags:
        record.effects.append(SearchPathSet(None))
    if "role_change" in row.flags:
        record.effects.append(RoleSet(found[-1].value if found[-1].kind in ("word", "name") else ""))
    if not row.plain or _more(walk, found, object_type == "privilege"):
        record.refuse(row.words, "only its first words are read")


def _privileges(walk: Walk, found: Sequence[Piece], objects: list[ObjectName]) -> tuple[str, ...]:
    """Which privileges GRANT, REVOKE or DENY names; the relation that they are on goes to `objects`."""
    words = [piece.upper for piece in found]
    stop = words.index("ON") if "ON" in words else len(words)
    granting = ("grant_option",) if "OPTION" in words[stop:] else ()
    if "ON" not in words:
        walk.record.flags.add("role_grant")
        end = next((place for place, word in enumerate(words) if word in ("TO", "FROM")), len(words))
        roles = [piece.value for piece in found[1:end] if piece.kind in ("word", "name") and piece.upper != "ROLE"]
        objects += [ObjectName("", walk.shown(role)) for role in roles]
        return granting
    if "SHARE" in words[stop:]:
        walk.record.flags.add("remote")
    behind = found[stop + 1 :]
    if behind and behind[0].upper in ("TABLE", "VIEW", "OBJECT"):
        behind = behind[2:] if len(behind) > 1 and behind[1].text == "::" else behind[1:]
    path, count = dotted(behind)
    following = behind[count].upper if len(behind) > count else ""
    code = {"EXECUTE", "USAGE"} >= set(words[1:stop])
    if path and not code and following in ("TO", "FROM", ",", "(") and behind[0].upper != "ACCOUNT":
        source = by_name(walk, path, Access.DDL)
        objects.append(ObjectName(*(source.relation or ("", walk.shown(path[-1])))))
    return tuple(sorted({word.lower() for word in words[1:stop] if word.isalpha()})) + granting


def _more(walk: Walk, found: Sequence[Piece], privileges: bool) -> bool:
    """Whether there are words that may begin another statement, or a query within this one."""
    words = [piece.upper for piece in found[1:]]
    if privileges:
        words = words[words.index("TO") + 1 :] if "TO" in words else []
    banned = BATCH_WORDS - {"WITH", "SET"} if walk.dialect == "tsql" else {"SELECT", "EXEC", "EXECUTE"}
    return any(word in banned for word in words if word != "GRANT")


def _places(found: Sequence[Piece]) -> list[str]:
    places = []
    for piece in found:
        if piece.kind == "variable" and piece.text.startswith("@"):
            places.append(piece.text.split("/")[0])
        elif piece.kind == "string":
            places.append("file://" if piece.text.lower().startswith("file:") else "")
    return places


def _relations(found: Sequence[Piece]) -> list[list[str]]:
    """The dotted names at the beginning of items between commas; words behind a name are its options."""
    names: list[list[str]] = []
    expecting = True
    for index, piece in enumerate(found):
        if expecting and piece.kind in ("word", "name"):
            names.append(dotted(found[index:])[0])
            expecting = False
        elif piece.text == "," or piece.upper == "TO":
            expecting = True
    return names
