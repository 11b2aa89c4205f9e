"""The enforcement point beside a direct connection and pgbouncer, with recording on. Writes bench/results/proxy.json.

    python -m bench.proxy [--quick] [--only pgbench|bulk]

- pgbench -S with 1, 8 and 32 clients, simple, extended and prepared: transactions a second and ratios;
  as a person for whom nothing is masked, and as one for whom a column of the table is;
- a million rows of six columns read by SELECT and COPY: rows a second and growth of Airlock's memory, nothing masked
  and one column masked (a constant in its place, and an email mask), with the masking engine compiled and interpreted;
- ten million rows through one connection: growth of memory, and another client's 99th percentile meanwhile.

Everything shares the machine: pgbench, PostgreSQL, Airlock, its projection. Each figure is the best of its rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from airlock.demo.postgres import bin_folder
from bench.measure import cpu_s, machine, percentile, rss_mib, write
from bench.servers import Place, airlock, pgbouncer, pgbouncer_program, postgres, through
from tests.e2e.support import Running

MODES = ("simple", "extended", "prepared")
READY = b"Z\x00\x00\x00\x05I"
SELECT = "SELECT * FROM people"
COPY = "COPY people TO STDOUT"
TEN_TIMES = "SELECT p.* FROM people p CROSS JOIN generate_series(1, 10)"


# ── pgbench ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def pgbench(place: Place, clients: int, mode: str, seconds: int) -> dict[str, float]:
    """Transactions a second, and CPU microseconds a transaction of the process between."""
    command = [str(bin_folder(18) / "pgbench"), "-S", "-n", "-M", mode, "-c", str(clients), "-j", "1",
               "-T", str(seconds), place.database]  # fmt: skip
    begun = cpu_s(place.pid) if place.pid else 0.0
    done = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=False)
    spent = cpu_s(place.pid) - begun if place.pid else 0.0
    if done.returncode != 0:
        raise RuntimeError(f"pgbench: {done.stderr[-500:]}")
    tps = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))
    return {"tps": round(tps), "cpu_us": round(spent / (tps * seconds) * 1e6, 1)}


def all_pgbench(places: dict[str, Place], clients: tuple[int, ...], rounds: int, seconds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode in MODES:
        for count in clients:
            row: dict[str, Any] = {}
            for _ in range(rounds):
                for name, place in places.items():
                    new = pgbench(place, count, mode, seconds)
                    if new["tps"] > row.get(name, {}).get("tps", 0):
                        row[name] = new
            for name in list(row):
                for base in ("direct", "pgbouncer"):
                    if base in row and name != base:
                        row[name][f"to_{base}"] = round(row[name]["tps"] / row[base]["tps"], 2)
            found[f"{mode}, {count}"] = row
            print(f"pgbench {mode}, {count}: {row}", flush=True)
    return found


# ── many rows ───────────────────────────────────────────────────────────────────────────────────────────────────────


def read_all(place: Place, sql: str) -> tuple[float, int]:
    """(seconds, bytes) until the server is ready again, by a reader that looks at nothing but the end."""
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        connection.pgconn.send_query(sql.encode())
        while connection.pgconn.flush():
            pass
        server, room, total, tail = connection.pgconn.socket, bytearray(1 << 20), 0, b""
        begun = time.perf_counter()
        while not tail.endswith(READY):
            select.select([server], [], [], 60)
            got = os.readv(server, [room])
            if not got:
                raise RuntimeError("the connection ended")
            total += got
            tail = (tail + bytes(room[max(0, got - 16) : got]))[-16:]
        seconds = time.perf_counter() - begun
        connection.pgconn.finish()
        return seconds, total


def reading(place: Place, sql: str) -> dict[str, float]:
    """`read_all` in a process of its own, which shares no interpreter lock with the measuring."""
    command = [sys.executable, "-m", "bench.proxy", "--read", place.conninfo, sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-500:])
    return dict(json.loads(done.stdout))


@contextlib.contextmanager
def watching(pid: int) -> Iterator[dict[str, float]]:
    """Fills `grown_mib`: the most by which the process's resident memory rose above where it began."""
    found = {"grown_mib": 0.0}
    if not pid:
        yield found
        return
    base, over = rss_mib(pid), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            found["grown_mib"] = max(found["grown_mib"], round(rss_mib(pid) - base, 1))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def bulk(places: dict[str, Place], rows: int, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for way, sql in (("select", SELECT), ("copy", COPY)):
        for _ in range(rounds):
            for name, place in places.items():
                begun = cpu_s(place.pid) if place.pid else 0.0
                with watching(place.pid) as memory:
                    got = reading(place, sql)
                spent = cpu_s(place.pid) - begun if place.pid else 0.0
                new = {
                    "rows_per_s": round(rows / got["seconds"]),
                    "mib": round(got["bytes"] / 2**20),
                    "cpu_ns_per_row": round(spent / rows * 1e9),
                    "grown_mib": memory["grown_mib"],
                }
                known = found.get(f"{way}, {name}")
                if known is None or new["rows_per_s"] > known["rows_per_s"]:
                    found[f"{way}, {name}"] = new
        for name in places:
            row = found[f"{way}, {name}"]
            row["to_direct"] = round(row["rows_per_s"] / found[f"{way}, direct"]["rows_per_s"], 2)
            print(f"{way}, {name}: {row}", flush=True)
    return found


def beside(place: Place, over: threading.Event, found: list[float]) -> None:
    """Another client's point selects, in milliseconds each, until `over`."""
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        number = 0
        while not over.is_set():
            number += 1
            begun = time.perf_counter()
            connection.execute("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (number,)).fetchone()
            found.append((time.perf_counter() - begun) * 1000)
            time.sleep(0.002)


def long_read(place: Place, sql: str) -> dict[str, Any]:
    """Ten million rows: growth of memory, and another client's latency meanwhile."""
    over, times = threading.Event(), list[float]()
    other = threading.Thread(target=beside, args=(place, over, times))
    other.start()
    try:
        with watching(place.pid) as memory:
            got = reading(place, sql)
    finally:
        over.set()
        other.join()
    return {
        "seconds": round(got["seconds"], 1),
        "mib": round(got["bytes"] / 2**20),
        **memory,
        "other_client_ms": {"median": round(percentile(times, 0.5), 2), "p99": round(percentile(times, 0.99), 2)},
    }


# ── the run ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def many_rows(folder: Path, server: Place, up: Running, rows: int, rounds: int) -> dict[str, Any]:
    with airlock(folder, server, compiled=False) as plain:
        places = {
            "direct": server,
            "airlock, nothing masked": through(up, masked=False),
            "airlock, constant": through(up, masked=True, database="bench_full"),
            "airlock, email": through(up, masked=True),
            "airlock, constant, interpreted": through(plain, masked=True, database="bench_full"),
            "airlock, email, interpreted": through(plain, masked=True),
        }
        return bulk(places, rows, rounds)


def run(*, quick: bool = False, only: str = "", rounds: int = 3) -> dict[str, Any]:
    rows, rounds = (200_000, 1) if quick else (1_000_000, rounds)
    folder = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
    folder.chmod(0o755)
    result: dict[str, Any] = {"machine": machine(), "rounds": rounds}
    try:
        with postgres(folder, 1 if quick else 5, rows) as server, contextlib.ExitStack() as stack:
            up = stack.enter_context(airlock(folder, server))
            if only != "bulk":
                places = {
                    "direct": server,
                    "airlock": through(up, masked=False),
                    "airlock, masks": through(up, masked=True),
                }
                if pgbouncer_program() is None:
                    result["pgbouncer"] = "left out: not installed (Debian: apt-get install pgbouncer)"
                else:
                    places["pgbouncer"] = stack.enter_context(pgbouncer(folder, server))
                clients = (8,) if quick else (1, 8, 32)
                result["pgbench"] = all_pgbench(places, clients, min(rounds, 2), 2 if quick else 3)
            if only != "pgbench":
                result["bulk"] = many_rows(folder, server, up, rows, rounds)
                for name, masked in (("nothing masked", False), ("email masked", True)):
                    long = long_read(through(up, masked=masked), TEN_TIMES)
                    result.setdefault("ten times the rows, one connection", {})[name] = long
                    print(f"ten times the rows, {name}: {long}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write("proxy", result, keep=bool(only))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows, one short round: for a look, not for a figure"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("pgbench", "bulk"), default="")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        conninfo, sql = given.read
        pairs = dict(pair.split("=", 1) for pair in conninfo.split())
        place = Place(pairs["host"], int(pairs["port"]), pairs["dbname"], pairs["user"], pairs["password"])
        seconds, size = read_all(place, sql)
        print(json.dumps({"seconds": seconds, "bytes": size}))
        return
    run(quick=given.quick, only=given.only, rounds=given.rounds)


if __name__ == "__main__":
    main()
