"""Who may sign for a log, and since when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decision.journal.algorithms import ED25519, ML_DSA_44
from decision.journal.checkpoints import Checkpoint
from decision.journal.custody import Custody, Generation
from decision.journal.log_keys import LogKeys, load_keys, load_or_make_keys, make_keys, save_keys
from decision.journal.notes import SignerKey, new_key, sign_note
from decision.model.errors import NoteInvalid, SettingsError

ORIGIN = "log.example/test"
FIRST, SECOND, THIRD = (new_key(ORIGIN, bytes([number]) * 32) for number in (1, 2, 3))
ONE = Custody.of(FIRST.verifier)
TWO = ONE.endorse(FIRST, [SECOND], 100)
THREE = TWO.endorse(SECOND, [THIRD], 200)


def head(size: int, *keys: SignerKey, origin: str = ORIGIN) -> bytes:
    return sign_note(Checkpoint(origin, size, bytes(32)).text(), keys).encode()


def test_a_chain_of_keys_comes_back_from_its_file_whichever_of_them_is_trusted() -> None:
    """Every key of the chain leads to all of it."""
    for trusted in (FIRST, SECOND, THIRD):
        assert Custody.parse(THREE.encode(), trusted.verifier) == THREE
    assert THREE.verifiers == (FIRST.verifier, SECOND.verifier, THIRD.verifier)


@pytest.mark.parametrize(
    ("size", "keys", "believed"),
    [
        (50, (FIRST,), True),
        (100, (FIRST,), True),  # signed before the rotation
        (100, (SECOND, FIRST), True),
        (150, (SECOND, FIRST), True),
        (150, (SECOND,), True),  # after the overlap
        (150, (FIRST,), False),  # a key that was lost after its time
        (250, (SECOND, FIRST), False),
        (250, (THIRD,), True),
        (50, (THIRD,), False),
    ],
)
def test_a_checkpoint_is_believed_from_the_generation_whose_turn_it_was(
    size: int, keys: tuple[SignerKey, ...], believed: bool
) -> None:
    """An older key beside it does no harm, alone it is not believed."""
    if believed:
        assert THREE.open(head(size, *keys)).checkpoint.size == size
    else:
        with pytest.raises(NoteInvalid, match="whose turn it is not"):
            THREE.open(head(size, *keys))


def test_who_knows_the_old_key_only_believes_what_it_signs() -> None:
    """During the overlap both sign, so nobody has to know of the rotation at once."""
    assert ONE.open(head(150, SECOND, FIRST)).signed[0].key == FIRST.verifier
    with pytest.raises(NoteInvalid, match="no trusted key"):
        ONE.open(head(150, SECOND))


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """Also where the same key has signed it."""
    with pytest.raises(NoteInvalid, match="of the log other"):
        ONE.open(head(1, FIRST, origin="other"))


def test_keys_that_nobody_endorsed_are_refused() -> None:
    """A foreign generation, an endorsement for another key, another log, another size; an empty or broken list."""
    raw = json.loads(TWO.encode())
    foreign = Custody(ORIGIN, (*ONE.generations, Generation((THIRD.verifier,), 100, TWO.newest.endorsement)))
    alone = sign_note("airlock.log/next-key/v1\n", [FIRST]).encode().decode()
    half = Custody(ORIGIN, (*ONE.generations, Generation((SECOND.verifier,), 100, alone)))
    moved = json.loads(TWO.encode())
    moved["generations"][1]["from_size"] = 10
    renamed = {**raw, "origin": "other"}
    back = TWO.endorse(SECOND, [THIRD], 50)
    for listed in (foreign.encode(), half.encode(), json.dumps(moved).encode(), json.dumps(renamed).encode(),
                   back.encode(), b'{"origin": "x", "generations": []}', b"{", b"[]",
                   b'{"origin": "x", "generations": [{"verifiers": [1], "from_size": 0}]}'):  # fmt: skip
        with pytest.raises(NoteInvalid):
            Custody.parse(listed)
    with pytest.raises(NoteInvalid, match="none of this log's keys"):
        Custody.parse(TWO.encode(), THIRD.verifier)


def test_an_endorsement_can_be_taken_for_no_checkpoint() -> None:
    """Its second line is the origin, its third no hash: whatever the log is called."""
    custody = Custody("12", (Generation((FIRST.verifier,)),)).endorse(FIRST, [SECOND], 5)
    with pytest.raises(NoteInvalid):
        Custody("airlock.log/next-key/v1", (Generation((FIRST.verifier,)),)).open(custody.newest.endorsement.encode())


def counted(size: int) -> bytes:
    counted.calls = getattr(counted, "calls", 0) + 1  # type: ignore[attr-defined]
    return bytes([counted.calls % 251]) * size  # type: ignore[attr-defined]


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    """The file is private; a second start finds the same keys; the name is made up where none is given."""
    path = tmp_path / "keys" / "log.key"
    made = load_or_make_keys(path, "", [ED25519, ML_DSA_44], counted)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_keys(path, "", [ED25519], counted) == made
    assert made.origin.startswith("airlock.local/")
    assert [key.algorithm for key in made.signers(0)] == [ED25519, ML_DSA_44]


def test_a_rotated_key_signs_beside_the_new_one_until_its_end() -> None:
    """Then the new one alone; what is over is kept for one generation, which may still have to endorse."""
    keys = LogKeys((make_keys(ORIGIN, [ED25519], counted),))
    rotated = keys.rotated(100, 1_000, counted)
    assert rotated.signers(1_099) == (rotated.newest.ed25519, keys.newest.ed25519)
    assert rotated.signers(1_100) == (rotated.newest.ed25519,)
    again = rotated.rotated(100, 5_000, counted)
    assert [one.until_s for one in again.generations] == [1_100, 5_100, 0]
    assert len(again.rotated(100, 9_000, counted).generations) == 3
    assert LogKeys.parse(again.encode()) == again


def test_a_key_of_go_is_a_key_file(tmp_path: Path) -> None:
    """One line, as its note package makes it."""
    path = tmp_path / "log.key"
    path.write_text(FIRST.encode())
    assert load_keys(path).newest.keys == (FIRST,)


@pytest.mark.parametrize("text", ["", "nonsense", "until soon\n{key}", "until 5\nuntil 6\n{key}", "{key}\n{key}"])
def test_a_key_file_that_is_none_is_refused_with_the_way_out(tmp_path: Path, text: str) -> None:
    """Named by its path, repeating nothing of it."""
    path = tmp_path / "log.key"
    path.write_text(text.replace("{key}", FIRST.encode()))
    with pytest.raises(SettingsError, match="can't be read") as refused:
        load_keys(path)
    assert "PRIVATE" not in refused.value.message


def test_the_key_of_another_log_is_refused(tmp_path: Path) -> None:
    """A log keeps its name."""
    path = tmp_path / "log.key"
    with pytest.raises(SettingsError, match="there is no log key"):
        load_keys(path)
    save_keys(path, LogKeys((make_keys(ORIGIN, [ED25519], counted),)))
    with pytest.raises(SettingsError, match=f"of the log {ORIGIN}, not other"):
        load_keys(path, "other")
