"""The settings `[texts]`: what of the statements' own words is kept, and who may read or erase it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator


class TextSettings(BaseModel):
    """`statement_text`: `redacted` keeps statements without literals; `encrypted` keeps the exact text, too, under a
    key of the principal and the month that can be erased; `full` keeps the exact text for whoever reads the audit.

    `readers` and `erasers` are groups whose members may read encrypted texts and erase them; nobody by default.
    The keys are wrapped by the key in `key_file` (32 bytes; default: made in the data folder), or by a key management
    service: `wrap_command` and `unwrap_command` read on standard input and write on standard output.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    statement_text: Literal["redacted", "encrypted", "full"] = "redacted"
    readers: tuple[str, ...] = ()
    erasers: tuple[str, ...] = ()
    key_file: Path | None = None
    wrap_command: tuple[str, ...] = ()
    unwrap_command: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> TextSettings:
        if bool(self.wrap_command) != bool(self.unwrap_command):
            raise ValueError("wrap_command and unwrap_command belong together: set both or neither")
        if self.wrap_command and self.key_file is not None:
            raise ValueError("key_file and wrap_command exclude each other: set one of them")
        return self
