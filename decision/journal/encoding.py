"""Base64 as C2SP's formats write it: standard, padded, in the one way to write the bytes. Pure."""

from __future__ import annotations

import base64
import binascii

from decision.model.errors import NoteInvalid


def base64_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def parse_base64(text: str) -> bytes:
    """Raises NoteInvalid."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise NoteInvalid("that is no base64") from None
    if base64_text(found) != text:
        raise NoteInvalid("that is not the one way to write these bytes in base64")
    return found
