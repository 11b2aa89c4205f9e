"""Reading and erasing texts: an event before it happens, and an end also after a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decision.erasure import TextOffice
from decision.model.errors import JournalFull, TextGone, VaultRefused
from decision.model.events import AuditEvent, EventDraft, KeysErased, Payload, TextRevealed
from decision.model.principal import Principal, PrincipalKind
from decision.text_settings import TextSettings
from decision.vault import Vault
from decision.vault_wrapping import FileWrapping, OneWrapping

SETTINGS = TextSettings(statement_text="encrypted", readers=("auditors",), erasers=("privacy",))
ALICE = Principal("https://idp", "alice", PrincipalKind.HUMAN)
TEXT, DIGEST, NOVEMBER = b"SELECT 'x'", b"d" * 32, 1_763_683_200


class Verifier:
    """The credential is `subject/group`."""

    async def verify(self, credential: str) -> Principal:
        subject, _, group = credential.partition("/")
        return Principal("https://idp", subject, PrincipalKind.HUMAN, groups=(group,))


class Log:
    """Remembers what was recorded; refuses it while `full`."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []
        self.full = False

    async def record(self, payload: Payload, correlation_id: str) -> AuditEvent:
        if self.full:
            raise JournalFull("no room")
        self.payloads.append(payload)
        return AuditEvent(EventDraft("id", 1, "test", correlation_id, payload), "p", 1, 1, b"", b"")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def office(vault: Vault, log: Log) -> TextOffice:
    return TextOffice(vault, SETTINGS, Verifier(), log.record)


async def test_nothing_is_shown_that_can_not_be_recorded(office: TextOffice, vault: Vault, log: Log) -> None:
    """A journal that refuses the event refuses the reader."""
    sealed = vault.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    log.full = True
    with pytest.raises(JournalFull):
        await office.reveal("ann/auditors", "d1", sealed, DIGEST, "incident")
    log.full = False
    assert await office.reveal("ann/auditors", "d1", sealed, DIGEST, "incident") == TEXT
    assert [type(one) for one in log.payloads] == [TextRevealed]


async def test_an_erasure_that_was_cut_off_is_done_at_the_next_start(
    office: TextOffice, vault: Vault, log: Log
) -> None:
    """Asked for while the journal was full: no key goes; at the next start the event comes, and then they go."""
    sealed = vault.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    log.full = True
    with pytest.raises(JournalFull):
        await office.erase("pia/privacy", "alice", "2026-01", "her request")
    assert vault.open(sealed, DIGEST) == TEXT
    log.full = False
    restarted = TextOffice(vault, SETTINGS, Verifier(), log.record)
    assert await restarted.finish() == 1
    assert await restarted.finish() == 0
    (event,) = log.payloads
    assert isinstance(event, KeysErased)
    assert (event.subject, event.before_month, event.principal.subject) == ("alice", "2026-01", "pia")
    with pytest.raises(TextGone):
        vault.open(sealed, DIGEST)


async def test_an_erasure_by_another_service_is_done_here_too(office: TextOffice, vault: Vault) -> None:
    """As often as its event comes."""
    sealed = vault.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    payload = KeysErased("alice", "", "2026-01", ALICE, "her request")
    event = AuditEvent(EventDraft("id", 1, "elsewhere", "erase/alice", payload), "q", 1, 1, b"", b"")
    office.folded(event)
    office.folded(event)
    with pytest.raises(TextGone):
        vault.open(sealed, DIGEST)


@pytest.mark.parametrize(
    ("subject", "month", "reason"),
    [("", "2026-01", "x"), ("alice", "2026-13", "x"), ("alice", "2026-1", "x"), ("alice", "2026-01", "  ")],
)
async def test_an_erasure_needs_a_subject_a_month_and_a_reason(
    office: TextOffice, log: Log, subject: str, month: str, reason: str
) -> None:
    """Whatever is missing, nothing is recorded."""
    with pytest.raises(VaultRefused):
        await office.erase("pia/privacy", subject, month, reason)
    assert log.payloads == []


async def test_without_a_vault_there_is_nothing_to_read(log: Log) -> None:
    """The way to have one is named."""
    with pytest.raises(VaultRefused) as caught:
        await TextOffice(None, SETTINGS, Verifier(), log.record).keys("pia/privacy")
    assert "encrypted" in caught.value.hint
