"""Running effect cases through a real Airlock: what the client saw, what the audit says, what became of the data."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from struct import pack
from typing import Any

import psycopg
from psycopg import pq

from airlock.demo.postgres import QUIET, BundledPostgres
from enforcement.postgres.protocol import messages
from tests.clients.raw import RawClient
from tests.e2e.support import ROOT, Running, eventually, running, world_reachable_folder

CASES = ROOT / "tests" / "cases"
# What the masked columns of tests/cases/effects/schema.sql look like in clear.
CLEAR = re.compile(r"917-00-\d{4}|u\d+@clear|SCRAM-SHA-256\$")
GROUPS = {"analyst": ("human", "support"), "dba": ("human", "dba"), "agent": ("agent", ""),
          "reader": ("human", "pii_readers,secret_readers")}  # fmt: skip
_TABLES = ("users", "users_part", "orders", "secrets", "public_notes", "audit", "t2", "t", "docs", "b")
# Every catalog that an allowed statement of these cases, or one that slipped through, could have changed; of the
# large ones what users made.
_CATALOGS = (
    "pg_class WHERE relpersistence <> 't'",
    "pg_attribute WHERE attrelid >= 16384 AND attrelid IN (SELECT oid FROM pg_class WHERE relpersistence <> 't')",
    "pg_proc WHERE oid >= 16384 AND pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_temp')",
    "pg_type WHERE oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '_temp_')",
    "pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'",
    "pg_trigger WHERE tgrelid NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')",
    *("pg_rewrite", "pg_policy", "pg_cast", "pg_language", "pg_event_trigger", "pg_authid",
      "pg_auth_members", "pg_db_role_setting", "pg_default_acl", "pg_database", "pg_extension", "pg_tablespace",
      "pg_foreign_server", "pg_foreign_data_wrapper", "pg_user_mapping", "pg_publication", "pg_subscription",
      "pg_statistic_ext", "pg_largeobject_metadata", "pg_largeobject", "pg_file_settings", "pg_replication_slots",
      "pg_prepared_xacts", "pg_description"),
)  # fmt: skip


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text("utf-8").splitlines()]


@dataclass
class Seen:
    """What came of one text: everything that arrived, the last error, whether the database is as before."""

    states: list[str] = field(default_factory=list)
    text: str = ""
    unchanged: bool = True
    asked: bool = True  # whether the audit must hold a decision: not if the protocol was broken
    effects: list[str] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)

    @property
    def effect(self) -> str:
        """The strictest decision of the session, as the audit has it; `refused` if it came to none."""
        return next((one for one in ("deny", "hold", "allow") if one in self.effects), "refused")


@dataclass
class Theatre:
    """A running Airlock in front of a database with the cases' schema, and a way past it to look at the database."""

    up: Running
    past: psycopg.Connection
    tokens: dict[str, str]

    def digest(self) -> str:
        """Of the rows of all tables and of the catalog."""
        sources = [*_TABLES, *_CATALOGS]
        named = [f"{source} ".replace(" ", " r ", 1) for source in sources]
        parts = [f"SELECT md5(string_agg(r::text, '' ORDER BY r::text)) FROM {source}" for source in named]
        parts.append("SELECT last_value::text || is_called FROM users_id_seq")
        row = self.past.execute(" UNION ALL ".join(parts)).fetchall()  # type: ignore[arg-type]
        return str(row)

    def play(self, who: str, mark: str, text: str, parameters: list[Any] | None = None) -> Seen:
        """One text in a session of its own, by the simple protocol unless there are parameters."""
        if "\0" in text:
            return self._play_raw(who, mark, text)
        seen = Seen()
        arrived: list[str] = []
        conninfo = self.up.conninfo(self.tokens[who], "cases") + f" application_name={mark}"
        connection = pq.PGconn.connect(conninfo.encode())
        assert connection.status == pq.ConnStatus.OK, connection.error_message
        connection.notice_handler = lambda result: arrived.append(_error(result))
        try:
            if parameters is None:
                connection.send_query(text.encode())
            else:
                connection.send_query_params(text.encode(), [str(value).encode() for value in parameters])
            _collect(connection, arrived, seen.states)
        finally:
            connection.finish()
        seen.text = "\n".join(arrived)
        return seen

    def _play_raw(self, who: str, mark: str, text: str) -> Seen:
        client = _Raw(self, who, mark)
        body = text.encode() + b"\0"
        client.send(b"Q" + pack("!I", len(body) + 4) + body)
        answer = b""
        with suppress(EOFError):
            while answer[-6:-1] != b"Z\0\0\0\5":
                answer += client.message()
        client.socket.close()
        states = [one.decode() for one in re.findall(rb"\0C([0-9A-Z]{5})\0", answer)]
        return Seen(states, answer.decode("utf-8", "replace"), asked=False)


class _Raw(RawClient):
    """libpq ends a text at a NUL byte; this sends it."""

    def __init__(self, stage: Theatre, who: str, mark: str) -> None:
        self._token = stage.tokens[who]
        super().__init__(stage.up.host, stage.up.port, "cases", application_name=mark)

    def _start(self, parameters: dict[str, str]) -> None:
        self.send(messages.startup(parameters))
        while (raw := self.message())[:1] not in b"ZE":
            if raw == messages.ASK_CLEARTEXT_PASSWORD:
                self.send(messages.password(self._token.encode()))


def _error(result: pq.abc.PGresult) -> str:
    part = pq.DiagnosticField
    fields = (part.SEVERITY, part.SQLSTATE, part.MESSAGE_PRIMARY, part.MESSAGE_DETAIL, part.MESSAGE_HINT, part.CONTEXT)
    return " ".join((result.error_field(one) or b"").decode("utf-8", "replace") for one in fields)


def _collect(connection: pq.PGconn, arrived: list[str], states: list[str]) -> None:
    """Every result of what was sent: rows, copies and errors as text; the SQLSTATE of each."""
    while (result := connection.get_result()) is not None:
        match result.status:
            case pq.ExecStatus.COPY_OUT:
                while (chunk := connection.get_copy_data(0))[0] > 0:
                    arrived.append(bytes(chunk[1]).decode("utf-8", "replace"))
            case pq.ExecStatus.COPY_IN:
                connection.put_copy_end()
            case pq.ExecStatus.FATAL_ERROR:
                states.append((result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode())
                arrived.append(_error(result))
            case _:
                for row in range(result.ntuples):
                    cells = (result.get_value(row, column) for column in range(result.nfields))
                    arrived.append("|".join((cell or b"").decode("utf-8", "replace") for cell in cells))


@contextmanager
def theatre() -> Iterator[Theatre]:
    """The bundled policies, with less waiting: holds answer at once, and an agent's statement ends sooner."""
    folder = world_reachable_folder()
    bundle = folder / "rego"
    shutil.copytree(ROOT / "rego", bundle)
    settings = json.loads((bundle / "data.json").read_text())
    settings["settings"]["changes"]["wait_s"] = settings["settings"]["mass_change"]["wait_s"] = 0
    limits = settings["settings"]["agents"]["limits"]
    limits["timeout_ms"] //= 15
    (bundle / "data.json").write_text(json.dumps(settings))
    still = {**QUIET, "autovacuum": "off", "fsync": "off"}  # nothing but statements changes the catalog
    server = BundledPostgres(folder / "postgres", settings=still)
    server.start()
    try:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as past:
            past.execute("CREATE DATABASE cases")
        with psycopg.connect(server.dsn("cases"), autocommit=True) as past:
            past.execute((CASES / "effects" / "schema.sql").read_bytes())
            config = folder / "airlock.toml"
            config.write_text(
                f'[[database]]\nname = "cases"\nenvironment = "prod"\nupstream = "{server.dsn("cases")}"\n'
                f'[policy]\nbundle = "{bundle}"\n'
            )
            with running("--config", str(config), "--listen", "127.0.0.1:0", data_dir=folder / "data") as up:
                tokens = {who: up.token(who, kind, groups=groups) for who, (kind, groups) in GROUPS.items()}
                yield Theatre(up, past, tokens)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def decided(up: Running, seen: dict[str, Seen]) -> None:
    """Add to each what the audit says of its session, once the projection holds them all."""
    asked = {mark for mark, one in seen.items() if one.asked}
    question = "SELECT client_application a, effect e, rules r, error_code c FROM decisions WHERE database = 'cases'"

    def all_there() -> list[dict[str, Any]]:
        rows = up.query(question)
        return rows if {row["a"] for row in rows} >= asked else []

    for row in eventually(all_there, deadline_s=30, what="every case in the audit"):
        if row["a"] in seen:
            seen[row["a"]].effects.append(row["e"])
            seen[row["a"]].rules |= {*(row["r"] or ()), row["c"] or ""}


def perform(cases: list[dict[str, Any]]) -> dict[str, Seen]:
    """Each case (`case-ID`) and its twin (`twin-ID`), one after the other on one database."""
    seen: dict[str, Seen] = {}
    with theatre() as stage:
        before = stage.digest()
        for case in cases:
            for mark, text in ((f"case-{case['id']}", case["sql"]), (f"twin-{case['id']}", case["twin"])):
                parameters = case.get("parameters") if mark.startswith("case") else None
                seen[mark] = stage.play(case["principal"], mark, text, parameters)
                after = stage.digest()
                seen[mark].unchanged = after == before
                before = after
        decided(stage.up, seen)
    return seen
