"""One message to its analysis, with a cache whose key holds everything that the answer depends on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from pglast import parser

from decision.analysis.catalog import CatalogIndex
from decision.analysis.document import canonical
from decision.analysis.effects import SessionEffect
from decision.analysis.limits import Budget, Limits, check_text
from decision.analysis.postgres.finish import facts_of
from decision.analysis.postgres.parse import PARSER_VERSION, parse_checked
from decision.analysis.postgres.walk import Walk, statement
from decision.analysis.redact import Piece, between, pieces, plain, shown
from decision.analysis.result import Analysis, BoundValue
from decision.analysis.session import SessionState, StateKey
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import LimitExceeded, SyntaxRefused
from decision.model.facts import Facts, Statement

if TYPE_CHECKING:
    from decision.analysis.dialects.message import DialectAnalyzer

_CATALOGS = 16
_OVERHEAD = 4096  # bytes counted for an entry beyond its text and document
_Key = tuple[bytes, str, StateKey]


class Analyzer:
    """Analyses messages of one dialect. Not for several threads at once."""

    def __init__(self, dialect: str = "postgres", limits: Limits | None = None) -> None:
        self.dialect = dialect
        self.limits = limits or Limits()
        self._other = None if dialect == "postgres" else _other(dialect, self.limits)
        self._catalogs: OrderedDict[str, CatalogIndex] = OrderedDict()
        self._cache: OrderedDict[_Key, tuple[Analysis, int]] = OrderedDict()
        self._cached_bytes = 0

    def analyze(self, text: bytes, catalog: CatalogSnapshot | None, state: SessionState) -> Analysis:
        """The facts of `text` under this catalog and state. Raises SyntaxRefused, LimitExceeded or TextRefused."""
        key = (text, "" if catalog is None else catalog.version, state.key)
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
            return found[0]
        decoded = check_text(text, self.limits)
        try:
            if self._other is not None:
                analysis = self._other.analyze(text, self._index(catalog), state)
            else:
                analysis = self._analyze(decoded, text, self._index(catalog), state)
        except RecursionError:
            raise LimitExceeded("the statement nests too deeply", hint="nest less, or split the statement") from None
        if len(text) <= self.limits.cached_text_bytes:
            self._remember(key, analysis)
        return analysis

    def _index(self, catalog: CatalogSnapshot | None) -> CatalogIndex | None:
        if catalog is None:
            return None
        index = self._catalogs.get(catalog.version)
        if index is None:
            index = self._catalogs[catalog.version] = CatalogIndex(catalog)
            if len(self._catalogs) > _CATALOGS:
                self._catalogs.popitem(last=False)
        return index

    def _remember(self, key: _Key, analysis: Analysis) -> None:
        size = _OVERHEAD + len(key[0]) + 3 * len(analysis.document)
        self._cache[key] = (analysis, size)
        self._cached_bytes += size
        while self._cached_bytes > self.limits.cache_bytes:
            _, (_, freed) = self._cache.popitem(last=False)
            self._cached_bytes -= freed

    def _analyze(self, text: str, raw: bytes, index: CatalogIndex | None, state: SessionState) -> Analysis:
        whole = plain(text)
        tokens = _tokens(text, self.limits) if whole is None else []
        nodes = parse_checked(text)
        if len(nodes) > self.limits.statements:
            raise LimitExceeded(f"more than {self.limits.statements} statements", hint="send them in several messages")
        budget = Budget(self.limits)
        version = "" if index is None else index.version
        places = _Places(text, raw)
        statements: list[Statement] = []
        effects: list[tuple[SessionEffect, ...]] = []
        values: list[BoundValue] = []
        for number, node in enumerate(nodes):
            walk = Walk(index, state, budget)
            budget.depth = 0
            statement(walk, node["stmt"])
            budget.charge(0)  # used up within something whose errors are caught: nothing it left out may count
            start = node.get("stmt_location", 0)
            length = node.get("stmt_len", 0) or len(raw) - start
            if len(nodes) > 1:
                walk.flags.add("multi")
                first, last = places.at(start), places.at(start + length)
                part = between(tokens, first, last)
                facts = facts_of(walk, parser.fingerprint(text[first:last]), part, start, length)
            else:
                whole = shown(tokens, 1) if whole is None else whole
                facts = facts_of(walk, parser.fingerprint(text), whole, start, length)
            statements.append(facts)
            effects.append(tuple(walk.effects))
            values += walk.values if number == 0 else [replace(value, statement_index=number) for value in walk.values]
            if walk.effects:
                state = state.within(walk.effects, version)
        facts_document = Facts(self.dialect, PARSER_VERSION, version, tuple(statements))
        return Analysis(
            facts_document,
            canonical(facts_document),
            statements[0].normalized_text if len(nodes) == 1 else shown(tokens, len(nodes)),
            tuple(values),
            tuple(effects),
        )


def _other(dialect: str, limits: Limits) -> DialectAnalyzer:
    """Another dialect's. Its parser takes a while to load, and few need it. Raises ValueError for an unknown one."""
    from decision.analysis.dialects.message import DialectAnalyzer

    return DialectAnalyzer(dialect, limits)


def _tokens(text: str, limits: Limits) -> list[Piece]:
    try:
        return pieces(text, limits)
    except parser.ParseError:
        parse_checked(text)  # says where
        raise SyntaxRefused("syntax error") from None


class _Places:
    """Places in bytes, as the parser gives them, to places in characters. Asked in rising order."""

    __slots__ = ("_bytes", "_characters", "_raw")

    def __init__(self, text: str, raw: bytes) -> None:
        self._raw = b"" if len(text) == len(raw) else raw
        self._bytes = 0
        self._characters = 0

    def at(self, place: int) -> int:
        if not self._raw:
            return place
        self._characters += len(self._raw[self._bytes : place].decode("utf-8"))
        self._bytes = place
        return self._characters
