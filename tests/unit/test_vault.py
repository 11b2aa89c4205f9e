"""The vault seals texts under keys that can be thrown away."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from decision.model.errors import TextGone, VaultUnavailable
from decision.model.principal import Authentication, Principal, PrincipalKind
from decision.vault import MAX_TEXT_BYTES, Vault, month_of
from decision.vault_wrapping import CommandWrapping, FileWrapping, FileWrappings, OneWrapping

NOVEMBER, DECEMBER = 1_763_683_200, 1_765_000_000  # 2025-11-21, 2025-12-06
TEXT = b"SELECT * FROM customers WHERE email = 'ada@example.org'"
DIGEST = b"d" * 32
ALICE = Principal("https://idp", "alice", PrincipalKind.HUMAN, authentication=Authentication("oidc"))
BOB = Principal("https://idp", "bob", PrincipalKind.HUMAN, authentication=Authentication("oidc"))
AGENT = Principal(
    "https://idp", "agent-7", PrincipalKind.AGENT, on_behalf_of=(ALICE,), authentication=Authentication("oidc")
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)


def test_a_text_comes_back_as_it_was(vault: Vault) -> None:
    """What was sealed is opened with the digest of its statement."""
    sealed = vault.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    assert TEXT not in sealed
    assert vault.open(sealed, DIGEST) == TEXT


def test_a_sealed_text_is_bound_to_its_statement(vault: Vault) -> None:
    """Under another statement's digest, or with one bit changed anywhere, it does not open."""
    sealed = vault.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    with pytest.raises(VaultUnavailable, match="another statement"):
        vault.open(sealed, b"e" * 32)
    for place in range(17, len(sealed), 5):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(VaultUnavailable):
            vault.open(changed, DIGEST)


def test_every_principal_has_a_key_for_each_month(vault: Vault) -> None:
    """Two months of two people and an agent are five keys here; the same month again makes none."""
    for principal, time_unix in [
        (ALICE, NOVEMBER),
        (ALICE, DECEMBER),
        (BOB, NOVEMBER),
        (BOB, DECEMBER),
        (AGENT, NOVEMBER),
    ]:
        vault.seal(principal, time_unix, TEXT, DIGEST)
        vault.seal(principal, time_unix + 60, b"SELECT 1", b"e" * 32)
    keys = vault.keys()
    assert len(keys) == 5
    assert {(key.subject, key.on_behalf_of, key.month) for key in keys if key.subject == "agent-7"} == {
        ("agent-7", ("alice",), "2025-11")
    }


def test_erasing_takes_the_months_before_and_what_agents_did_for_the_subject(vault: Vault) -> None:
    """Alice's November is gone, her agent's too; her December and Bob's November stay."""
    gone = [vault.seal(ALICE, NOVEMBER, TEXT, DIGEST), vault.seal(AGENT, NOVEMBER, TEXT, DIGEST)]
    kept = [vault.seal(ALICE, DECEMBER, TEXT, DIGEST), vault.seal(BOB, NOVEMBER, TEXT, DIGEST)]
    assert {key.subject for key in vault.erase("alice", "2025-12")} == {"alice", "agent-7"}
    for sealed in gone:
        with pytest.raises(TextGone):
            vault.open(sealed, DIGEST)
    assert [vault.open(sealed, DIGEST) for sealed in kept] == [TEXT, TEXT]


def test_an_erased_key_is_nowhere_in_the_file(tmp_path: Path) -> None:
    """Neither the database nor a journal beside it holds the wrapped key's bytes any more."""
    wrapped: list[bytes] = []

    class Watched(FileWrapping):
        def wrap(self, key: bytes) -> bytes:
            wrapped.append(super().wrap(key))
            return wrapped[-1]

    vault = Vault(tmp_path / "vault.db", OneWrapping(Watched(b"k" * 32)), os.urandom)
    for number in range(20):
        vault.seal(Principal("i", f"p{number}", PrincipalKind.HUMAN), NOVEMBER, TEXT, DIGEST)
    vault.erase("p7", "2025-12")
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert wrapped[7] not in held
    assert wrapped[8] in held


def test_what_another_process_erased_is_no_longer_used(tmp_path: Path) -> None:
    """The next second's text is sealed under a new key, not under the one that is held in memory."""
    mine = Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)
    other = Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)
    before = mine.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    assert other.open(before, DIGEST) == TEXT
    other.erase("alice", "2025-12")
    after = mine.seal(ALICE, NOVEMBER + 1, TEXT, DIGEST)
    assert after[1:17] != before[1:17]
    assert mine.open(after, DIGEST) == TEXT
    with pytest.raises(TextGone):
        mine.open(before, DIGEST)


def test_two_processes_share_a_key(tmp_path: Path) -> None:
    """Whoever asks second uses the key of the first."""
    one = Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)
    two = Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)
    assert one.seal(ALICE, NOVEMBER, TEXT, DIGEST)[1:17] == two.seal(ALICE, NOVEMBER, TEXT, DIGEST)[1:17]


def test_rotation_wraps_every_key_anew(tmp_path: Path) -> None:
    """Texts of before open under the new wrapping key, also in a process that knew the old one; that opens nothing."""
    path, key_file = tmp_path / "vault.db", tmp_path / "vault.key"
    key_file.write_bytes(b"k" * 32)
    running = Vault(path, FileWrappings(key_file), os.urandom)
    sealed = running.seal(ALICE, NOVEMBER, TEXT, DIGEST)
    wrappings = FileWrappings(key_file)
    assert Vault(path, wrappings, os.urandom).rotate(wrappings.begin(b"n" * 32)) == 1
    assert Vault(path, FileWrappings(key_file), os.urandom).open(sealed, DIGEST) == TEXT  # cut off here, it goes on
    wrappings.finish()
    assert key_file.read_bytes() == b"n" * 32
    assert [one.name for one in tmp_path.iterdir() if "key" in one.name] == ["vault.key"]
    assert running.open(sealed, DIGEST) == TEXT
    with pytest.raises(VaultUnavailable, match="was wrapped by"):
        Vault(path, OneWrapping(FileWrapping(b"k" * 32)), os.urandom).open(sealed, DIGEST)


def test_a_wrapping_key_that_is_gone_is_named(tmp_path: Path) -> None:
    """No key, or a file that is none, is an error with the file's name."""
    with pytest.raises(VaultUnavailable, match=r"vault\.key"):
        FileWrappings(tmp_path / "vault.key")
    (tmp_path / "vault.key").write_bytes(b"short")
    with pytest.raises(VaultUnavailable, match=r"vault\.key is no key"):
        FileWrappings(tmp_path / "vault.key")


def test_a_long_text_is_not_sealed(vault: Vault) -> None:
    """It would not fit into an event; its digest and its normalized form are kept all the same."""
    assert vault.seal(ALICE, NOVEMBER, b"x" * (MAX_TEXT_BYTES + 1), DIGEST) == b""


def test_a_command_may_wrap_the_keys(tmp_path: Path) -> None:
    """The key goes in on standard input and comes back on standard output; a failing command is an error by name."""
    flip = [
        sys.executable,
        "-c",
        "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(bytes(b ^ 255 for b in d))",
    ]
    vault = Vault(tmp_path / "vault.db", OneWrapping(CommandWrapping("kms", flip, flip)), os.urandom)
    assert vault.open(vault.seal(ALICE, NOVEMBER, TEXT, DIGEST), DIGEST) == TEXT
    broken = Vault(tmp_path / "other.db", OneWrapping(CommandWrapping("kms", ["/nonexistent/kms"], flip)), os.urandom)
    with pytest.raises(VaultUnavailable, match="/nonexistent/kms failed"):
        broken.seal(ALICE, NOVEMBER, TEXT, DIGEST)


def test_a_vault_that_can_not_be_opened_says_so(tmp_path: Path) -> None:
    """A folder in its place is an error that names the file."""
    (tmp_path / "vault.db").mkdir()
    with pytest.raises(VaultUnavailable, match=r"can't be used") as caught:
        Vault(tmp_path / "vault.db", OneWrapping(FileWrapping(b"k" * 32)), os.urandom)
    assert "vault.db" in caught.value.hint


def test_the_file_is_for_its_owner_alone(vault: Vault, tmp_path: Path) -> None:
    """Mode 0600."""
    assert stat.S_IMODE((tmp_path / "vault.db").stat().st_mode) == 0o600


def test_months_are_those_of_utc() -> None:
    """The last second of a month is still in it."""
    assert [month_of(1_764_547_199), month_of(1_764_547_200)] == ["2025-11", "2025-12"]
