"""Ways to get at what is masked or closed, as hostile but authenticated people and agents try them.

A case of `tests/cases/attacks` runs its statements in one session of the production database, or of the one that `in`
names. `no clear value`: whatever arrives (rows, COPY, errors, notices) holds no value of a masked column. `refused`:
that, and each statement fails. Its `innocent` twin, run in the same session afterwards, works. `alike` are guesses at
a masked value, after `run`: past Airlock the server tells the right one from the wrong one, through Airlock all have
the same answer.
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.support import Running

CASES = Path(__file__).resolve().parents[1] / "cases" / "attacks"
# What the demo's masked columns look like in clear; its values are made after these patterns (airlock/demo/shop.sql).
CLEAR = re.compile(
    r"[a-z]+\.[a-z]+\d+@"  # emails
    r"|\+1 \d{3} 555-01\d\d"  # phones
    r"|ak_demo_[0-9a-f]+"  # keys
    r"|\b9\d\d-\d\d-\d{4}\b"  # national ids
    r"|\bDE\d{20}\b"  # ibans
    r"|203\.0\.113\.\d+"  # addresses of events
    r"|SCRAM-SHA-256\$"  # the database's own
)


def load(*, guesses: bool) -> list[Any]:
    found = []
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            case = json.loads(line)
            if (case["want"] == "alike") is guesses:
                found.append(pytest.param(case, id=f"{file.stem}: {case['note']}"))
    return found


def without_ids(text: str) -> str:
    """A message as it would be for any decision and any server process."""
    return re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|time=[\d.]+|[\d.]+ ms", "", text)


class Session:
    """A connection that keeps all that arrives; what would be held is cancelled at once."""

    def __init__(self, conninfo: str, *, extended: bool) -> None:
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.extended = extended
        self.seen: list[str] = []
        self.connection.add_notice_handler(self.notice)

    def notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self.seen.append(f"{diagnostic.message_primary} {diagnostic.message_detail} {diagnostic.context}")
        if "waiting for approval" in (diagnostic.message_primary or ""):
            threading.Thread(target=self.connection.cancel).start()

    def run(self, statement: str) -> bool:
        """Whether it worked."""
        try:
            if re.match(r"COPY .* TO STDOUT", statement, re.DOTALL):
                with self.connection.cursor().copy(statement) as copy:
                    self.seen.append(b"".join(bytes(part) for part in copy).decode("utf-8", "replace"))
            else:
                cursor = self.connection.cursor(binary=True) if self.extended else psycopg.ClientCursor(self.connection)
                cursor.execute(statement)
                self.seen.append(str(cursor.fetchall() if cursor.description else cursor.statusmessage))
        except psycopg.Error as error:
            self.seen.append(" ".join(str(part) for part in (error, error.diag.context, error.diag.internal_query)))
            return False
        return True


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended binary"])
@pytest.mark.parametrize("case", load(guesses=False))
def test_what_is_closed_stays_closed(up: Running, agent: str, human: str, case: dict[str, Any], extended: bool) -> None:
    """By this way nothing arrives in clear, and its innocent twin works."""
    session = Session(up.conninfo(agent if case["as"] == "agent" else human, case.get("in", "shop")), extended=extended)
    with session.connection:
        worked = [session.run(statement) for statement in case["run"]]
        assert CLEAR.findall("\n".join(session.seen)) == []
        if case["want"] == "refused":
            assert not any(worked), session.seen
        assert session.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        for statement in case.get("innocent", []):
            assert session.run(statement), session.seen[-1]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended binary"])
@pytest.mark.parametrize("case", load(guesses=True))
def test_a_guess_at_a_masked_value_is_not_answered(
    up: Running, agent: str, human: str, case: dict[str, Any], extended: bool
) -> None:
    """Whether the guess is right makes no difference to what arrives, and its innocent twin works."""
    told = answers(Session(up.demo_dsn(case.get("in", "shop")), extended=extended), case)
    assert len(set(told)) == len(told), f"the server itself does not tell these apart: {told}"
    session = Session(up.conninfo(agent if case["as"] == "agent" else human, case.get("in", "shop")), extended=extended)
    with session.connection:
        assert len(set(answers(session, case))) == 1, session.seen
        assert CLEAR.findall("\n".join(session.seen)) == []
        for statement in case.get("innocent", []):
            assert session.run(statement), session.seen[-1]


def answers(session: Session, case: dict[str, Any]) -> list[str]:
    """All that arrives for each of the guesses, each rolled back."""
    for statement in case.get("run", []):
        session.run(statement)
    found = []
    for guess in case["alike"]:
        session.run("BEGIN")
        before = len(session.seen)
        worked = [session.run(statement) for statement in ([guess] if isinstance(guess, str) else guess)]
        found.append(without_ids(str((worked, session.seen[before:]))))
        session.run("ROLLBACK")
    return found
