"""What is mutated: the statements of the cases, and PostgreSQL's own regression statements where they were fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pglast import parser

CASES = Path(__file__).parents[1] / "cases"
_TOKEN = re.compile(r"\s+|\w+|\$\w*\$|.", re.DOTALL)


def cases() -> list[str]:
    """The statements that the repository holds."""
    found = [json.loads(line)["sql"] for line in (CASES / "postgres.jsonl").read_text().splitlines()]
    for line in (CASES / "dialects.jsonl").read_text().splitlines():
        found.append(json.loads(line)["sql"])
    forms = json.loads((CASES / "analysis" / "redact.json").read_text())
    constants = forms["texts"] + forms["constants"] + forms["numbers"]
    for number, statement in enumerate(
        forms["statements"] + forms["statements_of_texts"] + forms["statements_of_strings"]
    ):
        found.append(statement.replace("{l}", constants[number % len(constants)]).replace("{s}", "1"))
    return found


def regression(folder: Path | None) -> list[str]:
    """Each statement of the *.sql files in `folder`; none without it."""
    found: list[str] = []
    for path in sorted(folder.glob("*.sql")) if folder is not None else ():
        text = "\n".join(line for line in path.read_text(errors="replace").splitlines() if not line.startswith("\\"))
        try:
            found += [one for one in parser.split(text, with_parser=False) if len(one) < 8192]
        except parser.ParseError:
            found += [one for one in text.split(";\n") if len(one) < 8192]
    return found


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)
