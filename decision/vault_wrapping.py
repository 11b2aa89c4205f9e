"""What wraps the data keys of the vault: a key in a file, or a command that asks a key management service."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from decision.model.errors import VaultUnavailable

KEY_BYTES = 32
_COMMAND_S = 10.0


class Wrapping(Protocol):
    """What wraps data keys. `name` stands beside each that it wrapped. Both raise VaultUnavailable."""

    @property
    def name(self) -> str: ...

    def wrap(self, key: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes) -> bytes: ...


class FileWrapping:
    """A wrapping key of 32 bytes, such as `keys/vault.key` holds."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.name = "file:" + hashlib.sha256(b"airlock/vault/v1\0" + key).hexdigest()[:16]

    def wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._key, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return aes_key_unwrap(self._key, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise VaultUnavailable(
                "a data key can't be unwrapped: it was changed, or wrapped by another key"
            ) from error


class CommandWrapping:
    """Two commands that speak to a key management service: what is to be (un)wrapped comes on standard input, the
    result is expected on standard output. What they complain of stays out of our messages: it may hold key material."""

    def __init__(self, name: str, wrap: Sequence[str], unwrap: Sequence[str]) -> None:
        self.name = f"command:{name}"
        self._wrap, self._unwrap = tuple(wrap), tuple(unwrap)

    def wrap(self, key: bytes) -> bytes:
        return _run(self._wrap, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return _run(self._unwrap, wrapped)


def _run(command: Sequence[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=_COMMAND_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise VaultUnavailable(
            f"the key management command {command[0]} failed ({type(error).__name__})",
            hint="run it by hand: it reads the key on standard input and writes the result on standard output",
        ) from None
    return done.stdout


class Wrappings(Protocol):
    """The wrappings that a vault may need: what it wraps with now, and those of before that data keys still name."""

    def current(self) -> Wrapping: ...

    def named(self, name: str) -> Wrapping | None:
        """The wrapping of that name, looked for again where it is not known yet; None where it is gone."""
        ...


class OneWrapping:
    """Only the one."""

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping

    def current(self) -> Wrapping:
        return self._wrapping

    def named(self, name: str) -> Wrapping | None:
        return self._wrapping if name == self._wrapping.name else None


class FileWrappings:
    """The wrapping key in a file, which is exchanged while others use it.

    `begin` writes the next key beside it, durably; then the data keys are wrapped anew, in one transaction; `finish`
    puts the next key in place. Cut off anywhere in between, every data key's wrapping key is in one of the two files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self._known: dict[str, Wrapping] = {}
        self._current = ""
        self._load()
        if not self._current:
            raise VaultUnavailable(f"there is no wrapping key in {path}", hint="restore it from your backup")

    def _load(self) -> None:
        for path in (self._next, self._path):
            try:
                key = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise VaultUnavailable(f"the wrapping key can't be read: {error}", hint=f"look at {path}") from error
            if len(key) != KEY_BYTES:
                raise VaultUnavailable(f"{path} is no key of {KEY_BYTES} bytes", hint="restore it from your backup")
            wrapping = FileWrapping(key)
            self._known[wrapping.name] = wrapping
            self._current = wrapping.name

    def current(self) -> Wrapping:
        self._load()
        return self._known[self._current]

    def named(self, name: str) -> Wrapping | None:
        if name not in self._known:
            self._load()
        return self._known.get(name)

    def begin(self, key: bytes) -> Wrapping:
        """Make `key` the next one; one that an earlier rotation left there is taken up instead."""
        try:
            descriptor = os.open(self._next, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return FileWrapping(self._next.read_bytes())
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        return FileWrapping(key)

    def finish(self) -> None:
        """Put the next key in the place of the one before, which is gone then."""
        self._next.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._load()
