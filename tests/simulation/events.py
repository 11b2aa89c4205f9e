"""Small events for the journal's tests."""

from __future__ import annotations

from decision.model.events import EventDraft, SessionClosed


def draft(number: int, size: int = 0) -> EventDraft:
    """An event that is told from others by `number`; `size` more bytes."""
    payload = SessionClosed(f"session-{number}", "x" * size, number, 2, 3, 4)
    return EventDraft(f"event-{number}", 1_700_000_000_000_000_000 + number, "test", f"session-{number}", payload)
