"""Policy files of C2SP's tlog-policy: whom a verifier believes."""

from __future__ import annotations

import itertools

import pytest

from decision.journal.algorithms import COSIGNATURE, ML_DSA_44
from decision.journal.checkpoints import Checkpoint
from decision.journal.notes import new_key, sign_note
from decision.journal.trust import parse_policy
from decision.model.errors import NoteInvalid

LOG = new_key("log.example", bytes(32))
KEYS = {
    name: new_key(f"{name.lower()}.example", name.encode() * 16, ML_DSA_44 if name == "Y3" else COSIGNATURE)
    for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")
}
LINES = {name: f"witness {name} {key.verifier.encode()}" for name, key in KEYS.items()}
POLICY = f"""
# The example of the specification.
log {LOG.verifier.encode()} https://log.example/
{LINES["X1"]} https://x1.example/sub
{LINES["X2"]}
\t{LINES["X3"]}  \t
group  X-witnesses 2 X1 X2 X3

{LINES["Y1"]}
{LINES["Y2"]}
{LINES["Y3"]}
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
""".encode()


def test_the_example_of_the_specification_demands_two_of_x_and_one_of_y() -> None:
    """Over every set of witnesses."""
    policy = parse_policy(POLICY)
    assert policy.logs == (LOG.verifier,) and policy.witnesses["X1"].url == "https://x1.example/sub"
    for count in range(len(KEYS) + 1):
        for names in itertools.combinations(KEYS, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
            assert policy.satisfied(names) == enough


def test_a_checkpoint_is_believed_by_the_cosignatures_that_it_has() -> None:
    """Those of others do not count; a wrong one spoils it."""
    policy = parse_policy(POLICY)
    text = Checkpoint("log.example", 5, bytes(32)).text()
    stranger = new_key("stranger.example", bytes(32), COSIGNATURE)
    good = sign_note(text, [LOG, KEYS["X1"], KEYS["X3"], KEYS["Y3"], stranger], 1_700_000_000)
    assert {one.key for one in policy.check(good)} == {KEYS[name].verifier for name in ("X1", "X3", "Y3")}
    with pytest.raises(NoteInvalid, match="cosigned by X1, Y3, which is no quorum"):
        policy.check(sign_note(text, [LOG, KEYS["X1"], KEYS["Y3"], stranger], 1))
    with pytest.raises(NoteInvalid, match="is wrong"):
        policy.check(type(good)(text.replace("\n5\n", "\n6\n"), good.signatures))


def test_no_quorum_can_be_demanded() -> None:
    """Then a log's own signature is enough."""
    policy = parse_policy(f"log {LOG.verifier.encode()}\nquorum none\n".encode())
    assert policy.satisfied(()) and policy.check(sign_note("x\n", [LOG])) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no quorum line"),
        ("quorum none\nquorum none", "line 2 of the policy: there is one quorum line"),
        ("quorum", "one quorum line, with one name"),
        ("quorum X1", "'X1' is not defined above"),
        (f"{LINES['X1']}\n{LINES['X1']}", "the same key twice"),
        (f"{LINES['X1']}\n{LINES['X2'].replace('X2', 'X1')}", "the name 'X1' is taken"),
        (LINES["X1"].replace("X1", "none"), "the name 'none' is taken"),
        (f"{LINES['X1']} url more", "too few or too many words"),
        (f"witness X1 {LOG.verifier.encode()}", "type 0x01 can't stand there"),
        (f"log {KEYS['X1'].verifier.encode()}", "type 0x04 can't stand there"),
        (f"{LINES['X1']}\ngroup g 2 X1", "'2' is not all, any, or a number up to 1"),
        (f"{LINES['X1']}\ngroup g 0 X1", "'0' is not all"),
        (f"{LINES['X1']}\ngroup g 01 X1", "'01' is not all"),
        (f"{LINES['X1']}\ngroup g all X1 X1", "a member once"),
        (f"{LINES['X1']}\ngroup g all X1\ngroup h all X1", "a member once"),
        (f"{LINES['X1']}\ngroup g all", "too few or too many words"),
        ("group g all g", "'g' is not defined above"),
        ("nonsense", "none of log, witness, group and quorum"),
        ("witness X1 nonsense", "that is no key"),
        ("quorum none\r", "control character"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_by_its_line(text: str, said: str) -> None:
    """Nothing of it is believed."""
    with pytest.raises(NoteInvalid, match=said):
        parse_policy(text.encode())
