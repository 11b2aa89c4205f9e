"""`airlock analyze`: what a message does, without any database or running service.

What is heavy is imported when it is needed: scripts call this often.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from decision.analysis.dialects import DIALECTS
from decision.model.errors import AirlockError, AnalysisError, SettingsError

if TYPE_CHECKING:
    from decision.analysis import Analyzer, SessionState
    from decision.model.catalog import CatalogSnapshot
    from decision.sandbox import Sandbox

INDENT = orjson.OPT_INDENT_2


@click.command("analyze")
@click.option("--dialect", type=click.Choice(["postgres", *DIALECTS]), default="postgres", show_default=True,
              help="Whose SQL it is.")  # fmt: skip
@click.option("--catalog", "catalog_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A snapshot by `airlock catalog dump`; without one, no name resolves.")  # fmt: skip
@click.option("--lines", is_flag=True, help="Each line of the input is a message; one document a line.")
@click.option("--session", is_flag=True, help="The lines are messages of one session: what is prepared, declared, "
              "created or set in one is known in the next. Implies --lines.")  # fmt: skip
@click.option("--explain", is_flag=True, help="Draw the facts for people instead of printing JSON.")
def analyze(dialect: str, catalog_file: Path | None, lines: bool, session: bool, explain: bool) -> None:
    """Read SQL from standard input, print its facts: what policies see. Literals never appear.

    The document is {"dialect", "complete", "statements": [{"kinds", "relations", "columns", "output", …}]}. A message
    that can't be understood gives {"error": {"code", "message", "hint"}} in its place, the same words on standard
    error, and exit status 1. Where facts are incomplete ("complete": false), "unresolved" says why; that is no error.

    \b
      echo "delete from orders where true" | airlock analyze --explain
      airlock analyze < migration.sql | jq '.statements[].relations'
      airlock analyze --lines --dialect mysql < queries.txt | jq -c '.statements[].kinds'
      airlock catalog dump "$DSN" --output shop.json
      echo "select * from customers" | airlock analyze --catalog shop.json --explain
    """
    failed = 0
    number = 0
    try:
        snapshot = _snapshot(catalog_file)
        with _analyzer(dialect) as analyzer:
            talk = _Talk(analyzer, snapshot, lines=lines or session, remembers=session, explain=explain)
            for number, text in enumerate(_messages(lines or session), 1):
                failed += not talk.answer(number, text)
    except SettingsError as error:
        _complain(error)
        failed += 1
    if failed:
        if lines or session:
            click.echo(f"{failed} of {number} messages refused", err=True)
        click.get_current_context().exit(1)


def _snapshot(file: Path | None) -> CatalogSnapshot | None:
    if file is None:
        return None
    from decision.analysis.snapshot_json import load

    return load(file.read_bytes())


def _analyzer(dialect: str) -> AbstractContextManager[Analyzer | Sandbox]:
    """PostgreSQL's parser can take any text in this process; the other dialects' runs in one that can be killed."""
    if dialect in DIALECTS:
        from decision.sandbox import Sandbox

        return Sandbox(dialect)
    from decision.analysis import Analyzer

    return nullcontext(Analyzer(dialect))


def _messages(lines: bool) -> Iterator[bytes]:
    """The whole input, or its lines but the blank ones, each as soon as it is there."""
    source = sys.stdin.buffer
    if not lines:
        yield source.read()
        return
    for line in source:
        if line.strip():
            yield line.rstrip(b"\r\n")


class _Talk:
    """Answers one message after the other, on standard output, at once."""

    def __init__(
        self,
        analyzer: Analyzer | Sandbox,
        snapshot: CatalogSnapshot | None,
        *,
        lines: bool,
        remembers: bool,
        explain: bool,
    ) -> None:
        from decision.analysis import SessionState

        self.analyzer = analyzer
        self.snapshot = snapshot
        self.lines = lines
        self.remembers = remembers
        self.explain = explain
        self.state: SessionState = SessionState()

    def answer(self, number: int, text: bytes) -> bool:
        """Whether the message was understood."""
        try:
            analysis = self.analyzer.analyze(text, self.snapshot, self.state)
        except AnalysisError as error:
            self._refused(number, error)
            return False
        if self.remembers:
            self.state = self.state.advance(analysis, "I")
        if self.explain:
            from decision.analysis.explain import explain

            self._say((explain(analysis.facts) + ("\n" if self.lines else "")).encode())
        elif self.lines:
            self._say(analysis.document + b"\n")
        else:
            self._say(orjson.dumps(orjson.loads(analysis.document), option=INDENT) + b"\n")
        return True

    def _refused(self, number: int, error: AnalysisError) -> None:
        about: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
        if self.lines:
            about["line"] = number
        if self.explain:
            self._say(f"refused ({error.code}): {error.message}\n{chr(10) * self.lines}".encode())
        else:
            self._say(orjson.dumps({"error": about}, option=0 if self.lines else INDENT) + b"\n")
        if not self.lines:
            _complain(error)

    def _say(self, out: bytes) -> None:
        sys.stdout.buffer.write(out)
        sys.stdout.buffer.flush()


def _complain(error: AirlockError) -> None:
    """On standard error: the code, what is wrong, and the way out."""
    click.secho(f"error ({error.code}): ", fg="red", nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.secho("hint: ", fg="cyan", nl=False, err=True)
        click.echo(error.hint, err=True)
