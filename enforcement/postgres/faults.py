"""What is logged of an error that is none of ours: its kind and place, never its text, which may hold a value."""

from __future__ import annotations

import traceback


def place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{type(error).__name__} at {place}"
