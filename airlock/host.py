"""A long-running process: loop, signals, children, and the end of it all in the reverse order of the beginning."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from decision.model.metrics import Measured

log = logging.getLogger(__name__)

CHILD_RESTART_S = 1.0
CHILD_STOP_S = 15.0

Body = Callable[["Host"], Awaitable[None]]


class Host:
    """`stack` holds what must be ended; `stop` asks for the end; `failure` is why it ended if not by wish; `measured`
    are the parts whose numbers are shown."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.measured: list[Measured] = []
        self.failure: BaseException | None = None
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        self._ending.set()

    def fail(self, error: BaseException) -> None:
        """End with an error; may be called from any thread."""

        def ending() -> None:
            self.failure = self.failure or error
            self._ending.set()

        self._loop.call_soon_threadsafe(ending)

    async def wait(self) -> None:
        await self._ending.wait()

    def keep_child(self, *arguments: str, log_file: Path, pass_fds: tuple[int, ...] = ()) -> None:
        """Run `airlock ARGUMENTS` as a child, and again when it ends before we do. `pass_fds` stay open in it."""
        task = asyncio.get_running_loop().create_task(self._child(arguments, log_file, pass_fds))

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.stack.push_async_callback(end)

    async def _child(self, arguments: tuple[str, ...], log_file: Path, pass_fds: tuple[int, ...]) -> None:
        while True:
            with log_file.open("ab") as out:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "airlock.main", *arguments,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, pass_fds=pass_fds,
                )  # fmt: skip
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                await _end_child(process)
                raise
            log.warning("airlock %s ended with status %s and is started again; see %s", arguments[0], status, log_file)
            await asyncio.sleep(CHILD_RESTART_S)


async def _end_child(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(CHILD_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def settle_memory() -> None:
    """Take what was built at the start out of the garbage collector's sight: it stays until the end, and looking
    through it again and again costs every statement its share."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run(body: Body) -> None:
    """Run `body` (which starts things and returns) until SIGINT, SIGTERM or a failure; then end everything.

    Raises what made it fail.
    """

    async def main() -> None:
        host = Host()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, host.stop)
        async with host.stack:
            starting = asyncio.ensure_future(body(host))
            ending = asyncio.ensure_future(host.wait())
            await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():  # asked to end while it was starting
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            elif not starting.cancelled() and (error := starting.exception()) is not None:
                ending.cancel()
                raise error
            settle_memory()
            await ending
        if host.failure is not None:
            raise host.failure

    if sys.platform == "win32":
        asyncio.run(main())
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
