"""Denial by substitution.

A denied message is replaced by one that can't be parsed, with the decision's id in it; the server answers with a
syntax error, which is rewritten. So the server itself does the ordering, the skip to Sync, the rollback and the
transaction status. In the extended protocol the substitute is a *named* Parse, so that the client's unnamed statement
survives.
"""

from __future__ import annotations

import re
from dataclasses import replace

from decision.model.decision import Decision, PolicyEffect
from decision.model.errors import AirlockError, JournalUnavailable
from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.exchange import Refusal

UNSAFE = re.compile(r"[^0-9A-Za-z-]")
SUBSTITUTE_NAME = b"airlock refused"
FATAL = frozenset({"FATAL", "PANIC"})


def marker(refusal: Refusal) -> bytes:
    """A text that no server can parse; it shows the decision in the server's log."""
    return b"airlock refused " + UNSAFE.sub("", refusal.decision_id or "local").encode("ascii")


def substitute(refusal: Refusal, *, extended: bool) -> bytes:
    if extended:
        return messages.parse(SUBSTITUTE_NAME, marker(refusal))
    return messages.query(marker(refusal))


def error_of(refusal: Refusal) -> bytes:
    return messages.error_response(
        refusal.sqlstate, refusal.message, detail=refusal.detail, hint=refusal.hint, position=refusal.position
    )


def refusal_of(decision: Decision) -> Refusal:
    """The error for a decision that does not let the message pass."""
    rules = ", ".join(dict.fromkeys(result.rule for result in decision.results if result.effect is decision.effect))
    default = "approval is needed" if decision.effect is PolicyEffect.HOLD else "refused by policy"
    detail = f"decision {decision.decision_id}" + (f", rule {rules}" if rules else "")
    if decision.approval_id:
        detail += f", approval {decision.approval_id}"
    return Refusal(
        sqlstate=decision.sqlstate or "42501",
        message=decision.message or default,
        detail=detail,
        hint=decision.hint,
        position=decision.cursor,
        decision_id=decision.decision_id,
    )


def refusal_of_closed(held: Refusal, approval_id: str, state: str) -> Refusal:
    """The error for a hold whose approval was denied or has expired while the client waited."""
    return replace(
        held,
        message=f"the approval was {state}: {held.message}",
        hint=f"airlock approvals show {approval_id} says by whom and why; running the statement again asks anew",
    )


def refusal_of_error(error: Exception) -> Refusal:
    """The error when no decision could be had. Texts of unforeseen exceptions are never shown."""
    if isinstance(error, JournalUnavailable):
        return Refusal("42501", "audit log unavailable", detail=error.message, hint=error.hint or "try again later")
    if isinstance(error, AirlockError):
        return Refusal("42501", f"decision service: {error.message}", hint=error.hint or "try again later")
    return Refusal(
        "42501", "decision service unavailable", detail=type(error).__name__, hint="try again; nothing was executed"
    )


CANCELLED = Refusal("57014", "canceling statement due to user request")
UNKNOWN_STATEMENT = Refusal(
    "26000", "prepared statement does not exist, or was not prepared by a Parse message of this session"
)
UNKNOWN_PORTAL = Refusal("34000", "portal does not exist, or was not made by a Bind message of this session")
STALE_PORTAL = Refusal(
    "34000", "the portal fetches from something that may have changed since it was bound", hint="bind it again"
)
NO_FUNCTION_CALL = Refusal("42501", "function calls by protocol message are not allowed", hint="use SELECT function(…)")
CATALOG_CHANGED = Refusal(
    "40001", "the catalog was changed by another session while this was being decided", hint="run it again"
)
WRONG_READING = Refusal(
    "42501",
    "client_encoding and standard_conforming_strings must stay UTF8 and on",
    hint="statements are analysed as such; connect again",
)


READ_WRITE = Refusal(
    "25006",
    "several statements in one message may not change between read-only and read-write",
    hint="policy lets this run read-only; send the statements one by one",
)


def completed(refusal: Refusal, tag: str) -> Refusal:
    """The same, saying that the statement was completed where that has changed something."""
    if tag.startswith(("SELECT", "FETCH", "COPY", "SHOW")) or not tag:
        return refusal
    return replace(refusal, detail=f"{refusal.detail} The database had completed the statement ({tag}).".strip())


def row_limit(limit: int) -> Refusal:
    return Refusal(
        "54000",
        f"the result has more than the {limit} rows that policy lets out",
        detail=f"The first {limit} rows were sent.",
        hint="narrow the statement, or add LIMIT",
    )


def byte_limit(limit: int) -> Refusal:
    return Refusal(
        "54000",
        f"the result is larger than the {limit} bytes that policy lets out",
        detail="The rows before the limit were sent.",
        hint="narrow the statement, or add LIMIT",
    )


def time_limit(milliseconds: int) -> Refusal:
    return Refusal("57014", f"canceling statement due to the time limit of {milliseconds} ms set by policy")


def withheld(error: AirlockError) -> Refusal:
    return Refusal(
        "42501",
        f"result withheld: {error.message}",
        hint=error.hint or "try again: the catalog may have changed meanwhile",
    )
