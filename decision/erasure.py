"""Reading and erasing what statements said word by word: who may, and the event of each before it happens.

An erasure is an event that is folded: whoever folds it throws the keys away, in whichever decision service, as often as
it comes. One that a crash cuts off is recorded again, and done, at the next start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from decision.model.errors import VaultRefused
from decision.model.events import AuditEvent, KeysErased, Payload, TextRevealed
from decision.model.principal import Principal
from decision.model.texts import TextKey
from decision.text_settings import TextSettings
from decision.vault import Vault
from decision.wire.events import PAYLOADS
from decision.wire.gen.events_pb2 import KeysErased as KeysErasedMessage

Record = Callable[[Payload, str], Awaitable[AuditEvent]]
"""Make a payload durable under a correlation id."""

_ERASED = PAYLOADS[KeysErased][2]
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z")
MAX_REASON = 2_000


class CredentialVerifier(Protocol):
    async def verify(self, credential: str) -> Principal:
        """Raises IdentityError."""
        ...


class TextOffice:
    """The use cases over the vault. `vault` is None where texts are not kept encrypted (and never were)."""

    def __init__(
        self, vault: Vault | None, settings: TextSettings, verifier: CredentialVerifier, record: Record
    ) -> None:
        self._vault = vault
        self._settings = settings
        self._verifier = verifier
        self._record = record

    async def reveal(self, credential: str, decision_id: str, sealed: bytes, digest: bytes, reason: str) -> bytes:
        """The exact text of a decision's statement, from the `sealed_text` and `statement_digest` of its event.

        Recorded, durably, before it is shown. Raises VaultRefused, TextGone, VaultUnavailable, IdentityError,
        JournalUnavailable.
        """
        principal = await self._permitted(credential, self._settings.readers, "read", "readers")
        _check_reason(reason)
        text = self._opened().open(sealed, digest)
        await self._record(TextRevealed(decision_id, principal, reason), decision_id)
        return text

    async def erase(self, credential: str, subject: str, before_month: str, reason: str, issuer: str = "") -> int:
        """Throw away the keys of a subject's texts of all months before `before_month` (`2026-11`); how many.

        The event is durable before the first key goes. Raises as `reveal` does.
        """
        principal = await self._permitted(credential, self._settings.erasers, "erase", "erasers")
        _check_reason(reason)
        if not subject or not _MONTH.match(before_month):
            raise VaultRefused("an erasure needs a subject and a month", hint="write the month as 2026-11")
        vault = self._opened()
        erasure = KeysErased(subject, issuer, before_month, principal, reason)
        number = vault.begin_erasure(_ERASED.encode(erasure).SerializeToString())
        return await self._erased(vault, erasure, number)

    async def _erased(self, vault: Vault, erasure: KeysErased, number: int) -> int:
        about = hashlib.sha256(erasure.subject.encode()).hexdigest()[:16]  # Kafka's headers name nobody
        await self._record(erasure, f"erase/{about}")
        return len(vault.erase(erasure.subject, erasure.before_month, erasure.issuer, number))

    async def finish(self) -> int:
        """End the erasures that a crash cut off, at the start of the service; how many there were. Their event may
        come twice. Raises VaultUnavailable or JournalUnavailable."""
        begun = [] if self._vault is None else self._vault.begun_erasures()
        for number, payload in begun:
            await self._erased(self._opened(), _ERASED.decode(KeysErasedMessage.FromString(payload)), number)
        return len(begun)

    async def keys(self, credential: str) -> list[TextKey]:
        """The keys that are left, for those who may erase them."""
        await self._permitted(credential, self._settings.erasers, "list the keys of", "erasers")
        return self._opened().keys()

    def folded(self, event: AuditEvent) -> None:
        """Do what an event of before, or of another decision service, asked for."""
        if self._vault is not None and isinstance(event.payload, KeysErased):
            self._vault.erase(event.payload.subject, event.payload.before_month, event.payload.issuer)

    async def _permitted(self, credential: str, groups: tuple[str, ...], to_do: str, setting: str) -> Principal:
        principal = await self._verifier.verify(credential)
        self._opened()
        if principal.on_behalf_of or not set(groups).intersection(principal.groups):
            raise VaultRefused(
                f"{principal.subject} may not {to_do} statement texts",
                hint=f"only members of a group in texts.{setting} may, in person",
            )
        return principal

    def _opened(self) -> Vault:
        if self._vault is None:
            raise VaultRefused(
                "no texts are kept encrypted here", hint='set statement_text = "encrypted" in [texts] to begin with it'
            )
        return self._vault


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > MAX_REASON:
        raise VaultRefused("why is it done?", hint=f"give a reason of at most {MAX_REASON} characters: it is recorded")
