"""The command line `airlock`: finds the command, runs it, turns errors into an exit status.

Exit status: 0 done; 1 refused or failed; 2 used wrongly. A command's module is imported only when it runs, so that
help and shell completion answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, cast

import click

from decision.model.errors import AirlockError


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and what the list of commands says of it."""

    module: str
    attribute: str
    summary: str
    section: str


RUN, USE, DECIDE, AUDIT, LOOK = (
    "Run Airlock",
    "Connect through it",
    "Policies and approvals",
    "Ask the audit trail",
    "Look after it",
)

COMMANDS: dict[str, Entry] = {
    "up": Entry("up", "up", "Everything on this machine, with a demo database unless you name yours.", RUN),
    "serve": Entry("serve", "serve", "The decision service alone, for enforcement points elsewhere.", RUN),
    "proxy": Entry("proxy", "proxy", "An enforcement point for PostgreSQL alone.", RUN),
    "ingest": Entry("ingest", "ingest", "The projection of the journal into the audit store alone.", RUN),
    "console": Entry("console", "console", "The pages for people alone: live feed, approvals, overview.", RUN),
    "token": Entry("token", "token", "A token of the development issuer, for use as a password.", USE),
    "psql": Entry("psql", "psql", "psql through Airlock, signed in.", USE),
    "demo": Entry("demo", "demo", "A story against the running system: masked, refused, held, recorded.", USE),
    "analyze": Entry("analyze", "analyze", "What a statement does: SQL on standard input, facts on standard output.",
                     DECIDE),
    "policy": Entry("policy", "policy", "Check, test and explain policies.", DECIDE),
    "approvals": Entry("approvals", "approvals", "List, show, approve and deny what is held.", DECIDE),
    "query": Entry("query", "query", "Ask the audit store in SQL.", AUDIT),
    "tail": Entry("tail", "tail", "Events as they happen.", AUDIT),
    "alerts": Entry("alerts", "alerts", "What was detected: list, show and follow it.", AUDIT),
    "prove": Entry("prove", "prove", "The proof that an event is in the log, as a file that anyone can check.", AUDIT),
    "log": Entry("log", "log", "The tamper-evident log: what it covers, its keys, its witnesses.", AUDIT),
    "verify": Entry("verify", "verify", "Check offline that nothing in the audit trail was changed, dropped or put in.",
                    AUDIT),
    "export": Entry("export", "export", "Events for other systems: OCSF, CloudEvents, OpenTelemetry, JSON.", AUDIT),
    "evidence": Entry("evidence", "evidence", "Events as evidence, in a file that proves itself.", AUDIT),
    "keys": Entry("keys", "keys", "Read and erase the exact texts of statements, where they are kept.", AUDIT),
    "rebuild": Entry("rebuild", "rebuild", "Make the audit store again from the journal.", AUDIT),
    "report": Entry("report", "report", "Ask a standard question: who read a table, what someone did …", AUDIT),
    "retention": Entry("retention", "retention", "How long the audit store keeps what, and legal holds.", AUDIT),
    "kafka": Entry("kafka", "kafka", "Check Kafka and its topics, make them, export what they hold.", LOOK),
    "iceberg": Entry("iceberg", "iceberg", "The audit store as Iceberg tables, for Trino, Spark and others.", AUDIT),
    "config": Entry("config", "config", "Check and show the settings.", LOOK),
    "catalog": Entry("catalog", "catalog", "Dump what analysis knows of a database.", LOOK),
    "doctor": Entry("doctor", "doctor", "Look for what is missing or wrong on this machine.", LOOK),
}  # fmt: skip


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module: Any = importlib.import_module(f"airlock.commands.{entry.module}")
        return cast(click.Command, getattr(module, entry.attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a suggestion for a misspelt name."""
        import difflib

        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section],
                    col_spacing=3,
                )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every command has --help. Start with: airlock up, then airlock demo in a second terminal.",
)
@click.version_option(package_name="airlock", prog_name="airlock")
def cli() -> None:
    """Airlock stands in front of a database: a statement enters, is understood, decided, recorded, and only then
    passes."""


def complain(message: str, hint: str = "") -> None:
    """Say on standard error what went wrong and what to do."""
    for word, text, colour in (("error", message, "red"), ("hint", hint, "cyan")):
        if text:
            click.secho(f"{word}: ", fg=colour, nl=False, err=True)
            click.echo(text, err=True)


def run(arguments: list[str]) -> int:
    """Run the command line; its exit status."""
    try:
        result = cli.main(arguments, prog_name="airlock", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a subcommand
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        if error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        where = error.ctx.command_path if error.ctx is not None else "airlock"
        complain(error.format_message(), f"{where} --help shows what it takes")
        return 2
    except click.ClickException as error:
        message, _, hint = error.format_message().partition("\nHint: ")
        complain(message, hint)
        return error.exit_code
    except AirlockError as error:
        complain(error.message, error.hint)
        return 1
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def main() -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its notes about threads and forks are for its developers
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
