"""Rows as text: a table, or one block a row where a table would not fit; JSON; CSV. Control characters never reach a
terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

_CUT = 60


def as_json_value(value: object) -> object:
    """The value as JSON has it: times as RFC 3339 in UTC, bytes hexadecimal."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): as_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json_value(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | timedelta | UUID):
        return str(value)
    return str(value)


def as_text(value: object) -> str:
    """The value for people, on one line."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, dict):
        return ", ".join(f"{as_text(key)}={as_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(as_text(item) for item in value)
    return printable(str(as_json_value(value)))


def printable(text: str) -> str:
    """The text without line breaks and control characters (nothing that was logged can drive a terminal)."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def to_json(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """One JSON array of objects, one row a line."""
    lines = [
        json.dumps({name: as_json_value(value) for name, value in zip(columns, row, strict=True)}, ensure_ascii=False)
        for row in rows
    ]
    return "[" + ",\n ".join(lines) + "]"


def to_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """RFC 4180 with a header; lists and maps as JSON. A text that a spreadsheet would take for a formula gets a `'`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return out.getvalue().removesuffix("\r\n")


def _csv_cell(value: object) -> object:
    if value is None:
        return ""
    cell = as_json_value(value)
    if isinstance(cell, list | dict):
        return json.dumps(cell, ensure_ascii=False)
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell
    return cell


def to_table(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> str:
    """A table at most `width` characters wide; where that is not possible, a block for each row."""
    if not rows:
        return "(no rows)"
    cells = [[as_text(value) for value in row] for row in rows]
    full = [max(len(name), *(len(row[index]) for row in cells)) for index, name in enumerate(columns)]
    widths = [min(size, _CUT) for size in full]
    if sum(widths) + 2 * (len(widths) - 1) > width:
        return _blocks(columns, cells)
    right = [all(_is_number(row[index]) for row in rows) for index in range(len(columns))]
    lines = [_line(columns, widths, right), "  ".join("-" * size for size in widths)]
    lines += [_line(row, widths, right) for row in cells]
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, size, number in zip(cells, widths, right, strict=True):
        text = cell if len(cell) <= size else cell[: size - 1] + "…"
        parts.append(text.rjust(size) if number else text.ljust(size))
    return "  ".join(parts).rstrip()


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Each row as `name  value` lines; what is empty is left out."""
    size = max(len(name) for name in columns)
    blocks = []
    for number, row in enumerate(cells, 1):
        lines = [f"{name.ljust(size)}  {cell}" for name, cell in zip(columns, row, strict=True) if cell]
        blocks.append("\n".join([f"-- row {number} " + "-" * 40, *lines]))
    return "\n".join(blocks)
