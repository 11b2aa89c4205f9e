"""Statements that are read by way of another one: EXPLAIN's subject, REPLACE as INSERT, what a constant text holds.

Each form is matched token by token; what doesn't match exactly is left for the parser, which refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from decision.analysis.dialects.calls import Read, as_select, between, call, dynamic, execute, prepare
from decision.analysis.dialects.lexical import Piece, dotted
from decision.analysis.dialects.names import by_name
from decision.analysis.dialects.walk import Walk
from decision.analysis.flow import OPAQUE
from decision.model.facts import Access, Kind, Usage

_EXPLAIN_OPTIONS = frozenset(
    {"ANALYZE", "ANALYSE", "EXTENDED", "PARTITIONS", "VERBOSE", "QUERY", "PLAN", "USING", "TEXT", "TABULAR", "JSON",
     "TREE", "TRADITIONAL", "FORMAT", "="}
)  # fmt: skip
_SUBJECTS = frozenset(
    ["SELECT", "WITH", "(", "VALUES", "TABLE", "FROM", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"]
)
# What may stand behind the verb and says nothing of what it does. Each is one word, so that they go one by one.
_MODIFIERS = {
    "DELETE": ("LOW_PRIORITY", "QUICK", "IGNORE"), "UPDATE": ("LOW_PRIORITY", "IGNORE"),
    "INSERT": ("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"),
}  # fmt: skip
_FILE_OPTIONS = frozenset(
    {"CHARACTER", "SET", "FIELDS", "COLUMNS", "LINES", "TERMINATED", "OPTIONALLY", "ENCLOSED", "ESCAPED", "STARTING",
     "BY", "UTF8MB4", "UTF8", "LATIN1", "BINARY"}
)  # fmt: skip


def _upper(found: Sequence[Piece], count: int = 6) -> list[str]:
    return [piece.upper for piece in found[:count]]


def rewritten(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    """Whether the statement was one of these forms; then the record holds its facts."""
    words = _upper(found)
    first = words[0]
    if first in ("EXPLAIN", "DESCRIBE", "DESC") and _explain(walk, text, found, read):
        return True
    if first == "REPLACE" and walk.dialect in ("mysql", "sqlite"):
        return _replace(walk, text, found, read)
    if words[:2] == ["UPDATE", "OR"] and walk.dialect == "sqlite" and len(found) > 3:
        walk.record.flags.add("on_conflict")
        if words[2] == "REPLACE":
            walk.record.kind(Kind.DELETE)
        read(walk, "UPDATE " + between(text, found, 3))
        return True
    if walk.dialect == "mysql" and first in _MODIFIERS and len(words) > 1 and words[1] in _MODIFIERS[first]:
        read(walk, f"{first} {between(text, found, 2)}")
        return True
    if first == "DO" and walk.dialect == "mysql" and len(found) > 1:
        walk.record.kind(Kind.UTILITY)
        as_select(walk, between(text, found, 1), read)
        return True
    if first == "CALL" and len(found) > 1:
        return call(walk, text, found, read)
    if first in ("EXEC", "EXECUTE") and walk.dialect == "tsql":
        return execute(walk, found, read)
    if first == "EXECUTE" and words[1:2] == ["IMMEDIATE"]:
        return dynamic(walk, found[2:], read)
    if first == "EXECUTE":
        walk.record.kind(Kind.EXECUTE)
        walk.record.flags.add("needs_session")
        walk.record.refuse("EXECUTE", "what was prepared is not known")
        return True
    if first == "PREPARE":
        return prepare(walk, text, found, read)
    if first == "LOAD" and walk.dialect == "mysql":
        return _load(walk, found)
    if walk.dialect == "mysql" and first in _SUBJECTS:
        return _into(walk, text, found, read)
    return False


def _explain(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    place = 1
    options: list[str] = []
    while place < len(found) and found[place].upper in _EXPLAIN_OPTIONS:
        options.append(found[place].upper)
        place += 1
    if (
        place >= len(found)
        or found[place].upper not in _SUBJECTS
        or (found[0].upper != "EXPLAIN" and (walk.dialect != "mysql" or found[place].upper == "TABLE"))
    ):
        return False
    record = walk.record
    record.kind(Kind.EXPLAIN)
    record.flags.add("explain")
    runs = "ANALYZE" in options or "ANALYSE" in options
    if runs:
        record.flags.add("explain_analyze")
    read(walk, between(text, found, place))
    if not runs:
        record.effects.clear()
    record.output = [("plan", OPAQUE)]
    record.returns_rows = True
    return True


def _replace(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    place = 1
    while place < len(found) and found[place].upper in ("LOW_PRIORITY", "DELAYED", "INTO"):
        place += 1
    walk.record.kind(Kind.INSERT, Kind.DELETE)
    walk.record.flags.add("on_conflict")
    read(walk, "INSERT INTO " + between(text, found, place))
    return True


def _load(walk: Walk, found: list[Piece]) -> bool:
    """LOAD DATA and LOAD XML: a file's rows into a relation."""
    record = walk.record
    record.kind(Kind.COPY_IN)
    record.flags.update(("file", "copy_from"))
    words = [piece.upper for piece in found]
    record.files[""] = None
    if "LOCAL" in words[:4]:
        record.flags.add("client_file")
    place = next((i for i in range(len(words) - 2) if words[i : i + 2] == ["INTO", "TABLE"]), None)
    if place is None:
        record.refuse("LOAD", "it is not known where the rows go")
        return True
    path, _ = dotted(found[place + 2 :])
    if not path:
        record.refuse("LOAD", "it is not known where the rows go")
        return True
    source = by_name(walk, path, Access.WRITE)
    if source.relation is not None:
        for label, _ in source.columns:
            record.columns.setdefault((*source.relation, label), set()).add(Usage.WRITE)
    if "SELECT" in words or "SET" in words[place + 3 :]:
        record.refuse("LOAD", "its SET clause is not read")
    return True


def _into(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    """SELECT … INTO OUTFILE, DUMPFILE or @variables: MySQL has the clause at the end, or before FROM."""
    depth = 0
    for place, piece in enumerate(found):
        depth += (piece.text == "(") - (piece.text == ")")
        if piece.upper == "INTO" and place + 1 < len(found):
            following = found[place + 1]
            to_file = following.upper in ("OUTFILE", "DUMPFILE")
            if not to_file and following.kind != "variable":
                continue
            end = _end_of_file(found, place) if to_file else _end_of_variables(found, place)
            if depth or end is None:
                walk.record.refuse("INTO", "where the rows go is not known")
                walk.record.flags.add("file" if to_file else "variable")
                return True
            rest = f"{text[found[0].start : piece.start]} {between(text, found, end)}"
            _read_into(walk, rest, read, to_file=to_file)
            return True
    return False


def _read_into(walk: Walk, rest: str, read: Read, *, to_file: bool) -> None:
    record = walk.record
    read(walk, rest)
    if to_file:
        record.kind(Kind.COPY_OUT)
        record.flags.update(("file", "copy_to"))
        record.files[""] = None
    else:
        record.kind(Kind.SESSION)
        record.flags.add("variable")
        for _, flow in record.output:
            record.use(flow, Usage.PASSED)
        record.output = []
    record.returns_rows = False


def _end_of_file(found: Sequence[Piece], place: int) -> int | None:
    """Behind the clause's options, each of which is listed."""
    end = place + 3
    if end > len(found) or found[place + 2].kind != "string":
        return None
    while end < len(found) and (found[end].upper in _FILE_OPTIONS or found[end].kind == "string"):
        end += 1
    return end


def _end_of_variables(found: Sequence[Piece], place: int) -> int | None:
    end = place + 2
    while end + 1 < len(found) and found[end].text == "," and found[end + 1].kind == "variable":
        end += 2
    return end
