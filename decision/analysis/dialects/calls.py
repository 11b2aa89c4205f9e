"""Procedures that are called, and texts that are run: CALL, EXEC, EXECUTE IMMEDIATE, PREPARE.

What a procedure does is never known here, so that a call is always incomplete; its facts say what is known by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from decision.analysis.dialects.functions import effects_of
from decision.analysis.dialects.lexical import Piece, dotted
from decision.analysis.dialects.walk import Walk
from decision.model.facts import Effect, Kind

Read = Callable[[Walk, str], None]  # analyses a text of one statement into the record
_MARKS = {
    Effect.OS_COMMAND: "program", Effect.READS_FILES: "file", Effect.WRITES_FILES: "file", Effect.NETWORK: "remote",
    Effect.CHANGES_SETTINGS: "setting", Effect.DYNAMIC_SQL: "dynamic_unknown",
}  # fmt: skip


def between(text: str, found: Sequence[Piece], first: int, last: int | None = None) -> str:
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


def as_select(walk: Walk, expressions: str, read: Read) -> None:
    """Reads values whose result goes nowhere."""
    had = Kind.SELECT in walk.record.kinds
    read(walk, "SELECT " + expressions)
    if not had:
        walk.record.kinds.pop(Kind.SELECT, None)
    walk.record.output, walk.record.returns_rows = [], False


def call(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    """CALL of the other dialects: its arguments are read as the values that they are."""
    walk.record.kind(Kind.CALL)
    walk.record.flags.add("procedural")
    path, _ = dotted(found[1:])
    as_select(walk, between(text, found, 1), read)
    shown = walk.shown(path[-1]) if path else "CALL"
    walk.record.call(".".join(path[:-1]).lower(), shown.lower(), (Effect.OPAQUE,))
    walk.record.refuse(shown, "what this procedure does is not known")
    return True


def _embedded(walk: Walk, inner: str, read: Read) -> None:
    walk.record.flags.add("dynamic_sql")
    walk.record.kind(Kind.EXECUTE)
    read(walk, inner)


def dynamic(walk: Walk, found: Sequence[Piece], read: Read) -> bool:
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


def execute(walk: Walk, found: list[Piece], read: Read) -> bool:
    """EXEC of T-SQL: of a text, of a procedure, at another server, or as somebody else."""
    record = walk.record
    words = [piece.upper for piece in found]
    if words[1:2] == ["("]:
        close = _closing(found, 1)
        if close == len(found) - 1:
            return dynamic(walk, found[2:-1], read)
        record.kind(Kind.EXECUTE)
        record.flags.update(("dynamic_sql", "dynamic_unknown"))
        if words[close + 1 : close + 2] == ["AT"]:
            record.flags.add("remote")
        record.refuse("EXEC", "what stands behind its text is not read")
    elif words[1:2] == ["AS"]:
        record.kind(Kind.SESSION)
        record.flags.add("role_change")
        record.refuse("EXECUTE AS", "whose rights hold is not known")
    elif len(found) < 2:
        record.refuse("EXEC", "what it calls is not known")
    else:
        start = 3 if found[1].kind == "variable" and words[2:3] == ["="] else 1  # EXEC @result = procedure
        procedure(walk, found[start:], read)
    return True


def _closing(found: Sequence[Piece], opening: int) -> int:
    """The place of the bracket that closes the one at `opening`; behind the end where none does."""
    depth = 0
    for place in range(opening, len(found)):
        depth += (found[place].text == "(") - (found[place].text == ")")
        if not depth:
            return place
    return len(found)


def procedure(walk: Walk, found: Sequence[Piece], read: Read | None) -> None:
    """A procedure of T-SQL by its name, and its arguments behind it. `read`: for the text of sp_executesql."""
    record = walk.record
    record.kind(Kind.CALL)
    record.flags.add("procedural")
    path, count = dotted(found)
    if not path:  # its name is in a variable
        record.flags.update(("dynamic_sql", "dynamic_unknown"))
        record.refuse("EXEC", "what it calls is not constant")
        return
    schema, name = ".".join(filter(None, path[:-1])).lower(), path[-1].lower()
    if len(path) > 3:
        record.flags.add("remote")
        record.unresolved(walk.shown(path[0]), "another server, where it is not known what this is")
    effects = effects_of("tsql", name) or (Effect.OPAQUE,)
    record.call(schema, name, effects)
    if name == "sp_executesql" and len(path) < 3 and read is not None and _constant_text(walk, found[count:], read):
        return
    if Effect.DYNAMIC_SQL in effects:
        record.kind(Kind.EXECUTE)
        record.flags.add("dynamic_sql")
    record.flags.update(flag for effect, flag in _MARKS.items() if effect in effects)
    if Effect.OS_COMMAND in effects:
        record.programs[""] = None
    record.refuse(walk.shown(name), "what this procedure does is not known")


def _constant_text(walk: Walk, rest: Sequence[Piece], read: Read) -> bool:
    """Reads the text of sp_executesql, where that is one constant; what follows are its parameters."""
    if [piece.upper or piece.text.lower() for piece in rest[:2]] in (["@stmt", "="], ["@statement", "="]):
        rest = rest[2:]
    inner = constant(rest[0]) if rest else None
    if inner is None or (len(rest) > 1 and rest[1].text != ","):
        return False
    _embedded(walk, inner, read)
    if any(piece.kind in ("word", "name") for piece in rest[1:]):
        walk.record.refuse("EXEC", "what follows its text is not read")
    return True


def prepare(walk: Walk, text: str, found: list[Piece], read: Read) -> bool:
    walk.record.kind(Kind.PREPARE)
    walk.record.flags.add("prepare")
    words = [piece.upper for piece in found[:4]]
    if words[2:3] == ["AS"]:
        read(walk, between(text, found, 3))
    elif words[2:3] == ["FROM"] and len(found) == 4 and (inner := constant(found[3])) is not None:
        walk.record.flags.add("dynamic_sql")
        read(walk, inner)
    else:
        walk.record.flags.update(("dynamic_sql", "dynamic_unknown"))
        walk.record.refuse("PREPARE", "it prepares a text that is not constant")
    walk.record.output, walk.record.returns_rows = [], False
    return True
