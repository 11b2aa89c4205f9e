"""The demo's story, played against a running Airlock: every line that is shown comes from the real system."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, Queue

import psycopg

Say = Callable[[str, str], None]  # (text, colour or empty)
Approve = Callable[[str], None]
Ask = Callable[[str], tuple[Sequence[str], list[tuple[object, ...]]]]

APPROVAL = re.compile(r"approval ([0-9a-f-]{36})")
HELD_S = 30.0
PROJECTED_S = 10.0


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks in a scene; `human` is whom an agent acts for."""

    subject: str
    kind: str = "human"
    groups: tuple[str, ...] = ()
    human: str = ""

    @property
    def title(self) -> str:
        return f"{self.subject}, an agent that acts for {self.human}" if self.human else self.subject


ALICE = Person("alice", groups=("support",))
BOT = Person("report-bot", "agent", human="alice")
PRIYA = Person("priya", groups=("pii_readers",))
DORA = Person("dora", groups=("developers",))
DAN = Person("dan", groups=("dba",))


@dataclass(frozen=True, slots=True)
class Scene:
    title: str
    person: Person
    statements: tuple[str, ...]
    intent: str = ""


SCENES = (
    Scene("A person works. What she does is allowed and recorded; personal data comes masked.", ALICE, (
        "SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY 2 DESC LIMIT 3",
        "SELECT id, full_name, email, phone FROM customers ORDER BY id LIMIT 3",
    ), "ticket triage"),
    Scene("Her AI agent reads with her consent, and sees no more than she does.", BOT, (
        "SELECT country, count(*) AS customers FROM customers GROUP BY country ORDER BY 2 DESC LIMIT 3",
        "SELECT id, email, phone FROM customers ORDER BY id LIMIT 2",
        "SELECT id, upper(email) AS another_way FROM customers ORDER BY id LIMIT 2",
    ), "weekly report"),
    Scene("Then the agent goes astray. Each statement is refused with its reason, and the session goes on.", BOT, (
        "DROP TABLE payments",
        "UPDATE customers SET email = 'x'",
        "DELETE FROM orders WHERE true",
        "SELECT count(*) AS payments_still_there FROM payments",
    ), "clean up"),
    Scene("Somebody whose job it is sees the data in clear. That is recorded, too.", PRIYA, (
        "SELECT id, full_name, email FROM customers ORDER BY id LIMIT 2",
    ), "customer asked for a call back"),
)  # fmt: skip

CHANGE = "CREATE INDEX IF NOT EXISTS products_category ON products (category)"
QUESTIONS = (  # title, question, and what the story's last event puts into the answer
    ("What was refused, to whom, why, by which rules",
     "SELECT who, statement, rules[1] AS rule, intent FROM denials ORDER BY time DESC LIMIT 3", "DELETE"),
    ("Who saw which columns only masked",
     "SELECT who, sources[1] AS source, method, sum(rows) AS rows FROM masked_reads GROUP BY ALL ORDER BY ALL LIMIT 6",
     BOT.subject),
    ("Who changed the schema, and who agreed",
     "SELECT requester, statement, state, votes, reasons FROM approvals ORDER BY time DESC LIMIT 1", "used"),
)  # fmt: skip


class Story:
    """`connect` opens a session as somebody; `approve` consents to a held statement as DAN; `ask` asks the audit store;
    `show` prints rows."""

    def __init__(
        self,
        connect: Callable[[Person, str], psycopg.Connection],
        approve: Approve,
        ask: Ask,
        say: Say,
        show: Callable[[Sequence[str], list[tuple[object, ...]]], None],
    ) -> None:
        self._connect = connect
        self._approve = approve
        self._ask = ask
        self._say = say
        self._show = show

    def play(self) -> int:
        """Play everything; how many statements were refused. Raises psycopg.Error where no session opens."""
        refused = 0
        for number, scene in enumerate(SCENES, 1):
            self._say(f"\n{number}. {scene.title}", "bold")
            with self._connect(scene.person, scene.intent) as session:
                for statement in scene.statements:
                    refused += not self._run(session, scene.person, statement)
        self._say(f"\n{len(SCENES) + 1}. A schema change waits for somebody else's consent.", "bold")
        self._held()
        self._say(f"\n{len(SCENES) + 2}. All of it can be asked for.", "bold")
        for title, question, last in QUESTIONS:
            self._say(f'\n{title}:\n  airlock query "{question}"', "cyan")
            self._audit(question, last)
        return refused

    def _run(self, session: psycopg.Connection, person: Person, statement: str) -> bool:
        self._say(f"\n{person.subject}=> {statement};", "cyan")
        try:
            cursor = session.execute(statement.encode())
            if cursor.description is None:
                self._say(cursor.statusmessage or "", "")
            else:
                self._show([column.name for column in cursor.description], cursor.fetchall())
            return True
        except psycopg.errors.InsufficientPrivilege as error:
            diagnosis = error.diag
            self._say(f"ERROR:  {diagnosis.message_primary}", "red")
            if diagnosis.message_hint:
                self._say(f"HINT:  {diagnosis.message_hint}", "yellow")
            return False

    def _held(self) -> None:
        """Run CHANGE as DORA, who is kept waiting until DAN consents."""
        notices: Queue[str] = Queue()
        with self._connect(DORA, "faster product search") as session, ThreadPoolExecutor(1) as pool:
            session.add_notice_handler(lambda notice: notices.put(notice.message_primary or ""))
            self._say(f"\n{DORA.subject}=> {CHANGE};", "cyan")
            running = pool.submit(session.execute, CHANGE.encode())
            approval = self._await_notice(notices, running)
            if approval:
                self._say(f"\ndan$ airlock approvals approve {approval} --subject dan --groups dba", "cyan")
                self._approve(approval)
            try:
                self._say(running.result(HELD_S).statusmessage or "", "green")
            except psycopg.Error as error:
                self._say(f"ERROR:  {error.diag.message_primary}", "red")

    def _await_notice(self, notices: Queue[str], running: Future[psycopg.Cursor]) -> str:
        """The id of the approval that the client is told to wait for; empty when it need not wait."""
        deadline = time.monotonic() + HELD_S
        while time.monotonic() < deadline:
            try:
                text = notices.get(timeout=0.1)
            except Empty:
                if running.done():
                    return ""
                continue
            self._say(f"NOTICE:  {text}", "yellow")
            found = APPROVAL.search(text)
            if found:
                return found[1]
        return ""

    def _audit(self, question: str, last: str) -> None:
        """Ask once the projection has caught up (usually within a second): when `last` stands in the answer."""
        deadline = time.monotonic() + PROJECTED_S
        while True:
            columns, rows = self._ask(question)
            if any(last in str(row) for row in rows) or time.monotonic() > deadline:
                self._show(columns, rows)
                return
            time.sleep(0.1)
