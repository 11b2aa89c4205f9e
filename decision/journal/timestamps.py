"""Time stamps of checkpoints by an authority (RFC 3161): proof that a tree existed then, against those who hold the
log's own key.

    timestamps/<size>.checkpoint     the signed note that was stamped
    timestamps/<size>.tsr            the authority's answer, which `openssl ts -verify` reads as well
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from decision.journal.tile_writer import DurableFolder
from decision.model.errors import AirlockError, LogUnavailable, ProofInvalid, SettingsError

log = logging.getLogger(__name__)

FOLDER = "timestamps"
_TIMEOUT_S = 10.0
_MAX_ANSWER = 256 * 1024
_ASKED = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamped checkpoint: `size` of its tree, `time` (UTC) as the authority says."""

    size: int
    time: datetime


class Timestamper:
    """Asks the authority at `url`. Raises SettingsError where `roots` is no PEM file with certificates."""

    def __init__(self, url: str, roots: Path) -> None:
        self._url = url
        self._roots = load_roots(roots)
        self._http = httpx.Client(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False)
        self._said = ""

    def stamp(self, files: DurableFolder, size: int, checkpoint: bytes) -> None:
        """Have `checkpoint` stamped and keep both beside the log. Never raises for the authority: it is logged."""
        try:
            answer = self.ask(checkpoint)
        except (AirlockError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            said = error.message if isinstance(error, AirlockError) else type(error).__name__
            if said != self._said:
                log.warning("the checkpoint of %d has no time stamp: %s", size, said)
            self._said = said
            return
        self._said = ""
        files.write(f"{FOLDER}/{size}.checkpoint", checkpoint)
        files.write(f"{FOLDER}/{size}.tsr", answer)
        files.sync()

    def close(self) -> None:
        self._http.close()

    def ask(self, data: bytes) -> bytes:
        """The authority's answer, verified. Raises LogUnavailable, ProofInvalid, httpx.HTTPError."""
        request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        with self._http.stream("POST", self._url, content=request.as_bytes(), headers=_ASKED) as answer:
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _MAX_ANSWER:
                    raise LogUnavailable("the authority's answer is too long")
        if answer.status_code != httpx.codes.OK:
            raise LogUnavailable(f"the authority refuses (HTTP {answer.status_code})")
        verify_stamp(content, data, self._roots, nonce=request.nonce)
        return content


def load_roots(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file. Raises SettingsError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"log.timestamp_roots: {path} can't be read as certificates ({type(error).__name__})",
            hint="a PEM file with the authority's root certificates",
        ) from None


def verify_stamp(answer: bytes, data: bytes, roots: list[x509.Certificate], nonce: int | None = None) -> datetime:
    """When the authority says that `data` existed. Raises ProofInvalid."""
    try:
        response = decode_timestamp_response(answer)
        builder = VerifierBuilder(roots=list(roots), nonce=nonce)
        builder.build().verify_message(response, data)
        found: datetime = response.tst_info.gen_time
    except (ValueError, VerificationError) as error:
        raise ProofInvalid(f"the time stamp does not verify: {error}") from None
    return found


def verify_stamps(folder: Path, roots: list[x509.Certificate]) -> list[Stamp]:
    """Every stamp beside the log in `folder`, verified, in the order of the trees. Raises ProofInvalid naming the first
    that is wrong. Whether the stamped checkpoints are this log's is for who opens them."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.tsr"), key=lambda one: int(one.stem)):
        try:
            data = path.with_suffix(".checkpoint").read_bytes()
        except FileNotFoundError:
            raise ProofInvalid(f"the checkpoint that {path.name} stamps is missing") from None
        found.append(Stamp(int(path.stem), verify_stamp(path.read_bytes(), data, roots)))
    return found
