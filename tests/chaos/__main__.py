"""`make chaos`: kill -9 of everything under load, then the account.

    python -m tests.chaos [--seconds 90] [--seed N] [--keep]

Exit status 1 where anything acknowledged is missing, doubled, changed or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
from pathlib import Path

from airlock.demo.postgres import BundledPostgres
from airlock.demo.shop import SMALL, load_shop
from tests.chaos.storm import storm, told, written
from tests.e2e.support import world_reachable_folder
from tests.support.servers import started


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="how long things are killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
    parser.add_argument("--report", type=Path, help="write the account there as JSON")
    chosen = parser.parse_args()
    folder = world_reachable_folder()
    print(f"chaos: seed {chosen.seed}, {chosen.seconds:.0f} s of kills, in {folder}", flush=True)
    with started(BundledPostgres) as server:
        shop = load_shop(server.dsn("postgres"), "shop", SMALL)
        account = asyncio.run(storm(folder, shop, seed=chosen.seed, seconds=chosen.seconds))
    print(told(account))
    if chosen.report:
        chosen.report.write_text(written(account, chosen.seed) + "\n")
    if not chosen.keep and not account.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if account.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
