"""A long fuzz of the analysis: mutated statements, sessions of several messages, in processes that may die.

    python -m tests.fuzz --minutes 10 [--seed N] [--corpus FOLDER]     prints its seed and every finding
    python -m tests.fuzz --dialect mysql --minutes 10                  another dialect, or `all` of them in turn
    python -m tests.fuzz --seed N --round M                            plays one round again

Only errors of the tree may come out. A finding is a traceback, a message that took too long, or a worker that died or
hung; each is printed with its round, and the run goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from decision.analysis.dialects import DIALECTS
from decision.model.catalog import CatalogSnapshot
from tests.fuzz import dialects
from tests.fuzz.corpus import cases, regression
from tests.fuzz.session import play
from tests.support.toolchains import regression_sql
from tests.unit.test_analysis_cases import catalog

HANG_S = 120.0
Player = Callable[[int, int, Sequence[str], CatalogSnapshot], list[bytes]]


def work(seed: int, first: int, corpus: Sequence[str], until: float, answers: Connection, player: Player) -> None:
    """Rounds from `first` on, each announced before it is played, so that a death has a name."""
    snapshot = catalog()
    number = first
    while time.monotonic() < until:
        answers.send((number, ""))
        try:
            player(seed, number, corpus, snapshot)
        except Exception:
            answers.send((number, traceback.format_exc(limit=-8)))
        number += 1
    answers.send((number, None))


def run(seed: int, minutes: float, corpus: Sequence[str], player: Player = play) -> int:
    """The number of findings; each is printed."""
    until = time.monotonic() + minutes * 60
    context = multiprocessing.get_context("fork")
    findings, number, done = 0, 0, False
    while not done:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(seed, number, corpus, until, theirs, player))
        worker.start()
        theirs.close()
        ended = ""
        while True:
            if not ours.poll(HANG_S):
                worker.kill()
                ended = "hung"
                break
            try:
                number, found = ours.recv()
            except EOFError:
                ended = "died"
                break
            if found is None:
                done = True
                break
            if found:
                findings += 1
                print(f"--- seed {seed} round {number}\n{found}", flush=True)
        worker.join()
        if ended:
            findings += 1
            print(f"--- seed {seed} round {number}: the worker {ended} ({worker.exitcode})", flush=True)
            number += 1
    print(f"seed {seed}: {number} rounds, {findings} findings")
    return findings


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options.add_argument("--round", type=int, help="play this round only, in this process")
    options.add_argument("--corpus", type=Path, default=regression_sql(), help="a folder with *.sql files")
    options.add_argument("--dialect", choices=("postgres", "all", *DIALECTS), default="postgres")
    given = options.parse_args()
    player: Player = play
    if given.dialect == "postgres":
        corpus = cases() + regression(given.corpus)
    else:
        corpus, player = dialects.cases(given.dialect), dialects.player(given.dialect)
    print(f"seed {given.seed}, {len(corpus)} statements", flush=True)
    if given.round is not None:
        for text in player(given.seed, given.round, corpus, catalog()):
            print(repr(text))
        return
    raise SystemExit(1 if run(given.seed, given.minutes, corpus, player) else 0)


if __name__ == "__main__":
    main()
