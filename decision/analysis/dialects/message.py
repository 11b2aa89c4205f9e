"""A message of another dialect than PostgreSQL's to its analysis: lex, split, parse, walk. Pure.

What can't end by itself (sqlglot's recursion and its worst cases) is bounded by the lexical limits here, and by a
process with a deadline around it (decision.sandbox).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlglot import exp
from sqlglot._version import __version__
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import Parser, logger

from decision.analysis.catalog import CatalogIndex
from decision.analysis.dialects import lexical, rewrites
from decision.analysis.dialects.commands import command, transaction
from decision.analysis.dialects.functions import ORIGINAL
from decision.analysis.dialects.guards import check_tree
from decision.analysis.dialects.lexical import Piece
from decision.analysis.dialects.record import Record
from decision.analysis.dialects.statements import statement
from decision.analysis.dialects.traits import TRAITS, Traits
from decision.analysis.dialects.walk import Spellings, Walk
from decision.analysis.document import canonical
from decision.analysis.effects import SessionEffect
from decision.analysis.limits import Budget, Limits, check_text
from decision.analysis.result import Analysis, BoundValue
from decision.analysis.session import SessionState
from decision.model.errors import AnalysisFault, LimitExceeded, SyntaxRefused
from decision.model.facts import Facts, Statement

VERSION = f"sqlglot-{__version__}"
MAX_EMBEDDED = 4
STEPS, STEPS_PER_TOKEN = 20_000, 30  # of the parser, which needs less than five a token but where it tries and tries
_FAILURES = (AttributeError, TypeError, KeyError, IndexError, ValueError, AssertionError)
logger.disabled = True  # its warnings quote the statement


class DialectAnalyzer:
    """Analyses messages of one dialect, without a cache. Not for several threads at once."""

    def __init__(self, dialect: str, limits: Limits | None = None) -> None:
        if dialect not in TRAITS:
            raise ValueError(f"the dialect {dialect!r} is not known; known: {', '.join(sorted(TRAITS))}")
        self.dialect = dialect
        self.limits = limits or Limits()
        self.traits = TRAITS[dialect]
        self._names: tuple[str, frozenset[str], Spellings] = ("", frozenset(), {})

    def analyze(self, text: bytes, index: CatalogIndex | None, state: SessionState) -> Analysis:
        """Raises SyntaxRefused, LimitExceeded, TextRefused or AnalysisFault, none of which quotes the text."""
        decoded = check_text(text, self.limits)
        try:
            return self._analyze(decoded, index, state)
        except RecursionError:
            raise LimitExceeded("the statement nests too deeply", hint="nest less, or split the statement") from None
        except _FAILURES as error:
            # The parser's tree is not typed: a shape that nobody has seen must refuse the text, and not quote it.
            raise fault(error) from None

    def _known(self, index: CatalogIndex | None) -> tuple[frozenset[str], Spellings]:
        """Names of the catalog, folded; and how (schema, relation) are spelled."""
        version = "" if index is None else f"{index.snapshot.database}/{index.version}"
        if self._names[0] != version or index is None:
            names: set[str] = set()
            spellings: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
            for relation in () if index is None else index.snapshot.relations:
                names.update((relation.schema.casefold(), relation.name.casefold()))
                names.update(column.name.casefold() for column in relation.columns)
                key = (relation.schema.casefold(), relation.name.casefold())
                spellings[key] = (*spellings.get(key, ()), (relation.schema, relation.name))
            self._names = (version, frozenset(names), spellings)
        return self._names[1], self._names[2]

    def _analyze(self, text: str, index: CatalogIndex | None, state: SessionState) -> Analysis:
        scanned = lexical.scan(text, self.traits, self.limits)
        names, spellings = self._known(index)
        parts = lexical.split(scanned.pieces)
        if len(parts) > self.limits.statements:
            raise LimitExceeded(f"more than {self.limits.statements} statements", hint="send them in several messages")
        if parts and _procedural(parts, self.traits):
            parts = [scanned.pieces]
        budget = Budget(self.limits)
        parse = partial(_parse, self.traits, self.limits)
        statements: list[Statement] = []
        effects: list[tuple[SessionEffect, ...]] = []
        values: list[BoundValue] = []
        version = "" if index is None else index.version
        for part in parts:
            record = Record(self.traits, index, state, budget)
            budget.depth = 0
            walk = Walk(record, self.traits.name, parse, spellings)
            _read(walk, text, part)
            if len(parts) > 1:
                record.flags.add("multi")
            normal = lexical.normalized(part, self.traits, names)
            start, end = part[0].start, part[-1].end
            location = len(text[:start].encode("utf-8"))
            length = len(text[start:end].encode("utf-8"))
            parameters = sum(piece.kind == "variable" and _is_parameter(piece.text, self.traits.name) for piece in part)
            facts = record.statement(lexical.fingerprint(normal), normal, parameters, location, length)
            statements.append(facts)
            effects.append(tuple(record.effects))
            values += [replace(value, statement_index=len(statements) - 1) for value in record.values]
            state = state.apply(record.effects, version)
        document = Facts(self.dialect, VERSION, version, tuple(statements))
        normalized = "; ".join(one.normalized_text for one in statements)
        return Analysis(document, canonical(document), normalized, tuple(values), tuple(effects))


def _is_parameter(text: str, dialect: str) -> bool:
    """Whether the client gives it a value: user variables, staged files and columns by number are none."""
    if dialect in ("tsql", "bigquery", "sqlite") and text.startswith("@") and not text.startswith("@@"):
        return True
    return text[0] in ("?", ":") or (text[0] == "$" and dialect in ("duckdb", "sqlite"))


def fault(error: Exception) -> AnalysisFault:
    """What a defect of ours refuses a text with: its class and its place, without its words, which may quote."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" at {place.tb_frame.f_globals.get('__name__', '')}:{place.tb_lineno}"
    return AnalysisFault(
        f"analysis of the statement failed ({type(error).__name__}{where})",
        hint="write the statement in a plainer form, and report this place",
    )


def _procedural(parts: list[list[Piece]], traits: Traits) -> bool:
    """Whether semicolons stand within a block, so that the message is one statement that can't be read."""
    for part in parts:
        words = [piece.upper for piece in part[:4]]
        if words[0] in ("DECLARE", "IF", "WHILE", "LOOP", "REPEAT", "FOR", "ELSE", "ELSEIF", "EXCEPTION"):
            return True
        if words[0] == "CREATE" and any(
            piece.upper in ("BEGIN", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "TASK", "PACKAGE") for piece in part
        ):
            return True
        if words[0] == "BEGIN" and (len(part) > 1 or traits.name in ("oracle", "bigquery", "snowflake")):
            following = words[1] if len(words) > 1 else ""
            if following not in ("TRAN", "TRANSACTION", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", ""):
                return True
            if not following and traits.name in ("oracle", "bigquery"):
                return True
    return False


def _read(walk: Walk, text: str, part: list[Piece]) -> None:
    """One statement's pieces into the record."""
    if transaction(walk, part) or rewrites.rewritten(walk, text, part, _read_text) or command(walk, part):
        return
    _read_tree(walk, text[part[0].start : part[-1].end])


def _read_text(walk: Walk, text: str) -> None:
    """A text made of a statement, or found in one: it is lexed again, under the same guard."""
    record = walk.record
    record.depth += 1
    try:
        if record.depth > MAX_EMBEDDED:
            raise LimitExceeded("statements within statements nest too deeply", hint="write them out")
        traits = record.traits
        scanned = lexical.scan(text, traits, walk.budget.limits)
        parts = lexical.split(scanned.pieces)
        if parts and _procedural(parts, traits):
            parts = [scanned.pieces]
        if len(parts) > 1:
            record.flags.add("multi")
        if not parts:
            record.refuse("text", "it holds no statement")
        for one in parts:
            _read(walk, text, one)
    finally:
        record.depth -= 1


def _read_tree(walk: Walk, text: str) -> None:
    if walk.dialect == "oracle":
        _links(walk, text)
    trees = walk.parse(text)
    if len(trees) != 1:
        walk.record.refuse("statement", "it is not one statement")
        return
    tree = trees[0]
    if isinstance(tree, exp.Command):
        walk.record.refuse("statement", "a statement that is not known")
        return
    check_tree(walk, tree, text)
    statement(walk, tree)


def _links(walk: Walk, text: str) -> None:
    """Database links of Oracle: an @ outside of texts and names stands for nothing else."""
    found = lexical.scan(text, walk.record.traits, walk.budget.limits).pieces
    for piece, link in zip(found, [*found[1:], None], strict=True):
        if piece.kind == "symbol" and piece.text == "@":
            walk.record.flags.add("remote")
            walk.record.unresolved(walk.shown(link.value) if link else "@", "another server, by a database link")


def _parse(traits: Traits, limits: Limits, text: str) -> list[exp.Expr]:
    """sqlglot's trees, after both lexers agree. Raises SyntaxRefused, without the text."""
    text = lexical.named_parameters(text, lexical.scan(text, traits, limits).pieces, traits)
    scanned = lexical.scan(text, traits, limits)
    dialect = Dialect.get_or_raise(traits.name)
    dialect.ORIGINAL_NAME_META_KEY = ORIGINAL  # an attribute of this instance: facts name functions as the text does
    try:
        tokens = dialect.tokenize(text)
    except (SqlglotError, *_FAILURES):
        raise SyntaxRefused("the statement can't be read", hint="write it in the plain form of its dialect") from None
    lexical.check_against_sqlglot(scanned, tokens)
    try:
        parser = dialect.parser(error_level=ErrorLevel.RAISE)
        _bound(parser, STEPS + STEPS_PER_TOKEN * len(tokens))
        trees = parser.parse(tokens, text)
    except SqlglotError:
        raise SyntaxRefused("the statement can't be read", hint="write it in the plain form of its dialect") from None
    except (*_FAILURES, NotImplementedError):
        raise SyntaxRefused("the parser failed on the statement", hint="write it in a plainer form") from None
    return [tree for tree in trees if tree is not None]


def _bound(parser: Parser, left: int) -> None:
    """Lets the parser go `left` steps over its tokens: it tries both ways at each JOIN without ON, two to the power of
    their number. Its parse raises LimitExceeded."""
    advance = parser._advance

    def counted(times: int = 1) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise LimitExceeded(
                "the statement takes the parser too long", hint="give each JOIN its ON, or use CROSS JOIN"
            )
        advance(times)

    parser._advance = counted  # type: ignore[method-assign]
