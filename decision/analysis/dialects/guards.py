"""Signs in a tree that the parser took the text for something else than the server will."""

from __future__ import annotations

from sqlglot import exp

from decision.analysis.dialects.lexical import scan
from decision.analysis.dialects.walk import Walk

# Words that begin a statement in T-SQL, where no separator stands between statements: as a name they are none.
BATCH_WORDS = frozenset(
    [
        "ADD",
        "ALTER",
        "BACKUP",
        "BEGIN",
        "BREAK",
        "BULK",
        "CHECKPOINT",
        "CLOSE",
        "COMMIT",
        "CONTINUE",
        "CREATE",
        "DBCC",
        "DEALLOCATE",
        "DECLARE",
        "DELETE",
        "DENY",
        "DISABLE",
        "DROP",
        "ELSE",
        "ENABLE",
        "END",
        "EXEC",
        "EXECUTE",
        "FETCH",
        "GET",
        "GO",
        "GOTO",
        "GRANT",
        "IF",
        "INSERT",
        "KILL",
        "LINENO",
        "LOAD",
        "MERGE",
        "MOVE",
        "OPEN",
        "PRINT",
        "RAISERROR",
        "READTEXT",
        "RECEIVE",
        "RECONFIGURE",
        "RENAME",
        "RESTORE",
        "RETURN",
        "REVERT",
        "REVOKE",
        "ROLLBACK",
        "SAVE",
        "SELECT",
        "SEND",
        "SET",
        "SETUSER",
        "SHUTDOWN",
        "THROW",
        "TRUNCATE",
        "UPDATE",
        "UPDATETEXT",
        "USE",
        "WAITFOR",
        "WHILE",
        "WITH",
        "WRITETEXT",
        "OUTPUT",
        "INTO",
        "FROM",
        "WHERE",
        "UNION",
        "OPENROWSET",
        "OPENQUERY",
        "OPENDATASOURCE",
        "OPENXML",
    ]
)
_VERBS = frozenset(
    [
        "ALTER",
        "BACKUP",
        "BULK",
        "CREATE",
        "DBCC",
        "DECLARE",
        "DELETE",
        "DENY",
        "DROP",
        "EXEC",
        "EXECUTE",
        "FETCH",
        "GRANT",
        "IF",
        "INSERT",
        "KILL",
        "MERGE",
        "PRINT",
        "RAISERROR",
        "RECONFIGURE",
        "RESTORE",
        "REVOKE",
        "SHUTDOWN",
        "TRUNCATE",
        "UPDATE",
        "USE",
        "WAITFOR",
        "WHILE",
    ]
)
_MAY_FOLLOW = {
    "FETCH": {"ROWS", "ROW"},
    "DELETE": {"THEN", "ON"},
    "UPDATE": {"THEN", "ON"},
    "INSERT": {"THEN"},
    "MERGE": {"INNER", "LEFT", "RIGHT", "FULL", "OUTER", "("},
    "IF": {"TABLE", "VIEW", "INDEX", "SCHEMA", "DATABASE"},
}
_ALTERED = (["COLUMN"], ["CONSTRAINT"])  # what ALTER TABLE drops and alters; neither can begin a name


def check_tree(walk: Walk, tree: exp.Expr, text: str) -> None:
    """Refuses what only looks like one statement."""
    record = walk.record
    found = scan(text, walk.record.traits, walk.budget.limits).pieces
    walk.double |= {piece.value for piece in found if piece.kind == "name" and piece.text[0] == '"'}
    for node in tree.walk():
        walk.budget.charge(1)
        if isinstance(node, exp.Command):
            record.refuse("statement", "a part of it is not known")
        elif walk.dialect == "tsql" and isinstance(node, exp.Identifier) and node.name.upper() in BATCH_WORDS:
            if node.args.get("quoted"):
                continue
            record.refuse("alias", "a word that begins a statement stands in the place of a name")
    if walk.dialect == "tsql":
        _check_batch(walk, text)
    _check_names(walk, tree, text)


def _check_batch(walk: Walk, text: str) -> None:
    words = [piece.upper for piece in scan(text, walk.record.traits, walk.budget.limits).pieces]
    main = 0
    if words and words[0] == "WITH":
        main = next((i for i, w in enumerate(words) if w in _VERBS and i and words[i - 1] == ")"), 0)
    for place, word in enumerate(words):
        if words[place + 1 : place + 2] in _ALTERED:
            continue
        if place and place != main and word in _VERBS and words[place - 1] not in _MAY_FOLLOW.get(word, ()):
            walk.record.refuse("batch", "a second statement without a separator")
            return


def _check_names(walk: Walk, tree: exp.Expr, text: str) -> None:
    """A relation's name that the text has and the tree hasn't was dropped on the way."""
    known = {name for _, name in walk.spellings}
    if not known:
        return
    kept = {node.name.casefold() for node in tree.find_all(exp.Identifier, exp.Var, exp.Literal)}
    kept |= {part for name in kept for part in name.replace("@", ".").split(".")}
    for piece in scan(text, walk.record.traits, walk.budget.limits).pieces:
        if piece.kind in ("word", "name"):
            name = piece.value.casefold()
            if name in known and name not in kept:
                walk.record.refuse(walk.shown(piece.value), "the parser dropped a name of the text")
