"""Signed notes, their keys, and checkpoints: byte for byte as Go and C2SP write them; anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from decision.journal.algorithms import COSIGNATURE, ED25519, ML_DSA_44
from decision.journal.checkpoints import Checkpoint, parse_checkpoint
from decision.journal.encoding import parse_base64
from decision.journal.notes import (
    Note,
    SignerKey,
    VerifierKey,
    find_signed,
    new_key,
    open_note,
    parse_note,
    parse_signature,
    sign_note,
)
from decision.model.errors import NoteInvalid

GO = json.loads((Path(__file__).parents[1] / "cases" / "tlog" / "go.json").read_text())
NAME = "log.example/airlock"
TEXT = Checkpoint(NAME, 20_852_163, bytes(range(32))).text()
KEYS = {algorithm: new_key(NAME, bytes([algorithm]) * 32, algorithm) for algorithm in (ED25519, COSIGNATURE, ML_DSA_44)}

# The example of C2SP's signed-note.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


@pytest.mark.parametrize("vector", GO["notes"], ids=lambda vector: vector["Name"])
def test_a_note_is_signed_byte_for_byte_as_go_signs_it(vector: dict[str, str]) -> None:
    """The keys' texts and the note are Go's, from the same seed."""
    key = new_key(vector["Name"], parse_base64(vector["Seed"]))
    assert key.encode() == vector["SignerKey"]
    assert key.verifier.encode() == vector["VerifierKey"]
    assert sign_note(vector["Text"], [key]).encode() == vector["Note"].encode()
    assert SignerKey.parse(vector["SignerKey"]) == key
    assert open_note(parse_note(vector["Note"].encode()), [VerifierKey.parse(vector["VerifierKey"])])


def test_the_example_of_the_specification_verifies() -> None:
    """Its key opens its note."""
    (signed,) = open_note(parse_note(SPEC_NOTE.encode()), [VerifierKey.parse(SPEC_KEY)])
    assert (signed.key.name, signed.time_s) == ("example.com/foo", 0)


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_algorithm_verifies_what_it_signed_and_nothing_else(algorithm: int) -> None:
    """A checkpoint with another size, another root or a turned bit is refused; the time that is stated comes back."""
    key = KEYS[algorithm]
    note = sign_note(TEXT, [key], 1_679_315_147)
    (signed,) = open_note(parse_note(note.encode()), [key.verifier])
    assert signed.time_s == (0 if algorithm == ED25519 else 1_679_315_147)
    other = Checkpoint(NAME, 20_852_164, bytes(range(32))).text()
    raw = bytearray(note.signatures[0].signature)
    raw[-1] ^= 1
    for changed in (Note(other, note.signatures), with_signature(note, bytes(raw)), with_signature(note, b"x")):
        with pytest.raises(NoteInvalid, match="wrong"):
            open_note(changed, [key.verifier])


def with_signature(note: Note, raw: bytes) -> Note:
    (one,) = note.signatures
    return Note(note.text, (type(one)(one.name, one.key_id, raw),))


@pytest.mark.parametrize("algorithm", [COSIGNATURE, ML_DSA_44])
def test_a_cosignature_covers_its_time(algorithm: int) -> None:
    """Another time with the same signature is refused."""
    key = KEYS[algorithm]
    note = sign_note(TEXT, [key], 1_000)
    later = (2_000).to_bytes(8, "big") + note.signatures[0].signature[8:]
    with pytest.raises(NoteInvalid):
        open_note(with_signature(note, later), [key.verifier])


@pytest.mark.parametrize("algorithm", [COSIGNATURE, ML_DSA_44])
def test_a_cosigner_signs_checkpoints_only(algorithm: int) -> None:
    """Any other text, and a time that does not fit."""
    with pytest.raises(NoteInvalid):
        sign_note("hello\n", [KEYS[algorithm]], 1)
    with pytest.raises(NoteInvalid, match="that time"):
        sign_note(TEXT, [KEYS[algorithm]], 1 << 63)


def test_an_ml_dsa_key_has_the_id_and_length_of_the_specification() -> None:
    """1,312 bytes of public key, 8 of time and 2,420 of signature."""
    key = KEYS[ML_DSA_44]
    assert len(key.verifier.public) == 1312
    assert len(sign_note(TEXT, [key], 1).signatures[0].signature) == 8 + 2420
    assert key.verifier.key_id != KEYS[ED25519].verifier.key_id


def test_unknown_keys_are_ignored_and_one_known_signature_suffices() -> None:
    """Signatures of other names, ids and algorithms stand in the note and change nothing."""
    known, other = KEYS[ED25519], new_key("another.example", bytes(32))
    future = parse_signature("— log.example/airlock AAAAAf8AAAA=")
    note = Note(TEXT, (future, *sign_note(TEXT, [other, known]).signatures))
    opened = parse_note(note.encode())
    assert [one.key for one in open_note(opened, [known.verifier])] == [known.verifier]
    assert opened.encode() == note.encode()
    assert find_signed(opened, [KEYS[COSIGNATURE].verifier]) == ()
    with pytest.raises(NoteInvalid, match="no trusted key"):
        open_note(opened, [KEYS[COSIGNATURE].verifier])


def test_a_wrong_signature_of_a_known_key_spoils_the_whole_note() -> None:
    """Even where another known key has signed."""
    first, second = KEYS[ED25519], new_key("another.example", bytes(32))
    good = sign_note(TEXT, [first, second])
    bad = with_signature(Note(TEXT, good.signatures[:1]), bytes(64)).signatures
    with pytest.raises(NoteInvalid, match="wrong"):
        open_note(Note(TEXT, (good.signatures[1], *bad)), [first.verifier, second.verifier])


GOOD = sign_note(TEXT, [KEYS[ED25519]]).encode()
LINE = GOOD.decode().splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothing", b""),
        ("no signature", TEXT.encode()),
        ("no empty line", TEXT.encode() + LINE.encode() + b"\n"),
        ("no last newline", GOOD[:-1]),
        ("a hyphen for the dash", GOOD.replace("—".encode(), b"-")),
        ("a control character", GOOD.replace(b"20852163", b"2085\t163")),
        ("a carriage return", GOOD.replace(b"\n", b"\r\n")),
        ("not UTF-8", GOOD + b"\xff\n"),
        ("no base64", GOOD[:-3] + b"*=\n"),
        ("base64 written otherwise", GOOD.replace(b"=\n", b"\n", 2)),
        ("no name", TEXT.encode() + "\n—  AAAAAAAAAAA=\n".encode()),
        ("a plus in the name", TEXT.encode() + "\n— a+b AAAAAAAAAAA=\n".encode()),
        ("too short", TEXT.encode() + "\n— a AAAAAA==\n".encode()),
        ("too many", TEXT.encode() + b"\n" + f"{LINE}\n".encode() * 101),
        ("too long", b"a" * 1_000_001),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_note_is_refused(name: str, data: bytes) -> None:
    """Every deviation from the one way to write a note."""
    with pytest.raises(NoteInvalid):
        open_note(parse_note(data), [KEYS[ED25519].verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log.example\n1\n",
        f"\n1\n{'A' * 43}=\n",
        f"log.example\n01\n{'A' * 43}=\n",
        f"log.example\n-1\n{'A' * 43}=\n",
        f"log.example\n+1\n{'A' * 43}=\n",
        f"log.example\n1_0\n{'A' * 43}=\n",
        f"log.example\n1 \n{'A' * 43}=\n",
        f"log.example\n9223372036854775808\n{'A' * 43}=\n",
        f"log.example\n1\n{'A' * 42}==\n",
        f"log.example\n1\n{'A' * 42}B=\n",
        f"log.example\n1\n{'A' * 43}=",
        f"log.example\n1\n{'A' * 43}=\n\n",
        f"log.example\n1\n{'A' * 43}=\n\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """Numbers, hashes and lines have one way to be written."""
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text)


def test_a_checkpoint_keeps_what_it_extends() -> None:
    """Extension lines come back, and are signed."""
    checkpoint = Checkpoint("log.example", 0, bytes(32), ("more", "lines"))
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a+",
        SPEC_KEY.replace("530d903a", "530d903b"),
        SPEC_KEY.replace("530d903a", "530D903A"),
        SPEC_KEY.replace("AekyeRrm", "+ekyeRrm"),
        SPEC_KEY[:-4],
        "ex ample+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A copy that lost a letter is noticed by its id."""
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


def test_a_private_key_is_never_shown() -> None:
    """Neither by its repr nor by the refusal of a broken one."""
    key = KEYS[ED25519]
    secret = key.encode().rpartition("+")[2]
    assert secret not in repr(key) and repr(key.seed) not in repr(key)
    for broken in (key.encode()[:-8], key.encode().removeprefix("PRIVATE+KEY+"), key.encode().replace("AQEB", "AQEC")):
        with pytest.raises(NoteInvalid) as refused:
            SignerKey.parse(broken)
        assert secret[:20] not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_a_name_that_no_key_can_have_is_refused(name: str) -> None:
    """Nothing with a space or a plus."""
    with pytest.raises(NoteInvalid):
        new_key(name, bytes(32))


@pytest.mark.parametrize("text", ["no newline", "a\ttab\n", ""])
def test_a_text_that_no_note_can_have_is_not_signed(text: Any) -> None:
    """It ends in a newline and holds no other control character."""
    with pytest.raises(NoteInvalid):
        sign_note(text, [KEYS[ED25519]])
