"""The projection's place beside the decision path: it waits, statements don't.

Both share the machine's processors on one node. What is decided is durable before it is projected, so the projection
can fall behind without harm, and catches up as soon as there is time; a statement that waits is a person who waits.
"""

from __future__ import annotations

import gc
import os

NICE = 5
"""How much lower than its parent's the priority of the projecting process is, from 0 (the same) to 19 (the lowest).
At 5 it has a third of what a process of ours gets where all are busy: enough not to fall behind for ever."""

_YOUNG = 100_000


def step_back(nice: int = NICE) -> None:
    """Lower this process's priority, and let the garbage collector look rarely: a batch's rows are many and live
    briefly, in no cycles, and looking through them took a third of the fold's time."""
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    gc.set_threshold(_YOUNG, 20, 100)
