"""Hot reload: watch a bundle's folder, try the new one, swap atomically; a broken one is refused and the old stays.

The folder is looked at by digest, and a new digest is judged only when it was seen twice in a row: a half-written edit
is not taken. Each digest is judged once, so a broken bundle is reported once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from decision.model.errors import BundleRejected, PolicyError
from decision.policy.bundle import Bundle, BundleFiles, build_bundle, read_files
from decision.policy.smoke import SMOKE_DOCUMENTS

log = logging.getLogger(__name__)

OnActivated = Callable[[str, str, tuple[str, ...]], Awaitable[None] | None]
OnRejected = Callable[[str, str], Awaitable[None] | None]


class ReloadableEngine(Protocol):
    """A PolicyEngine whose bundle can be exchanged while it evaluates."""

    @property
    def bundle(self) -> Bundle | None: ...

    async def prepare(self, bundle: Bundle, documents: tuple[bytes, ...]) -> None:
        """Try the bundle beside the active one. Raises BundleRejected or PolicyError."""
        ...

    async def activate(self, bundle: Bundle) -> None: ...

    def note_rejected(self, error: str) -> None: ...


class BundleReloader:
    """Keeps `engine` on the newest sound bundle of `folder`.

    `on_activated(revision, previous revision or "", policies)` and `on_rejected(revision or digest, error)` are called
    (and awaited) after the fact, once each; what they raise is logged and does not undo the swap.
    """

    def __init__(
        self,
        folder: Path,
        engine: ReloadableEngine,
        *,
        poll_s: float = 1.0,
        on_activated: OnActivated | None = None,
        on_rejected: OnRejected | None = None,
        documents: tuple[bytes, ...] = SMOKE_DOCUMENTS,
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._poll_s = poll_s
        self._on_activated = on_activated
        self._on_rejected = on_rejected
        self._documents = documents
        self._judged = ""
        self._pending = ""

    async def load(self) -> str:
        """Load the bundle at start, or at once after a change; its revision. Raises BundleRejected, with the event."""
        files = await asyncio.to_thread(read_files, self._folder)
        error = await self._judge(files)
        if error is not None:
            raise error
        bundle = self._engine.bundle
        assert bundle is not None
        return bundle.revision

    async def poll(self) -> None:
        """One look at the folder. Never raises for what it finds there."""
        try:
            files = await asyncio.to_thread(read_files, self._folder)
        except BundleRejected as error:
            if self._judged != error.message:
                self._judged = error.message
                await self._reject("", error)
            return
        digest = files.digest
        if digest == self._judged:
            self._pending = ""
        elif digest != self._pending:
            self._pending = digest
        else:
            await self._judge(files)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.poll()
            except Exception:
                log.exception("looking at the policy bundle failed; the active one stays")

    async def _judge(self, files: BundleFiles) -> BundleRejected | None:
        digest = files.digest
        revision = digest
        previous = self._engine.bundle
        try:
            bundle = await asyncio.to_thread(build_bundle, files)
            revision = bundle.revision
            if previous is None or previous.revision != revision:
                await self._engine.prepare(bundle, self._documents)
                await self._engine.activate(bundle)
        except BundleRejected as error:
            self._judged, self._pending = digest, ""
            await self._reject(revision, error)
            return error
        except PolicyError as error:
            # The engine could not be asked (an OPA server that is down): not the bundle's fault, so it is tried again.
            unreachable = BundleRejected(f"the bundle could not be tried: {error.message}", hint=error.hint)
            self._engine.note_rejected(unreachable.message)
            return unreachable
        self._judged, self._pending = digest, ""
        if previous is None or previous.revision != revision:
            await self._call(
                self._on_activated, revision, "" if previous is None else previous.revision, bundle.policies
            )
        return None

    async def _reject(self, revision: str, error: BundleRejected) -> None:
        text = f"{error.message}; {error.hint}" if error.hint else error.message
        self._engine.note_rejected(text)
        log.warning("policy bundle refused: %s", text)
        await self._call(self._on_rejected, revision, text)

    @staticmethod
    async def _call(callback: Callable[..., Awaitable[None] | None] | None, *arguments: object) -> None:
        if callback is None:
            return
        try:
            outcome = callback(*arguments)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:
            log.exception("telling about a policy bundle failed")
