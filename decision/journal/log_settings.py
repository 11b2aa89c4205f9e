"""The settings `[log]`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from decision.journal.algorithms import COSIGNATURE, ED25519, ML_DSA_44
from decision.journal.notes import VerifierKey
from decision.model.errors import NoteInvalid

NUMBERS = {"ed25519": ED25519, "ml-dsa-44": ML_DSA_44}


class WitnessSettings(BaseModel):
    """One `[[log.witnesses]]`: `key` is its verifier key (`name+id+base64`), `url` the submission prefix, to which
    `/add-checkpoint` is added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    url: str

    @field_validator("key")
    @classmethod
    def _is_key(cls, text: str) -> str:
        try:
            found = VerifierKey.parse(text)
        except NoteInvalid as error:
            raise ValueError(error.message) from None
        if found.algorithm not in (COSIGNATURE, ML_DSA_44):
            raise ValueError("a witness's key is one for cosignatures: type 0x04 or 0x06")
        return text

    @field_validator("url")
    @classmethod
    def _is_url(cls, text: str) -> str:
        if not text.startswith(("https://", "http://")):
            raise ValueError("begin it with https:// (or http:// on a network that you trust)")
        return text.rstrip("/")

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey.parse(self.key)


class LogSettings(BaseModel):
    """The tamper-evident log. Times are in seconds.

    `enabled`: whether this node keeps one of its own journal; turned off for a while, it can't go on once the journal
    was pruned beyond it. `origin`: the log's name, such as
    `log.example.com/airlock`; without it one is made up at the first start. `interval_s`: how often a checkpoint is
    signed while there is something new. `algorithms`: what its first keys are, always `ed25519`, with `ml-dsa-44`
    beside it for signatures that outlast quantum computers (3 KB more a checkpoint).

    `witnesses` are asked to cosign each checkpoint, for `witness_timeout_s` together; with fewer than `witness_quorum`
    of them a checkpoint is not published, and asked for again.

    `timestamp_url`: an RFC 3161 authority that stamps every `timestamp_every`-th checkpoint; `timestamp_roots` is a PEM
    file with the certificates that its answers must lead to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    origin: str = Field(default="", pattern=r"^[^\s+]*$", max_length=200)
    interval_s: float = Field(default=10.0, gt=0, le=3600)
    algorithms: tuple[Literal["ed25519", "ml-dsa-44"], ...] = ("ed25519",)
    witnesses: tuple[WitnessSettings, ...] = ()
    witness_quorum: int = Field(default=0, ge=0)
    witness_timeout_s: float = Field(default=5.0, gt=0, le=60)
    timestamp_url: str = ""
    timestamp_every: int = Field(default=360, ge=1)
    timestamp_roots: Path | None = None

    @property
    def algorithm_numbers(self) -> tuple[int, ...]:
        return tuple(NUMBERS[name] for name in self.algorithms)

    @model_validator(mode="after")
    def _possible(self) -> LogSettings:
        if "ed25519" not in self.algorithms or len(set(self.algorithms)) != len(self.algorithms):
            raise ValueError("algorithms must hold ed25519, and each one once")
        if self.witness_quorum > len(self.witnesses):
            raise ValueError("witness_quorum is more than there are witnesses")
        if self.timestamp_url and self.timestamp_roots is None:
            raise ValueError("timestamp_roots must name the certificates of the authority at timestamp_url")
        return self
