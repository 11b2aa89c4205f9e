"""What of a statement's own words its event keeps, as the settings say.

`redacted`: the normalized text, without literals. `encrypted`: that, and the exact text under an erasable key
(decision.vault). `full`: the exact text for whoever reads the audit.
"""

from __future__ import annotations

from typing import Protocol

from decision.model.errors import VaultUnavailable
from decision.question import Judged, Question
from decision.vault import Vault


class Texts(Protocol):
    """How the texts of statements are kept."""

    def sealed(self, question: Question) -> bytes:
        """The exact text, encrypted; empty where it is not kept so. Raises VaultUnavailable: then nothing may run."""
        ...

    def sealed_or_nothing(self, question: Question) -> bytes:
        """`sealed` for what is denied anyhow: it is denied all the same where no key can be had."""
        ...

    def shown(self, judged: Judged, text: bytes) -> str:
        """The text that stands in the event for all to read."""
        ...


class RedactedTexts:
    """Without literals."""

    def sealed(self, question: Question) -> bytes:
        return b""

    def sealed_or_nothing(self, question: Question) -> bytes:
        return b""

    def shown(self, judged: Judged, text: bytes) -> str:
        return judged.statement_text(text)


class FullTexts(RedactedTexts):
    """Word by word."""

    def shown(self, judged: Judged, text: bytes) -> str:
        return text.decode("utf-8", "replace")


class EncryptedTexts(RedactedTexts):
    """Without literals, and word by word under a key of the session's principal for the month."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def sealed(self, question: Question) -> bytes:
        principal, text = question.session.principal, question.request.text
        return self._vault.seal(principal, question.time_unix, text, question.statement_digest) if text else b""

    def sealed_or_nothing(self, question: Question) -> bytes:
        try:
            return self.sealed(question)
        except VaultUnavailable:
            return b""
