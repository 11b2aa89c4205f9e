"""The walker knows every statement node that the parser may give, so that a new one can't slip by."""

from __future__ import annotations

import pglast.ast

from decision.analysis.postgres.walk import STATEMENTS


def statement_nodes() -> set[str]:
    """Every statement node of the installed parser."""
    return {name for name in dir(pglast.ast) if name.endswith("Stmt") and name != "Stmt"}


def test_every_statement_node_is_mapped() -> None:
    """No statement node is left without a handler; PL/pgSQL's and inner ones are mapped to unknown."""
    assert statement_nodes() - set(STATEMENTS) == set()


def test_no_handler_for_a_node_that_is_gone() -> None:
    """Every handler's node exists in the parser."""
    assert set(STATEMENTS) - statement_nodes() == set()
