"""Statements that are read by way of another one: EXPLAIN's subject, REPLACE as INSERT, what a constant text holds.

Each form is matched token by token; what doesn't match exactly is left for the parser, which refuses it.
More than 300 lines: one form after the other, which share their helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from decision.analysis.dialects.lexical import Piece
from decision.analysis.dialects.names import by_name
from decision.analysis.dialects.walk import Walk
from decision.analysis.flow import OPAQUE
from decision.model.facts import Access, Effect, Kind, Usage

Read = Callable[[Walk, str], None]  # analyses a text of one statement into the record
_EXPLAIN_OPTIONS = frozenset(
    {"ANALYZE", "ANALYSE", "EXTENDED", "PARTITIONS", "VERBOSE", "QUERY", "PLAN", "USING", "TEXT", "TABULAR", "JSON",
     "TREE", "TRADITIONAL", "FORMAT", "="}
)  # fmt: skip
_SUBJECTS = frozenset(
    ["SELECT", "WITH", "(", "VALUES", "TABLE", "FROM", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"]
)
_FILE_OPTIONS = frozenset(
    {"CHARACTER", "SET", "FIELDS", "COLUMNS", "LINES", "TERMINATED", "OPTIONALLY", "ENCLOSED", "ESCAPED", "STARTING",
     "BY", "UTF8MB4", "UTF8", "LATIN1", "BINARY"}
)  # fmt: skip


def _upper(found: Sequence[Piece], count: int = 6) -> list[str]:
    return [piece.upper for piece in found[:count]]


def _between(text: str, found: Sequence[Piece], first: int, last: int | None = None) -> str:
    """The text of pieces[first:last]; offsets are the message's."""
    part = found[first:last]
    return text[part[0].start : part[-1].end] if part else ""


def constant(piece: Piece) -> str | None:
    """The value of a plain string literal; None where escapes or prefixes leave doubt."""
    text = piece.text
    if piece.kind != "string":
        return None
    if text.startswith("$$") and text.endswith("$$") and len(text) > 3:
        return text[2:-2]
    text = text[1:] if text[:1] in "nN" else text
    quote = text[:1]
    if quote not in ("'", '"') or text[:3] in ("'''", '"""') or "\\" in text:
        return None
    return text[1:-1].replace(quote * 2, quote)


def rewritten(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    """Whether the statement was one of these forms; then the record holds its facts."""
    words = _upper(found)
    first = words[0]
    if first in ("EXPLAIN", "DESCRIBE", "DESC") and _explain(walk, text, found, read):
        return True
    if first == "REPLACE" and walk.dialect in ("mysql", "sqlite"):
        return _replace(walk, text, found, read)
    if first == "UPDATE" and words[1] == "OR" and walk.dialect == "sqlite" and len(found) > 3:
        walk.record.flags.add("on_conflict")
        if words[2] == "REPLACE":
            walk.record.kind(Kind.DELETE)
        read(walk, "UPDATE " + _between(text, found, 3))
        return True
    if first == "DO" and walk.dialect == "mysql" and len(found) > 1:
        walk.record.kind(Kind.UTILITY)
        _as_select(walk, _between(text, found, 1), read)
        return True
    if first == "CALL" and len(found) > 1:
        return _call(walk, text, found, read)
    if first in ("EXEC", "EXECUTE") and walk.dialect == "tsql":
        return _exec(walk, found, read)
    if first == "EXECUTE" and words[1:2] == ["IMMEDIATE"]:
        return _dynamic(walk, found[2:], read)
    if first == "EXECUTE":
        walk.record.kind(Kind.EXECUTE)
        walk.record.flags.add("needs_session")
        walk.record.refuse("EXECUTE", "what was prepared is not known")
        return True
    if first == "PREPARE":
        return _prepare(walk, text, found, read)
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
    read(walk, _between(text, found, place))
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
    read(walk, "INSERT INTO " + _between(text, found, place))
    return True


def _as_select(walk: Walk, expressions: str, read: Read) -> None:
    """Reads values whose result goes nowhere."""
    had = Kind.SELECT in walk.record.kinds
    read(walk, "SELECT " + expressions)
    if not had:
        walk.record.kinds.pop(Kind.SELECT, None)
    walk.record.output, walk.record.returns_rows = [], False


def _call(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    walk.record.kind(Kind.CALL)
    walk.record.flags.add("procedural")
    path = [piece.value for piece in found[1:8] if piece.kind in ("word", "name")]
    _as_select(walk, _between(text, found, 1), read)
    walk.record.call(*_procedure(path, found[1:]), (Effect.OPAQUE,))
    walk.record.refuse(walk.shown(path[0]) if path else "CALL", "what this procedure does is not known")
    return True


def _procedure(path: list[str], found: Sequence[Piece]) -> tuple[str, str]:
    """(schema, name) of a dotted name at the beginning."""
    names: list[str] = []
    for index in range(0, len(found), 2):
        if found[index].kind not in ("word", "name"):
            break
        names.append(found[index].value)
        if index + 1 >= len(found) or found[index + 1].text != ".":
            break
    names = names or path[:1] or [""]
    return ".".join(names[:-1]).lower(), names[-1].lower()


def _embedded(walk: Walk, inner: str, read: Read) -> None:
    walk.record.flags.add("dynamic_sql")
    walk.record.kind(Kind.EXECUTE)
    read(walk, inner)


def _dynamic(walk: Walk, found: Sequence[Piece], read: Read) -> bool:
    """A text that is run: read where it is one constant, else unknown."""
    inner = constant(found[0]) if found else None
    if inner is None or len(found) > 1:
        walk.record.kind(Kind.EXECUTE)
        walk.record.flags.update(("dynamic_sql", "dynamic_unknown"))
        walk.record.refuse("EXECUTE", "it runs a text that is not constant")
        if inner is not None:
            _embedded(walk, inner, read)
    else:
        _embedded(walk, inner, read)
    return True


def _exec(walk: Walk, found: list[Piece], read: Read) -> bool:
    words = _upper(found)
    record = walk.record
    if words[1:2] == ["("] and found[-1].text == ")":
        return _dynamic(walk, found[2:-1], read)
    if words[1:2] == ["AS"]:
        record.kind(Kind.SESSION)
        record.flags.add("role_change")
        record.refuse("EXECUTE AS", "whose rights hold is not known")
        return True
    record.kind(Kind.CALL)
    record.flags.add("procedural")
    schema, name = _procedure([], found[1:])
    start = next((i for i, piece in enumerate(found) if i and piece.value.lower() == name), 1)
    if name == "sp_executesql" and len(found) > start + 1:
        rest = found[start + 1 :]
        inner = constant(rest[0])
        if inner is not None and (len(rest) == 1 or rest[1].text == ","):
            record.call(schema, name, (Effect.DYNAMIC_SQL,))
            _embedded(walk, inner, read)
            if any(piece.upper.isalpha() and piece.kind == "word" for piece in rest[1:]):
                record.refuse("EXEC", "what follows its text is not read")
            return True
        record.flags.add("dynamic_unknown")
    from decision.analysis.dialects.functions import effects_of

    effects = effects_of("tsql", name) or (Effect.OPAQUE,)
    record.call(schema, name, effects)
    marks = {
        Effect.OS_COMMAND: "program", Effect.READS_FILES: "file", Effect.WRITES_FILES: "file",
        Effect.NETWORK: "remote", Effect.CHANGES_SETTINGS: "setting", Effect.DYNAMIC_SQL: "dynamic_unknown",
    }  # fmt: skip
    record.flags.update(flag for effect, flag in marks.items() if effect in effects)
    if Effect.OS_COMMAND in effects:
        record.programs[""] = None
    record.refuse(walk.shown(name) or "EXEC", "what this procedure does is not known")
    return True


def _prepare(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    walk.record.kind(Kind.PREPARE)
    walk.record.flags.add("prepare")
    words = _upper(found)
    if words[2:3] == ["AS"]:
        read(walk, _between(text, found, 3))
    elif words[2:3] == ["FROM"] and len(found) == 4 and (inner := constant(found[3])) is not None:
        walk.record.flags.add("dynamic_sql")
        read(walk, inner)
    else:
        walk.record.flags.update(("dynamic_sql", "dynamic_unknown"))
        walk.record.refuse("PREPARE", "it prepares a text that is not constant")
    walk.record.output, walk.record.returns_rows = [], False
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
    names = [piece.value for piece in found[place + 2 : place + 5] if piece.kind in ("word", "name", "symbol")]
    dotted = len(names) > 2 and names[1] == "."
    source = by_name(walk, "", names[0] if dotted else "", names[2] if dotted else names[0], Access.WRITE)
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
            rest = f"{text[found[0].start : piece.start]} {_between(text, found, end)}"
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
