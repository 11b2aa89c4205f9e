"""From the log back into the trail: each published checkpoint becomes a CheckpointSigned event.

Whoever owns a journal polls the log's folder. What was recorded is marked in a file beside the checkpoint, so that a
restart records none twice; killed between the two, one is recorded again, which says nothing new.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from decision.journal.checkpoints import parse_checkpoint
from decision.journal.notes import parse_note
from decision.journal.tiles import CHECKPOINT
from decision.model.errors import JournalUnavailable, NoteInvalid
from decision.model.events import CheckpointSigned

log = logging.getLogger(__name__)

POLL_S = 1.0
_RECORDED = ".recorded"


class CheckpointTail:
    """The newest checkpoint of the log in `folder` that is no event yet. Used from one thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CHECKPOINT
        self._mark = folder / _RECORDED
        self._seen: tuple[int, int] | None = None

    def poll(self) -> CheckpointSigned | None:
        """The checkpoint to record, if there is one. Cheap where nothing has changed."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        if (found.st_ino, found.st_mtime_ns) == self._seen:
            return None
        try:
            data = self._path.read_bytes()
            checkpoint = parse_checkpoint(parse_note(data).text)
        except (OSError, NoteInvalid) as error:
            log.error("the log's checkpoint can't be read: %s", error)
            return None
        if self._recorded() == str(checkpoint.size):
            self._seen = (found.st_ino, found.st_mtime_ns)
            return None
        return CheckpointSigned(checkpoint.origin, checkpoint.size, checkpoint.root, data.decode())

    def recorded(self, signed: CheckpointSigned) -> None:
        """`signed` is durable as an event."""
        staged = self._mark.with_name(f"{_RECORDED}.{os.getpid()}")
        staged.write_text(str(signed.tree_size))
        staged.replace(self._mark)

    def _recorded(self) -> str:
        try:
            return self._mark.read_text()
        except OSError:
            return ""


async def follow_checkpoints(
    folder: Path, record: Callable[[CheckpointSigned], Awaitable[object]], poll_s: float = POLL_S
) -> None:
    """Record each checkpoint of the log in `folder`, until cancelled. While `record` raises JournalUnavailable it is
    tried again."""
    tail = CheckpointTail(folder)
    while True:
        signed = await asyncio.to_thread(tail.poll)
        if signed is not None:
            try:
                await record(signed)
                await asyncio.to_thread(tail.recorded, signed)
            except JournalUnavailable as error:
                log.warning("a checkpoint can't be recorded now: %s", error.message)
            except OSError as error:
                log.warning("what was recorded can't be marked: %s", error.strerror)
        await asyncio.sleep(poll_s)
