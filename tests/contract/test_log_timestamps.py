"""Time stamps by a real authority (OpenSSL's), over HTTP as RFC 3161 has it."""

from __future__ import annotations

import logging
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from decision.journal.log_settings import LogSettings
from decision.journal.timestamps import FOLDER, load_roots, verify_stamps
from decision.model.errors import ProofInvalid, SettingsError
from ingest.sequencer_outside import outside_of
from tests.support.analytics_story import story
from tests.support.require import require
from tests.support.tlog import AT_ONCE, leaves, sequencer

EVENTS = story(20)
CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical, CA:TRUE
[stamping]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


class Authority:
    """A time-stamping authority with a root of its own. `broken` makes it answer about something else."""

    def __init__(self, openssl: str, folder: Path) -> None:
        self.openssl, self.folder, self.broken, self.asked = openssl, folder, False, 0
        (folder / "config").write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                 "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-extensions", "root")  # fmt: skip
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tsa.key",
                 "-out", "tsa.csr", "-subj", "/CN=tsa")  # fmt: skip
        self.run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                 "-out", "tsa.pem", "-days", "9", "-extfile", "config", "-extensions", "stamping")  # fmt: skip

    def run(self, *arguments: str) -> None:
        more = () if arguments[0] in ("x509",) else ("-config", "config")
        done = subprocess.run([self.openssl, *arguments, *more], cwd=self.folder, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr.decode()

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        (self.folder / "query").write_bytes(query)
        if self.broken:
            (self.folder / "else").write_bytes(b"something else")
            self.run("ts", "-query", "-data", "else", "-sha256", "-cert", "-out", "query")
        self.run("ts", "-reply", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Authority, str]]:
    """The authority and its URL."""
    openssl = require("the openssl program", shutil.which("openssl"), "install openssl")
    found = Authority(openssl, tmp_path_factory.mktemp("authority"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            body = found.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/" else 503)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def stamping(url: str, roots: Path, every: int = 1) -> LogSettings:
    return AT_ONCE.model_copy(
        update={"timestamp_url": url, "timestamp_roots": roots, "timestamp_every": every}
    )  # fmt: skip


def grow(data_dir: Path, settings: LogSettings, checkpoints: int) -> None:
    log = sequencer(data_dir, settings, outside=outside_of(settings))
    for place in range(checkpoints):
        log.take(leaves(EVENTS[place : place + 1]), {})
        assert log.publish() is not None
    log.close()


def test_each_nth_checkpoint_is_stamped_and_openssl_verifies_it_too(
    authority: tuple[Authority, str], tmp_path: Path
) -> None:
    """The stamps lie beside the log with what they stamp, and tell when."""
    tsa, url = authority
    roots = tsa.folder / "root.pem"
    grow(tmp_path, stamping(url, roots, every=3), 7)
    stamps = verify_stamps(tmp_path / "log", load_roots(roots))
    assert [stamp.size for stamp in stamps] == [3, 6]
    assert all(stamp.time.year >= 2026 and stamp.time.tzinfo is not None for stamp in stamps)
    folder = tmp_path / "log" / FOLDER
    done = subprocess.run(
        [tsa.openssl, "ts", "-verify", "-in", folder / "3.tsr", "-data", folder / "3.checkpoint", "-CAfile", roots],
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_changed_or_missing_stamp_is_named(authority: tuple[Authority, str], tmp_path: Path) -> None:
    """Another checkpoint, none, another authority's roots, a cut answer."""
    tsa, url = authority
    roots = load_roots(tsa.folder / "root.pem")
    grow(tmp_path, stamping(url, tsa.folder / "root.pem"), 2)
    folder = tmp_path / "log" / FOLDER
    other = tmp_path / "other"
    other.mkdir()
    foreign = Authority(tsa.openssl, other)
    with pytest.raises(ProofInvalid, match="does not verify"):
        verify_stamps(tmp_path / "log", load_roots(foreign.folder / "root.pem"))
    (folder / "1.checkpoint").write_bytes((folder / "2.checkpoint").read_bytes())
    with pytest.raises(ProofInvalid, match="does not verify"):
        verify_stamps(tmp_path / "log", roots)
    (folder / "1.checkpoint").unlink()
    with pytest.raises(ProofInvalid, match=r"the checkpoint that 1\.tsr stamps is missing"):
        verify_stamps(tmp_path / "log", roots)
    (folder / "1.tsr").write_bytes(b"cut")
    (folder / "1.checkpoint").write_bytes(b"x")
    with pytest.raises(ProofInvalid, match="does not verify"):
        verify_stamps(tmp_path / "log", roots)


def test_an_authority_that_is_away_or_wrong_delays_no_checkpoint(
    authority: tuple[Authority, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An error, an answer about something else: logged, nothing kept."""
    tsa, url = authority
    roots = tsa.folder / "root.pem"
    with caplog.at_level(logging.WARNING):
        grow(tmp_path / "away", stamping(f"{url}away", roots), 2)
        tsa.broken = True
        grow(tmp_path / "wrong", stamping(url, roots), 2)
    tsa.broken = False
    assert caplog.text.count("refuses (HTTP 503)") == 1
    assert caplog.text.count("the time stamp does not verify") == 1
    assert not list(tmp_path.rglob("*.tsr"))


def test_roots_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    """By the setting's name and the file's."""
    (tmp_path / "roots.pem").write_text("nonsense")
    for name in ("roots.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=rf"log\.timestamp_roots: .*{name}"):
            load_roots(tmp_path / name)
