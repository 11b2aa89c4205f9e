"""Witnesses: a real one in Go, which checks with Go's own package that our trees extend each other before it signs."""

from __future__ import annotations

import logging
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from airlock.commands.log import witness as command
from decision.journal.custody import KEYS, VERIFIER, Custody
from decision.journal.log_settings import LogSettings, WitnessSettings
from decision.journal.notes import VerifierKey, find_signed, new_key, sign_note
from decision.journal.proofs import parse_proof, verify_proof
from decision.journal.proving import make_proof
from decision.journal.tiles import TileFolder, TileNodes
from decision.journal.witness import Witness, WitnessClient
from decision.model.errors import NoteInvalid
from ingest.sequencer import Sequencer
from ingest.sequencer_outside import outside_of
from tests.support.analytics_story import story
from tests.support.tlog import AT_ONCE, go_program, leaves, published, sequencer, witness

pytestmark = pytest.mark.golang
EVENTS = story(100)
NAME = "witness.example/w1"
FOREIGN = sign_note("x\n", [new_key("another.example", bytes(32))]).signatures[0]


@pytest.fixture(scope="module")
def program(go: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go_program(go, tmp_path_factory.mktemp("tlog"))


def log_key(data_dir: Path) -> str:
    return (data_dir / "log" / VERIFIER).read_text().strip()


def opened(data_dir: Path, settings: LogSettings) -> Sequencer:
    return sequencer(data_dir, settings, outside=outside_of(settings))


def asking(*witnesses: tuple[str, str], quorum: int = 0, timeout_s: float = 5.0) -> LogSettings:
    listed = tuple(WitnessSettings(key=key, url=url) for key, url in witnesses)
    return AT_ONCE.model_copy(
        update={"witnesses": listed, "witness_quorum": quorum, "witness_timeout_s": timeout_s}
    )  # fmt: skip


def test_a_witness_cosigns_each_checkpoint_and_proofs_can_demand_it(program: Path, tmp_path: Path) -> None:
    """From the first one on, over restarts of the log, with the time of its signature."""
    published(tmp_path, [EVENTS[:100]])
    with witness(program, NAME, log_key(tmp_path)) as (key, url):
        settings, trusted = asking((key, url), quorum=1), [VerifierKey.parse(key)]
        for step in (300, 301, 700):
            log = opened(tmp_path, settings)
            log.take(leaves(EVENTS[:step]), {})
            data = log.publish()
            log.close()
            assert data is not None
            custody = Custody.parse((tmp_path / "log" / KEYS).read_bytes())
            (cosigned,) = find_signed(custody.open(data).note, trusted)
            assert cosigned.time_s > 1_700_000_000
        proof = make_proof(TileFolder(tmp_path / "log"), custody, data, 5, EVENTS[5].raw)
        found = verify_proof(parse_proof(proof.encode()), custody, witnesses=trusted, quorum=1)
        assert found.witnesses == (cosigned,) and found.raw == EVENTS[5].raw
        with pytest.raises(NoteInvalid, match="cosigned by 0 of the witnesses"):
            verify_proof(proof, custody, witnesses=[new_key("other", bytes(32), 4).verifier], quorum=1)


def test_a_witness_does_not_cosign_a_second_history(
    program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same key over another tree: refused by the witness, so not published where a quorum is demanded."""
    published(tmp_path / "one", [EVENTS[:10]])
    with witness(program, NAME, log_key(tmp_path / "one")) as pair:
        first = opened(tmp_path / "one", asking(pair, quorum=1))
        first.take(leaves(EVENTS[:300]), {})
        assert first.publish() is not None
        first.close()
        fork = opened(tmp_path / "two", asking(pair, quorum=1))
        with caplog.at_level(logging.WARNING):
            for start, end in ((1, 200), (200, 301), (301, 500)):
                fork.take(leaves(EVENTS[start:end]), {})
                assert fork.publish() is None
        assert fork.published == 0 and fork.pending
        assert not TileFolder(tmp_path / "two" / "log").checkpoint()
        assert "this log was restored from an old copy, or somebody else signs" in caplog.text
        assert "not find our tree consistent" in caplog.text
        fork.close()


def test_a_signature_that_is_not_the_witnesss_own_is_not_taken(
    program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It names its key and signs with another."""
    published(tmp_path, [EVENTS[:10]])
    with witness(program, NAME, log_key(tmp_path), "another-key") as pair:
        log = opened(tmp_path, asking(pair))
        log.take(leaves(EVENTS[:20]), {})
        with caplog.at_level(logging.WARNING):
            data = log.publish()
        log.close()
    assert data is not None and data.count("\u2014".encode()) == 1
    assert f"the signature of {NAME} is wrong" in caplog.text


def test_a_log_that_a_witness_does_not_know_is_told_so(
    program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another log's name, and another key under the same name."""
    published(tmp_path, [EVENTS[:10]])
    unknown = new_key("log.example/test", b"k" * 32).verifier.encode()
    for key, said in ((new_key("other.example", bytes(32)).verifier.encode(), "know this log"), (unknown, "our key")):
        with witness(program, NAME, key) as pair, caplog.at_level(logging.WARNING):
            ask(tmp_path, pair)
        assert said in caplog.text


def ask(data_dir: Path, pair: tuple[str, str], timeout_s: float = 5.0) -> int:
    """How many cosignatures the newest checkpoint gets."""
    folder = TileFolder(data_dir / "log")
    found = Custody.parse((data_dir / "log" / KEYS).read_bytes()).open(folder.checkpoint())
    client = WitnessClient([Witness(pair[1], (VerifierKey.parse(pair[0]),))], timeout_s)
    try:
        return len(client.cosign(found.note, found.checkpoint, TileNodes(folder, found.checkpoint.size)))
    finally:
        client.close()


class Silent(BaseHTTPRequestHandler):
    """Answers as the server's `status`, `kind` and `body` say; with none, not before the test is over."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, body = self.server.answer  # type: ignore[attr-defined]
        if not status:
            self.server.over.wait(30)  # type: ignore[attr-defined]
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((0, "", b""), "no answer within 0.3 s|ReadTimeout"),
        ((500, "text/plain", b"x"), "it refuses .HTTP 500"),
        ((302, "text/plain", b""), "it refuses .HTTP 302"),
        ((200, "text/plain", b"nonsense\n"), "a signature line is"),
        ((200, "text/plain", FOREIGN.line().encode()), "no cosignature"),
        ((200, "text/plain", b"x" * 70_000), "answer is too long"),
        ((409, "text/plain", b"5\n"), "does not say which"),
        ((409, "text/x.tlog.size", b"five\n"), "is no decimal number"),
        ((409, "text/x.tlog.size", b"5\n"), "asked by somebody else"),
    ],
)  # fmt: skip
def test_a_witness_that_answers_badly_delays_nothing_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: tuple[int, str, bytes], said: str
) -> None:
    """Silence, errors, redirects, nonsense, floods: no cosignature, one line in the log."""
    published(tmp_path, [EVENTS[:10]])
    server = HTTPServer(("127.0.0.1", 0), Silent)
    server.answer, server.over = answer, threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    key = new_key(NAME, bytes(32), 4).verifier.encode()
    try:
        with caplog.at_level(logging.WARNING):
            assert ask(tmp_path, (key, f"http://127.0.0.1:{server.server_port}"), 0.3 if not answer[0] else 5.0) == 0
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()
    assert re.search(said, caplog.text)


def test_an_address_that_is_none_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The checkpoint is published all the same."""
    log = opened(tmp_path, asking((new_key(NAME, bytes(32), 4).verifier.encode(), "http://127.0.0.1:port")))
    log.take(leaves(EVENTS[:3]), {})
    with caplog.at_level(logging.WARNING):
        assert log.publish() is not None
    log.close()
    assert "did not cosign: InvalidURL" in caplog.text


def test_a_witness_that_is_away_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Checkpoints are published without it, every few seconds, without a line each."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        log = opened(tmp_path, asking((new_key(NAME, bytes(32), 4).verifier.encode(), url)))
        with caplog.at_level(logging.WARNING):
            for place in range(3):
                log.take(leaves(EVENTS[place : place + 1]), {})
                assert log.publish() is not None
        log.close()
    assert caplog.text.count("did not cosign") == 1


def test_the_command_asks_witnesses_and_says_who_cosigned(program: Path, tmp_path: Path) -> None:
    """The cosigned checkpoint can be kept; a witness that does not cosign makes it fail."""
    published(tmp_path, [EVENTS[:10]])
    kept = tmp_path / "cosigned"
    with witness(program, NAME, log_key(tmp_path)) as (key, url):
        given = ["--data-dir", str(tmp_path), "--witness", key, url, "-o", str(kept), "--format", "json"]
        done = CliRunner().invoke(command, given)
        assert done.exit_code == 0 and '"cosigned": true' in done.output, done.output
        assert find_signed(Custody.of(VerifierKey.parse(log_key(tmp_path))).open(kept.read_bytes()).note,
                           [VerifierKey.parse(key)])  # fmt: skip
        policy = tmp_path / "policy"
        log, away = log_key(tmp_path), new_key("away.example", bytes(32), 4).verifier.encode()
        policy.write_text(f"log {log}\nwitness A {key} {url}\nwitness B {away} {url}\ngroup one any A B\nquorum one\n")
        asked = ["--data-dir", str(tmp_path), "--policy", str(policy), "--format", "json"]
        done = CliRunner().invoke(command, asked)
        assert done.exit_code == 0 and '"cosigned": false' in done.output, done.output
        policy.write_text(policy.read_text().replace("any", "all"))
        assert "no quorum" in str(CliRunner().invoke(command, asked).exception)
    assert CliRunner().invoke(command, given).exit_code == 1
