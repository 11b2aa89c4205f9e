"""Asking witnesses to cosign our checkpoints (C2SP tlog-witness, the client's side).

A witness cosigns a tree head only where it extends the one that it cosigned last, and says when. So a log that shows
different trees to different people needs every witness to join in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass

import httpx

from decision.journal.checkpoints import Checkpoint, parse_decimal
from decision.journal.encoding import base64_text
from decision.journal.merkle import NodeReader, consistency_proof
from decision.journal.notes import Note, Signature, VerifierKey, find_signed, parse_note
from decision.model.errors import AirlockError, LogUnavailable, NoteInvalid

log = logging.getLogger(__name__)

_MAX_ANSWER = 64 * 1024
_SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Witness:
    """`url` is the submission prefix. `keys` are those of its keys that count."""

    url: str
    keys: tuple[VerifierKey, ...]

    @property
    def name(self) -> str:
        return self.keys[0].name


class WitnessClient:
    """Asks several witnesses at once. It remembers what each cosigned last, and asks where it does not know. Its reader
    of nodes is used from one thread at a time."""

    def __init__(self, witnesses: Sequence[Witness], timeout_s: float) -> None:
        self._witnesses = tuple(witnesses)
        self._timeout_s = timeout_s
        self._sizes: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._reading = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, len(self._witnesses)), thread_name_prefix="witness")
        self._http = httpx.Client(timeout=timeout_s, trust_env=False, follow_redirects=False)

    def cosign(self, note: Note, checkpoint: Checkpoint, nodes: NodeReader) -> Sequence[Signature]:
        """The cosignatures that came within the time, verified. Never raises for a witness: it is logged."""
        asked = {self._pool.submit(self._ask, witness, note, checkpoint, nodes): witness for witness in self._witnesses}
        found: list[Signature] = []
        try:
            for done in as_completed(asked, self._timeout_s):
                witness = asked[done]
                try:
                    found += done.result()
                    self._said.pop(witness.url, None)
                except (AirlockError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                    said = error.message if isinstance(error, AirlockError) else type(error).__name__
                    self._complain(witness, said)
        except NotInTime:
            for open_one, witness in asked.items():
                if not open_one.done():
                    self._complain(witness, f"no answer within {self._timeout_s:g} s")
        return sorted(found, key=lambda one: (one.name, one.key_id))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def _complain(self, witness: Witness, said: str) -> None:
        """Once for the same reason: a checkpoint comes every few seconds."""
        if self._said.get(witness.url) != said:
            log.warning("the witness %s did not cosign: %s", witness.name, said)
            self._said[witness.url] = said

    def _ask(self, witness: Witness, note: Note, checkpoint: Checkpoint, nodes: NodeReader) -> list[Signature]:
        """Raises LogUnavailable, NoteInvalid, httpx.HTTPError."""
        answer = self._submit(witness, note, checkpoint, nodes, self._sizes.get(witness.url, 0))
        if answer.status_code == httpx.codes.CONFLICT:
            answer = self._submit(witness, note, checkpoint, nodes, _conflicting(answer, checkpoint))
        if answer.status_code != httpx.codes.OK:
            raise LogUnavailable(_refusal(answer))
        signed = find_signed(parse_note(f"{checkpoint.text()}\n".encode() + answer.content), witness.keys)
        cosigned = [one.signature for one in signed if one.time_s]
        if not cosigned:
            raise NoteInvalid("its answer holds no cosignature of the key that is configured")
        self._sizes[witness.url] = checkpoint.size
        return cosigned

    def _submit(
        self, witness: Witness, note: Note, checkpoint: Checkpoint, nodes: NodeReader, old: int
    ) -> httpx.Response:
        with self._reading:
            proof = consistency_proof(nodes, old, checkpoint.size)
        lines = "".join(f"{line}\n" for line in (f"old {old}", *map(base64_text, proof), ""))
        body = lines.encode() + note.encode()
        with self._http.stream("POST", f"{witness.url}/add-checkpoint", content=body) as answer:
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _MAX_ANSWER:
                    raise LogUnavailable("its answer is too long")
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def _conflicting(answer: httpx.Response, checkpoint: Checkpoint) -> int:
    """The size that the witness cosigned last, as its refusal says. Raises NoteInvalid, LogUnavailable."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind != _SIZE_TYPE or not answer.content.endswith(b"\n"):
        raise LogUnavailable("it has another size, and does not say which")
    size = parse_decimal(answer.content[:-1].decode("ascii", "replace"), "the size that it cosigned last")
    if size > checkpoint.size:
        raise LogUnavailable(
            f"it has cosigned a tree of {size}, and ours has {checkpoint.size}: this log was restored from an old "
            "copy, or somebody else signs in its name"
        )
    return size


def _refusal(answer: httpx.Response) -> str:
    meanings = {
        400: "it finds the request malformed",
        403: "it does not know our key",
        404: "it does not know this log",
        409: "it was asked by somebody else at the same time",
        422: "it does not find our tree consistent with what it cosigned last",
    }
    return f"{meanings.get(answer.status_code, 'it refuses')} (HTTP {answer.status_code})"
