"""What a running Airlock recorded, exported: real events are valid records, from both sources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.support import Running, eventually
from tests.support.ocsf_schema import modelled, problems

pytestmark = pytest.mark.postgres
LITERAL = "walrus-1147"


def exported(up: Running, form: str, *arguments: str) -> list[dict[str, Any]]:
    done = up.airlock("export", "--data-dir", str(up.data_dir), "--format", form, *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_an_agent_did_is_a_valid_record_from_either_source(up: Running, agent: str) -> None:
    """A masked read, a denial and a syntax error: who, for whom, what and how it ended, without a literal."""
    up.psql(agent, "-c", f"SELECT email FROM customers WHERE id < 3 AND '{LITERAL}' <> ''")
    up.psql(agent, "-c", "DROP TABLE payments")
    up.psql(agent, "-c", f"SELEC '{LITERAL}'")

    def ours(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in records if one.get("actor", {}).get("user", {}).get("name") == "report-bot"]

    from_journal = exported(up, "ocsf", "--source", "journal", "--from", "5m")
    last = from_journal[-1]["metadata"]["uid"]

    def stored() -> list[dict[str, Any]]:
        found = exported(up, "ocsf", "--from", "5m")
        return found if last in {one["metadata"]["uid"] for one in found} else []

    from_store = eventually(stored, what="the audit store has them")
    known = {one["metadata"]["uid"]: one for one in from_store}
    assert all(known[one["metadata"]["uid"]] == one for one in from_journal)
    for record in from_store:
        assert problems(record) == []
        modelled(record)
    assert LITERAL not in json.dumps(from_store)
    decided = [one for one in ours(from_store) if one["class_uid"] == 6005 and "action" in one]
    assert {one["action"] for one in decided} >= {"Allowed", "Denied"}
    assert {one.get("status_code") for one in decided} >= {"syntax_refused"}
    assert all(one["unmapped"]["on_behalf_of"][0]["subject"] == "alice" for one in decided)
    ran = [one for one in ours(from_store) if one["class_uid"] == 6005 and one["unmapped"].get("masked_values")]
    assert (ran and "?" in ran[-1]["query_info"]["query_string"]) or "$1" in ran[-1]["query_info"]["query_string"]


def test_the_stored_bytes_come_through(up: Running) -> None:
    """CloudEvents carry them; as JSON they are the same events."""
    events = exported(up, "cloudevents", "--source", "journal")
    plain = exported(up, "jsonl", "--source", "journal")[: len(events)]
    assert [one["id"] for one in events] == [one["id"] for one in plain]
    assert [int(one["sequence"]) for one in events] == list(range(1, len(events) + 1))
