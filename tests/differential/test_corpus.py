"""A part of PostgreSQL's regression statements, the same each time: what the server touches is in the facts.

All of it, in some minutes: `python -m tests.differential.corpus`, which also writes the kept figures and holes anew.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from tests.differential import corpus
from tests.differential.oracle.server import OracleServer
from tests.differential.oracle.tally import Tally
from tests.support.require import require
from tests.support.toolchains import FETCH

pytestmark = pytest.mark.slow
ONE_IN = 6
ALWAYS = ("merge", "returning", "rules", "select_views", "subselect", "temp", "truncate", "with")
PRECISION = 0.98
RECALL = 1.0


@pytest.fixture(scope="module")
def folder() -> Path:
    """The suite's files."""
    return require("PostgreSQL's regression statements", corpus.corpus(), FETCH)


@pytest.fixture(scope="module")
def sampled(oracle: OracleServer, folder: Path) -> Tally:
    """A sixth of the files, by their names, and some that matter most."""
    names = [path.stem for path in corpus.files(folder)]
    chosen = [name for name in names if zlib.crc32(name.encode()) % ONE_IN == 0 or name in ALWAYS]
    total = Tally()
    for _, tally, _ in corpus.run_files(oracle, folder, chosen, whole=False):
        total.merge(tally)
    assert total.ran > 4000
    return total


@pytest.fixture(scope="module")
def kept() -> dict[str, object]:
    """The figures and holes of the last whole run."""
    document: dict[str, object] = json.loads(corpus.KEPT.read_text(encoding="utf-8"))
    return document


def test_nothing_crashes(sampled: Tally) -> None:
    """Whatever the statement, the analysis answers with facts or an error of its own tree."""
    assert sampled.crashes == []


def test_no_new_holes(sampled: Tally, kept: dict[str, object]) -> None:
    """Relations, accesses, columns and functions that the facts miss are only those that are known."""
    known = set(kept["holes"]) if isinstance(kept["holes"], list) else set()
    found = sampled.document()["holes"]
    assert isinstance(found, list)
    assert [hole for hole in found if hole not in known] == []


def test_relations_are_precise(sampled: Tally) -> None:
    """Marking everything as read would be no analysis."""
    assert sampled.precision >= PRECISION, [(hole.file, hole.line, hole.miss.name) for hole in sampled.extras]


def test_the_kept_figures_are_good_enough(kept: dict[str, object]) -> None:
    """Of the whole suite: every relation is found, precisely, and nothing crashes."""
    relations = kept["relations"]
    assert isinstance(relations, dict)
    assert relations["recall"]["data"] >= RECALL
    assert relations["recall"]["definition"] >= RECALL
    assert relations["precision"] >= PRECISION
    assert kept["crashes"] == 0
