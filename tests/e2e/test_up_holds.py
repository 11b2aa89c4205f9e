"""A schema change in production waits for another person, over the native protocol."""

from __future__ import annotations

import re
import threading

import psycopg
import pytest

from tests.e2e.support import Running, eventually

CHANGE = "ALTER TABLE support_tickets ADD COLUMN IF NOT EXISTS {} text"


def test_the_client_that_waits_goes_on_when_another_person_approves(up: Running) -> None:
    """NoticeResponse names the approval; granted, the statement runs in the same call."""
    with Waiting(up, CHANGE.format("granted_note")) as waiting:
        up.airlock("approvals", "approve", waiting.approval, "--subject", "dan", "--groups", "dba", "--reason", "ok")
        waiting.ends()
    assert waiting.error is None
    question = f"select state from approvals where approval_id = '{waiting.approval}'"
    eventually(lambda: up.query(question) == [{"state": "used"}], what="the use on record")


def test_the_client_that_waits_learns_of_a_denial(up: Running) -> None:
    """Denied, it says so at once and names the way to the reason."""
    with Waiting(up, CHANGE.format("denied_note")) as waiting:
        up.airlock("approvals", "deny", waiting.approval, "--subject", "dan", "--groups", "dba", "--reason", "not now")
        waiting.ends()
    assert waiting.error is not None
    assert "the approval was denied" in str(waiting.error)
    assert f"airlock approvals show {waiting.approval}" in str(waiting.error)


def test_a_requester_can_not_approve_their_own(up: Running) -> None:
    """Not even as a member of the approving group."""
    with Waiting(up, CHANGE.format("own_note"), groups="dba") as waiting:
        done = up.airlock("approvals", "approve", waiting.approval, "--subject", "dora", "--groups", "dba", check=False)
        assert done.returncode == 1
        assert "own request" in done.stderr
        up.airlock("approvals", "deny", waiting.approval, "--subject", "dan", "--groups", "dba")
        waiting.ends()


class Waiting:
    """A person whose statement is held, in a thread of its own; `approval` is what the notice names."""

    def __init__(self, up: Running, statement: str, groups: str = "developers") -> None:
        self._connection = psycopg.connect(up.conninfo(up.token("dora", groups=groups)), autocommit=True)
        self._connection.add_notice_handler(lambda notice: self._notices.append(str(notice.message_primary)))
        self._notices: list[str] = []
        self.error: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, args=(statement,))

    def _run(self, statement: str) -> None:
        try:
            self._connection.execute(statement.encode())
        except psycopg.Error as error:
            self.error = error

    def __enter__(self) -> Waiting:
        self._thread.start()
        notice = eventually(lambda: self._notices or self.error, what="a notice")
        found = re.search(r"waiting for approval ([0-9a-f-]{36})", str(notice))
        if found is None:
            pytest.fail(f"no approval in {notice}")
        self.approval = found[1]
        return self

    def ends(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        self._connection.close()
