"""Keys of statement texts that are kept encrypted, as they are listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextKey:
    """A data key: of a principal, with those whom it acted for, for one month (UTC, `2026-11`). `wrapping` names the
    key or the command that it is wrapped by."""

    key_id: str
    subject: str
    issuer: str
    on_behalf_of: tuple[str, ...]
    month: str
    wrapping: str
