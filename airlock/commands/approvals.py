"""`airlock approvals`: what is held, and consent to it, given to the running decision service."""

from __future__ import annotations

from pathlib import Path

import click

from airlock.commands.common import (
    Row,
    ask_service,
    data_dir_option,
    format_option,
    moment,
    show_rows,
    subject_option,
    token_for,
)
from decision.model.errors import ApprovalError
from decision.model.principal import Principal
from decision.model.session import Approval

COLUMNS = ("approval_id", "state", "requester", "database", "statement", "approvers", "votes", "expires")

groups_option = click.option("--groups", default="dba", show_default=True, metavar="G,…", help="Your groups, likewise.")


@click.group("approvals")
def approvals() -> None:
    """List, show, approve and deny what is held.

    You are the principal of the token in AIRLOCK_TOKEN; without it, of one by the local development issuer.
    """


@approvals.command("list")
@data_dir_option
@subject_option
@groups_option
@click.option("--all", "everything", is_flag=True, help="Also those that are closed.")
@format_option
def list_(data_dir: Path, subject: str, groups: str, everything: bool, form: str) -> None:
    """What waits for an approval that you may see."""
    token = token_for(data_dir, subject, groups)
    found = ask_service(data_dir, lambda port: port.list_approvals(token, include_closed=everything))
    show_rows(COLUMNS, [_row(one) for one in found], form, empty="nothing is waiting")


@approvals.command("show")
@click.argument("approval_id")
@data_dir_option
@subject_option
@groups_option
@format_option
def show(approval_id: str, data_dir: Path, subject: str, groups: str, form: str) -> None:
    """Everything about one approval."""
    token = token_for(data_dir, subject, groups)
    found = ask_service(data_dir, lambda port: port.list_approvals(token, include_closed=True))
    chosen = next((one for one in found if one.approval_id == approval_id), None)
    if chosen is None:
        raise ApprovalError(f"there is no approval {approval_id!r}", hint="airlock approvals list --all")
    row = {
        **_row(chosen),
        "rules": chosen.rules,
        "quorum": chosen.quorum,
        "intent": chosen.intent,
        "ticket": chosen.ticket,
        "requested": moment(chosen.requested_unix_nano),
        "decision_id": chosen.decision_id,
        "session_id": chosen.session_id,
    }
    if form != "table":
        show_rows(tuple(row), [row], form)
        return
    show_rows(("field", "value"), [{"field": key, "value": value} for key, value in row.items()], form)


def _voting(name: str, grant: bool, text: str) -> click.Command:
    @click.command(name, help=text)
    @click.argument("approval_id")
    @click.option("--reason", default="", help="Why; it is recorded.")
    @data_dir_option
    @subject_option
    @groups_option
    @format_option
    def vote(approval_id: str, reason: str, data_dir: Path, subject: str, groups: str, form: str) -> None:
        token = token_for(data_dir, subject, groups)
        one = ask_service(data_dir, lambda port: port.resolve_approval(token, approval_id, grant=grant, reason=reason))
        if form == "table":
            click.echo(f"{one.approval_id} is {one.state.value}: {one.statement}")
            if grant and one.state.value == "granted":
                click.echo("It may be run once, exactly as it was asked for, by who asked for it.")
        else:
            show_rows(COLUMNS, [_row(one)], form)

    return vote


approvals.add_command(_voting("approve", True, "Consent to one statement; never by who asked for it."))
approvals.add_command(_voting("deny", False, "Refuse consent to one statement."))


def _row(one: Approval) -> Row:
    return {
        "approval_id": one.approval_id,
        "state": one.state.value,
        "requester": _who(one.requester),
        "database": one.database,
        "statement": one.statement,
        "approvers": one.approvers,
        "votes": [f"{vote.approver.subject}: {'yes' if vote.granted else 'no'}" for vote in one.votes],
        "expires": moment(one.expires_unix_nano),
    }


def _who(principal: Principal) -> str:
    behind = ", ".join(one.subject for one in principal.on_behalf_of)
    return f"{principal.subject} ({principal.kind.value}" + (f" for {behind})" if behind else ")")
