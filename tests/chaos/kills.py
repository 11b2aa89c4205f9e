"""kill -9 of every part and of the broker, in rounds: each once a round, in a random order, at random moments."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.composition import Composition, Part

Kill = Callable[[], object]


def relay_of(part: Part) -> int:
    """The process that relays a decision service's journal; 0 where there is none now."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"relay" in words and str(part.data_dir).encode() in words:
                return int(folder.name)
    return 0


class Killer:
    """`kills` counts by name what was really killed."""

    def __init__(self, composition: Composition, seed: int) -> None:
        self._composition = composition
        self._chance = random.Random(seed)
        self.kills: Counter[str] = Counter()

    async def run(self, seconds: float, *, least_rounds: int = 1) -> None:
        """Whole rounds until `seconds` are over."""
        end = asyncio.get_running_loop().time() + seconds
        rounds = 0
        while rounds < least_rounds or asyncio.get_running_loop().time() < end:
            rounds += 1
            targets = [
                *self._composition.parts,
                *(f"relay of {one.name}" for one in self._composition.services),
                "broker",
            ]
            self._chance.shuffle(targets)
            for target in targets:
                await asyncio.sleep(self._chance.uniform(0.2, 2.5))  # the random moment
                await self._kill(target)

    async def _kill(self, target: Part | str) -> None:
        down_s = self._chance.uniform(0, 0.8)
        if isinstance(target, Part):
            if target.running:
                target.kill()
                self.kills[target.name] += 1
            await asyncio.sleep(down_s)
            target.keep()
        elif target == "broker":
            await asyncio.to_thread(self._composition.broker.kill)
            self.kills["broker"] += 1
            await asyncio.sleep(down_s)
            await asyncio.to_thread(self._composition.broker.start)
        else:
            part = next(one for one in self._composition.services if target.endswith(one.name))
            pid = await self._found(part)
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills[target] += 1

    async def _found(self, part: Part) -> int:
        """The relay, once it is there again: its decision service may have been killed a moment ago."""
        end = asyncio.get_running_loop().time() + 8
        while not (pid := relay_of(part)) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.1)
        return pid

    def keep_all(self) -> None:
        """Start what is gone."""
        for part in self._composition.parts:
            part.keep()
