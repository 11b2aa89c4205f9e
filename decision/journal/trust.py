"""Whom a verifier believes: a policy file (C2SP tlog-policy). Pure.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>…
    quorum <name>|none

A checkpoint is believed when one of the logs signed it and the quorum cosigned it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from decision.journal.algorithms import COSIGNATURE, ED25519, ML_DSA_44
from decision.journal.notes import Note, Signed, VerifierKey, find_signed
from decision.model.errors import NoteInvalid

_ALLOWED = re.compile(rb"[\x09\x0a\x20-\x7e\x80-\xff]*")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
NONE = "none"


@dataclass(frozen=True, slots=True)
class Witnessing:
    """A witness of the policy, by the name that the policy gives it."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses as soon as `needed` of `members` do."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """`quorum` names a witness, a group, or `none`."""

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, Witnessing]
    groups: Mapping[str, Group]
    quorum: str

    @property
    def witness_keys(self) -> tuple[VerifierKey, ...]:
        return tuple(one.key for one in self.witnesses.values())

    def check(self, note: Note) -> tuple[Signed, ...]:
        """The cosignatures of the policy's witnesses. Raises NoteInvalid where they are no quorum, or one is wrong."""
        cosigned = find_signed(note, self.witness_keys)
        keys = {one.key for one in cosigned}
        names = {name for name, one in self.witnesses.items() if one.key in keys}
        if not self.satisfied(names):
            raise NoteInvalid(
                f"the checkpoint is cosigned by {', '.join(sorted(names)) or 'nobody'}, which is no quorum",
                hint=f"the policy demands {self.quorum}",
            )
        return cosigned

    def satisfied(self, names: Collection[str]) -> bool:
        """Whether these witnesses are a quorum."""
        return self.quorum == NONE or self._witnessed(self.quorum, names)

    def _witnessed(self, name: str, names: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum(self._witnessed(member, names) for member in group.members) >= group.needed


def parse_policy(data: bytes) -> TrustPolicy:
    """Raises NoteInvalid naming the line."""
    if _ALLOWED.fullmatch(data) is None:
        raise NoteInvalid("the policy holds a control character")
    reading = _Reading()
    lines = data.decode("latin-1").split("\n")  # names are bytes to compare, not text to understand
    for number, line in enumerate(lines, 1):
        words = re.split("[ \t]+", line.strip(" \t"))
        if not words[0] or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except NoteInvalid as error:
            raise NoteInvalid(f"line {number} of the policy: {error.message}", hint=error.hint) from None
    if not reading.quorum:
        raise NoteInvalid("the policy has no quorum line", hint="`quorum none` demands no witness")
    return TrustPolicy(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)


class _Reading:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, Witnessing] = {}
        self.groups: dict[str, Group] = {}
        self.quorum = ""
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                self.logs.append(self._key(key, (ED25519, ML_DSA_44), self.logs))
            case ["witness", name, key, *rest] if len(rest) < 2:
                known = [one.key for one in self.witnesses.values()]
                found = Witnessing(self._key(key, (COSIGNATURE, ML_DSA_44), known), rest[0] if rest else "")
                self.witnesses[self._new(name)] = found
            case ["group", name, count, *members] if members:
                self.groups[self._new(name)] = self._group(count, members)
            case ["quorum", name] if not self.quorum:
                if name != NONE:
                    self._defined((name,))
                self.quorum = name
            case ["quorum", *_]:
                raise NoteInvalid("there is one quorum line, with one name")
            case _:
                raise NoteInvalid("it is none of log, witness, group and quorum, or has too few or too many words")

    def _key(self, text: str, allowed: Collection[int], known: Iterable[VerifierKey]) -> VerifierKey:
        key = VerifierKey.parse(text.encode("latin-1").decode("utf-8", "replace"))
        if key.algorithm not in allowed:
            raise NoteInvalid(f"a key of type 0x{key.algorithm:02x} can't stand there")
        if any(one.public == key.public for one in known):
            raise NoteInvalid("the same key twice")
        return key

    def _new(self, name: str) -> str:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise NoteInvalid(f"the name {name!r} is taken")
        return name

    def _group(self, count: str, members: list[str]) -> Group:
        self._defined(members)
        if len(set(members)) < len(members) or self._members & set(members):
            raise NoteInvalid("a name is a member once")
        self._members.update(members)
        needed = {"all": len(members), "any": 1}.get(count, 0)
        if not needed:
            if _COUNT.fullmatch(count) is None or int(count) > len(members):
                raise NoteInvalid(f"{count!r} is not all, any, or a number up to {len(members)}")
            needed = int(count)
        return Group(needed, tuple(members))

    def _defined(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.witnesses and name not in self.groups:
                raise NoteInvalid(f"{name!r} is not defined above")
