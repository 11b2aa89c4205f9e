"""`airlock analyze`: what a message does, without any database or running service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import click
import orjson

from decision.analysis import Analyzer, SessionState
from decision.analysis.dialects import DIALECTS
from decision.analysis.snapshot_json import load
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import AnalysisError
from decision.model.facts import Facts, Statement
from decision.sandbox import Sandbox

INDENT = orjson.OPT_INDENT_2


@click.command("analyze")
@click.option("--dialect", type=click.Choice(["postgres", *DIALECTS]), default="postgres", show_default=True,
              help="Whose SQL it is.")  # fmt: skip
@click.option("--catalog", "catalog_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A snapshot by `airlock catalog dump`; without one, no name resolves.")  # fmt: skip
@click.option("--lines", is_flag=True, help="Each line of the input is a message; one document a line.")
@click.option("--explain", is_flag=True, help="Say it in words instead of JSON.")
def analyze(dialect: str, catalog_file: Path | None, lines: bool, explain: bool) -> None:
    """Read SQL from standard input, print its facts: what policies see. Literals never appear.

    A message that can't be understood gives {"error": …} and exit status 1.

    \b
      echo "delete from orders where true" | airlock analyze --explain
    """
    snapshot = load(catalog_file.read_bytes()) if catalog_file else None
    failed = False
    with Sandbox(dialect) if dialect in DIALECTS else nullcontext(Analyzer(dialect)) as analyzer:
        for text in _messages(lines):
            failed = not _one(analyzer, text, snapshot, lines=lines, explain=explain) or failed
    if failed:
        click.get_current_context().exit(1)


def _messages(lines: bool) -> Iterator[bytes]:
    source = sys.stdin.buffer
    if not lines:
        yield source.read()
        return
    for line in source:
        if line.strip():
            yield line.rstrip(b"\r\n")


def _one(
    analyzer: Analyzer | Sandbox, text: bytes, snapshot: CatalogSnapshot | None, *, lines: bool, explain: bool
) -> bool:
    out = sys.stdout.buffer
    try:
        analysis = analyzer.analyze(text, snapshot, SessionState())
    except AnalysisError as error:
        document = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        said = f"refused ({error.code}): {error.message}\n" if explain else ""
        out.write(said.encode() if explain else orjson.dumps(document, option=0 if lines else INDENT) + b"\n")
        return False
    if explain:
        out.write(("\n".join(in_words(analysis.facts)) + "\n").encode())
    elif lines:
        out.write(analysis.document + b"\n")
    else:
        out.write(orjson.dumps(orjson.loads(analysis.document), option=INDENT) + b"\n")
    out.flush()
    return True


def in_words(facts: Facts) -> list[str]:
    """The facts as indented lines for people."""
    said: list[str] = []
    for number, statement in enumerate(facts.statements, 1):
        said.append(f"statement {number}: {', '.join(kind.value for kind in statement.kinds) or 'nothing'}")
        said += [f"  {line}" for line in _statement(statement)]
    if not facts.statements:
        said.append("no statement")
    if not facts.complete:
        said.append("Not everything is known: it would be denied unless a rule allows exactly that.")
    return said


def _statement(statement: Statement) -> Iterator[str]:
    yield f"text: {statement.normalized_text}"
    for operation in statement.operations:
        objects = ", ".join(_name(one.schema, one.name) for one in operation.objects)
        options = f" ({', '.join(operation.options)})" if operation.options else ""
        yield f"{operation.verb} {operation.object_type} {objects}{options}".rstrip()
    for relation in statement.relations:
        tags = f", tagged {', '.join(relation.tags)}" if relation.tags else ""
        access = " and ".join(one.value for one in relation.access)
        yield f"{access} {relation.kind.value} {_name(relation.schema, relation.name)} ({relation.via.value}{tags})"
    for column in statement.output:
        sources = ", ".join(_name(one.schema, one.table, one.column) for one in column.sources) or "no column"
        notes = [*column.tags, *(["opaque"] if column.opaque else [])]
        tags = f", {', '.join(notes)}" if notes else ""
        yield f"output {column.ordinal} {column.name!r} from {sources} ({column.transform.value}{tags})"
    for function in statement.functions:
        effects = ", ".join(effect.value for effect in function.effects)
        yield f"calls {_name(function.schema, function.name)}" + (f": {effects}" if effects else "")
    if statement.predicate is not None:
        yield f"rows: {_rows(statement)}"
    if statement.flags:
        yield f"flags: {', '.join(statement.flags)}"
    for gap in statement.unresolved:
        yield f"unknown: {gap.what} ({gap.why})"


def _rows(statement: Statement) -> str:
    predicate = statement.predicate
    assert predicate is not None
    if not predicate.present:
        said = "all, there is no WHERE"
    elif predicate.always_true:
        said = "all, the WHERE always holds"
    elif predicate.pinned:
        said = f"those with one value of {', '.join(predicate.pinned)}" + (" (a key)" if predicate.pins_key else "")
    else:
        said = "those that a condition selects, which pins no column"
    return said + (f"; at most {predicate.limit}" if predicate.limit is not None else "")


def _name(*parts: str) -> str:
    return ".".join(part for part in parts if part)
