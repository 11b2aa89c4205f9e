"""Rows as text that reads well, parses, and can't drive a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

from analytics.render import to_csv, to_json, to_table

COLUMNS = ("time", "who", "rows", "rules", "ok")
TIME = datetime(2026, 11, 21, 9, 30, 0, 123000, tzinfo=UTC)
ROWS = [(TIME, "agent-7 for alice", 5, ["a", "b"], True), (TIME, "bob\x1b[31m\nx", 12, [], None)]


def test_a_table_fits_and_aligns() -> None:
    """Numbers to the right, texts to the left, one line a row."""
    assert to_table(COLUMNS, ROWS, 100).splitlines() == [
        "time                     who                rows  rules  ok",
        "-----------------------  -----------------  ----  -----  ---",
        "2026-11-21 09:30:00.123  agent-7 for alice     5  a, b   yes",
        "2026-11-21 09:30:00.123  bob [31m x           12",
    ]


def test_what_does_not_fit_becomes_a_block_a_row() -> None:
    """A narrow terminal gets each row as name and value, empty ones left out."""
    text = to_table(COLUMNS, ROWS, 40)
    assert "who    agent-7 for alice" in text and text.count("-- row") == 2 and "ok     \n" not in text


def test_no_rows_are_said() -> None:
    """An empty answer is an answer."""
    assert to_table(COLUMNS, [], 80) == "(no rows)"


def test_json_parses_and_keeps_values() -> None:
    """Times as RFC 3339, lists as lists, bytes as hexadecimal."""
    assert json.loads(to_json((*COLUMNS, "raw"), [(*ROWS[0], b"\x01")])) == [
        {"time": "2026-11-21T09:30:00.123000Z", "who": "agent-7 for alice", "rows": 5, "rules": ["a", "b"], "ok": True,
         "raw": "01"}
    ]  # fmt: skip


def test_csv_is_no_formula() -> None:
    """A text that a spreadsheet would compute is quoted."""
    rows = list(csv.reader(io.StringIO(to_csv(("a", "b"), [("=cmd()", 'x,"y"')]))))
    assert rows == [["a", "b"], ["'=cmd()", 'x,"y"']]
