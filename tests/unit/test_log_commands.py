"""`airlock prove` and `airlock log`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airlock.commands.log import log
from airlock.commands.prove import prove
from analytics.store import FOLDER, AnalyticsStore
from decision.clock import SystemClock, Uuid7Source
from decision.journal.custody import VERIFIER, Custody
from decision.journal.log_settings import LogSettings, WitnessSettings
from decision.journal.notes import VerifierKey, new_key
from decision.journal.proofs import TlogProof, parse_proof, verify_proof
from decision.journal.tiles import TileFolder, pack_entries
from decision.model.errors import AirlockError, LogDamaged, LogUnavailable, NoteInvalid, ProofInvalid
from decision.model.events import StatementDecided
from ingest.sequencer_thread import STANDING_STILL
from tests.support.analytics_story import story
from tests.support.tlog import published

EVENTS = story(100)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with a log of 700 events and no audit store."""
    published(tmp_path, [EVENTS[:300], EVENTS[300:]])
    return tmp_path


def run(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=True)  # type: ignore[arg-type]


def trusted(data_dir: Path) -> Custody:
    return Custody.of(VerifierKey.parse((data_dir / "log" / VERIFIER).read_text()))


def refused(kind: type[AirlockError], result: Result) -> AirlockError:
    assert isinstance(result.exception, kind), result.exception or result.output
    return result.exception


def test_a_proof_names_its_event_and_verifies_with_the_key_alone(data_dir: Path) -> None:
    """Found by its id in the log itself, where there is no audit store."""
    file = data_dir / "p.tlog-proof"
    done = run(prove, EVENTS[444].draft.id, "--data-dir", data_dir, "-o", file)
    assert done.exit_code == 0 and "leaf 444 of 700" in done.output, done.output
    found = verify_proof(parse_proof(file.read_bytes()), trusted(data_dir))
    assert (found.index, found.raw) == (444, EVENTS[444].raw)


def test_an_event_is_found_by_the_audit_store_and_by_its_bytes(data_dir: Path) -> None:
    """By its id, its decision's, and its bytes: all without reading the log's entries."""
    with AnalyticsStore(data_dir / FOLDER, SystemClock(), Uuid7Source()) as store:
        store.apply(EVENTS, {"journal": 700})
        store.publish()
    for bundle in (data_dir / "log/tile/entries").rglob("*"):
        if bundle.is_file():
            bundle.unlink()
    done = run(prove, EVENTS[300].draft.id, "--data-dir", data_dir, "-o", "-")
    assert done.exit_code == 0
    assert parse_proof(done.stdout_bytes).index == 300
    number, decided = next(
        (number, event.draft.payload)
        for number, event in enumerate(EVENTS)
        if isinstance(event.draft.payload, StatementDecided)
    )
    done = run(prove, decided.decision_id, "--data-dir", data_dir, "-o", "-")
    assert parse_proof(done.stdout_bytes).index == number
    event = data_dir / "one.event"
    event.write_bytes(EVENTS[10].raw)
    done = run(prove, "--event", event, "--data-dir", data_dir, "-o", "-")
    assert parse_proof(done.stdout_bytes).index == 10


def test_the_event_may_lie_beside_its_proof(data_dir: Path) -> None:
    """Then the proof alone proves nothing, and with another event it is refused."""
    file = data_dir / "p.tlog-proof"
    assert run(prove, EVENTS[5].draft.id, "--data-dir", data_dir, "-o", file, "--separate").exit_code == 0
    proof = parse_proof(file.read_bytes())
    assert (data_dir / "p.event").read_bytes() == EVENTS[5].raw
    assert verify_proof(proof, trusted(data_dir), EVENTS[5].raw).index == 5
    with pytest.raises(ProofInvalid, match="does not hold its event"):
        verify_proof(proof, trusted(data_dir))
    with pytest.raises(ProofInvalid, match="does not lead to the root"):
        verify_proof(proof, trusted(data_dir), EVENTS[6].raw)
    with pytest.raises(NoteInvalid, match="no trusted key"):
        verify_proof(proof, Custody.of(new_key("log.example/test", b"x" * 32).verifier), EVENTS[5].raw)


def test_what_can_not_be_proved_says_why(tmp_path: Path, data_dir: Path) -> None:
    """No log, no such event, an event that is too new, both ways at once, a damaged log."""
    assert "has no checkpoint yet" in refused(LogUnavailable, run(prove, "x", "--data-dir", tmp_path / "none")).message
    assert "is not among the 700" in refused(LogUnavailable, run(prove, "nobody", "--data-dir", data_dir)).message
    assert run(prove, "--data-dir", data_dir).exit_code == 2
    bundle = data_dir / "log/tile/entries/000"
    entries = TileFolder(data_dir / "log").entries(0)
    bundle.write_bytes(pack_entries([*entries[:7], entries[7] + b"\x00", *entries[8:]]))
    refused(ProofInvalid, run(prove, EVENTS[7].draft.id, "--data-dir", data_dir))
    bundle.unlink()
    assert "is missing" in refused(LogDamaged, run(prove, EVENTS[7].draft.id, "--data-dir", data_dir)).message


GOOD = TlogProof(3, (bytes(32),), b"a\n1\nb\n\n\xe2\x80\x94 a AAAAAAA=\n", b"event").encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"index 3", b"index 03"),
        GOOD.replace(b"index 3\n", b""),
        GOOD.replace(b"extra ZXZlbnQ=", b"extra ZXZlbnQ"),
        GOOD.replace(b"AAA=\n\n", b"AAB=\n\n"),
        GOOD.replace(b"index 3\n", b"index 3\n" + b"A" * 43 + b"=\n" * 64),
        b"\xff" + GOOD,
        b"x" * 3_000_000,
    ],
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    """There is one way to write it."""
    assert GOOD.startswith(b"c2sp.org/tlog-proof@v1\nextra ZXZlbnQ=\nindex 3\nAAAA")
    assert parse_proof(GOOD).extra == b"event" and parse_proof(GOOD).encode() == GOOD
    with pytest.raises(ProofInvalid):
        parse_proof(data)


def test_show_tells_what_the_newest_checkpoint_covers(data_dir: Path) -> None:
    """Its size and root, who signed, what is still to come."""
    (row,) = json.loads(run(log, "show", "--data-dir", data_dir, "--format", "json").output)
    assert (row["origin"], row["events"], row["not_yet_published"], row["signatures"]) == (
        "log.example/test",
        700,
        0,
        1,
    )
    (data_dir / "log" / STANDING_STILL).write_text("the journal ends at event 5\n")
    assert "the log stands still: the journal ends at event 5" in run(log, "show", "--data-dir", data_dir).output
    assert row["root"] == trusted(data_dir).open(TileFolder(data_dir / "log").checkpoint()).checkpoint.root.hex()


def test_the_verifier_is_printed_alone_or_with_those_before_it(data_dir: Path) -> None:
    """A rotation shows with the next checkpoint, and the old key is still listed."""
    old = run(log, "verifier", "--data-dir", data_dir).output.strip()
    assert old == (data_dir / "log" / VERIFIER).read_text().strip()
    done = run(log, "rotate-key", "--data-dir", data_dir, "--overlap-days", 1)
    assert done.exit_code == 0 and "PRIVATE" not in done.output
    new = done.output.splitlines()[0].rpartition(" ")[2]
    published(data_dir, [story(101)[700:]])
    assert run(log, "verifier", "--data-dir", data_dir).output.strip() == new
    rows = json.loads(run(log, "verifier", "--data-dir", data_dir, "--all", "--format", "json").output)
    assert [(row["from_size"], row["verifier"]) for row in rows] == [(0, old), (700, new)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"algorithms": ["ml-dsa-44"]}, "algorithms must hold ed25519"),
        ({"algorithms": ["ed25519", "ed25519"]}, "each one once"),
        ({"witness_quorum": 1}, "more than there are witnesses"),
        ({"timestamp_url": "http://tsa.example"}, "timestamp_roots must name"),
        ({"origin": "two words"}, "pattern"),
    ],
)
def test_settings_that_can_not_work_are_refused(settings: dict[str, object], said: str) -> None:
    """At the start, with what is wrong."""
    with pytest.raises(ValueError, match=said):
        LogSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "url", "said"),
    [
        ("nonsense", "https://w.example", "that is no key"),
        (new_key("w", bytes(32)).verifier.encode(), "https://w.example", "one for cosignatures"),
        (new_key("w", bytes(32), 4).verifier.encode(), "w.example", "begin it with https"),
    ],
)
def test_a_witness_that_can_not_be_asked_is_refused(key: str, url: str, said: str) -> None:
    """A key of another kind, an address that is none."""
    with pytest.raises(ValueError, match=said):
        WitnessSettings(key=key, url=url)
