"""The questions that are asked again and again: named SQL with typed parameters (schema/questions.sql)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files

from analytics.query_guard import QueryError

_HEAD = re.compile(r"^-- QUESTION ([a-z-]+): (.+)$")
_PARAMETER = re.compile(r"^-- (\w+) (TEXT|NUMBER|TIME|TABLE)(?: = (\S+))?: (.+)$")
_AGO = re.compile(r"^(\d{1,6})([dhm])$")
_UNIT = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` is None where a value must be given."""

    name: str
    kind: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    meaning: str
    parameters: tuple[Parameter, ...]
    sql: str

    def bind(self, given: Mapping[str, str], now: datetime) -> dict[str, object]:
        """The values for `$key` in the SQL. Raises QueryError naming what is missing, unknown or no such value."""
        known = {parameter.name for parameter in self.parameters}
        if unknown := sorted(set(given) - known):
            raise QueryError(
                f"{self.name} has no parameter {unknown[0]!r}", hint=f"it has: {', '.join(sorted(known)) or 'none'}"
            )
        values: dict[str, object] = {}
        for parameter in self.parameters:
            text = given.get(parameter.name, parameter.default)
            if text is None:
                raise QueryError(
                    f"{self.name} needs {parameter.name}: {parameter.meaning}",
                    hint=f"give a value for {parameter.name}",
                )
            values.update(_value(parameter, text, now))
        return values


def _value(parameter: Parameter, text: str, now: datetime) -> dict[str, object]:
    match parameter.kind:
        case "TEXT":
            return {parameter.name: text}
        case "TABLE":
            schema, _, name = text.rpartition(".")
            return {parameter.name: name, f"{parameter.name}_schema": schema}
        case "NUMBER":
            if not re.fullmatch(r"\d{1,15}", text):
                raise QueryError(f"{parameter.name}: {text!r} is no number", hint="write digits")
            return {parameter.name: int(text)}
        case _:
            return {parameter.name: moment(text, now, parameter.name)}


def moment(text: str, now: datetime, name: str = "time") -> datetime:
    """`2026-11-21`, `2026-11-21T10:00`, with or without an offset (UTC), or `30d`, `12h`, `15m` ago. Raises
    QueryError."""
    if ago := _AGO.match(text):
        try:
            return now - timedelta(**{_UNIT[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime(1970, 1, 1, tzinfo=UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(
            f"{name}: {text!r} is no time", hint="write 2026-11-21, 2026-11-21T10:00, or 30d, 12h, 15m for so long ago"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@cache
def questions() -> dict[str, Question]:
    """All of them by name, in the file's order."""
    text = files("analytics").joinpath("schema", "questions.sql").read_text("utf-8")
    found = [_read(block) for block in re.split(r"(?m)^(?=-- QUESTION )", text)[1:]]
    return {question.name: question for question in found}


def _read(block: str) -> Question:
    first, *rest = block.strip().splitlines()
    head = _HEAD.match(first)
    if head is None:
        raise ValueError(f"questions: {first!r} is no head")
    parameters = []
    while rest and rest[0].startswith("--"):
        line = rest.pop(0)
        parameter = _PARAMETER.match(line)
        if parameter is None:
            raise ValueError(f"questions: {line!r} is no parameter")
        parameters.append(Parameter(*parameter.groups()))
    return Question(head[1], head[2], tuple(parameters), "\n".join(rest).strip().removesuffix(";"))


def question(name: str) -> Question:
    """Raises QueryError that names those there are."""
    found = questions().get(name)
    if found is None:
        raise QueryError(f"there is no question {name!r}", hint=f"there are: {', '.join(questions())}")
    return found
