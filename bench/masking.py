"""What masking costs: `python bench/masking.py [rows]` writes bench/results/masking.json.

Two measurements, all ratios of one run on one machine:

- in memory: rows of six columns (136 bytes) rewritten with one column masked by each method, interpreted and compiled,
  beside a plain copy of the same buffers;
- on sockets: a real PostgreSQL sends the rows, this process relays them to a reader in another process; without masks,
  and with one column of six masked. `direct` is reading from the server without a relay.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from types import ModuleType
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from airlock.demo.postgres import BundledPostgres  # noqa: E402
from decision.compiled import load_source  # noqa: E402

INT32 = Struct("!i")
COLUMNS = [b"123456", b"Some Name Here", b"somebody@example.com", b"2024-01-01 00:00:00", b"x" * 40, b"12.50"]
QUERY = (
    "SELECT i, 'Some Name Here '||i, 'somebody'||i||'@example.com', timestamp '2024-01-01', repeat('x', 30), 12.50"
    " FROM generate_series(1, {rows}) i"
)
METHODS = {"full": 1, "email": 2, "last_four": 3, "partial": 4, "hash": 5}
SLICE = 32 * 1024
ROUNDS = 5


def row() -> bytes:
    body = len(COLUMNS).to_bytes(2, "big") + b"".join(INT32.pack(len(value)) + value for value in COLUMNS)
    return b"D" + INT32.pack(len(body) + 4) + body


def forms() -> dict[str, ModuleType]:
    import enforcement.masking.rows as used

    found = {"interpreted": load_source("enforcement.masking.rows")}
    if used.COMPILED:
        found["compiled"] = used
    return found


def rewriter(module: ModuleType, action: int) -> Any:
    return module.RowRewriter(len(COLUMNS), [module.ColumnMask(3, action, b"***", b"0123456789abcdef")])


# ── in memory ───────────────────────────────────────────────────────────────────────────────────────────────────────


def cpu(work: Callable[[bytes], object], buffer: bytes, repeat: int) -> float:
    """CPU nanoseconds of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time_ns()
        for _ in range(repeat):
            work(buffer)
        best = min(best, (time.process_time_ns() - begin) / repeat)
    return best


def in_memory(modules: dict[str, ModuleType]) -> dict[str, Any]:
    count = SLICE // len(row())
    buffer = row() * count
    found: dict[str, Any] = {"row_bytes": len(row()), "copy_ns_per_row": round(cpu(bytearray, buffer, 200) / count, 1)}
    for name, module in modules.items():
        for method, action in METHODS.items():
            one = rewriter(module, action)
            spent = cpu(lambda data, one=one: one.rewrite(data, 0, len(data)), buffer, 40)  # type: ignore[misc]
            found[f"{name}_{method}_ns_per_row"] = round(spent / count)
        scanned = cpu(lambda d, m=module: m.count_messages(d, 0, len(d), 68, -1), buffer, 40)  # type: ignore[misc]
        found[f"{name}_count_ns_per_row"] = round(scanned / count)
    return found


# ── on sockets ──────────────────────────────────────────────────────────────────────────────────────────────────────


def reader() -> tuple[socket.socket, int]:
    """A process that reads all it gets; our end of the socket, and its id."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while theirs.recv(SLICE * 8):
            pass
        os._exit(0)
    theirs.close()
    return ours, child


def relay(
    connection: psycopg.Connection[Any], query: bytes, sink: socket.socket | None, mask: Any
) -> tuple[float, float]:
    """Seconds and CPU seconds of this process until the server is ready again. `mask` rewrites runs of rows."""
    import enforcement.masking.rows as used

    connection.pgconn.send_query(query)
    while connection.pgconn.flush():
        pass
    server = connection.pgconn.socket
    began, cpu_began = time.perf_counter(), time.process_time()
    carry = b""
    over = False
    while not over:
        select.select([server], [], [])
        data = os.read(server, SLICE * 4)
        over = data.endswith(b"Z\x00\x00\x00\x05I")
        if mask is None:
            if sink is not None:
                sink.sendall(data)
            continue
        data = carry + data
        position = 0
        while position < len(data):
            end, _ = used.count_messages(data, position, len(data), 68, -1)
            if end > position:
                for begin, stop in slices(data, position, end):
                    sink.sendall(mask.rewrite(data, begin, stop)[0])  # type: ignore[union-attr]
                position = end
            if len(data) - position < 5 or data[position] == 68:
                break
            if position < len(data):
                after = position + 1 + INT32.unpack_from(data, position + 1)[0]
                if after > len(data):
                    break
                sink.sendall(data[position:after])  # type: ignore[union-attr]
                position = after
        carry = data[position:]
    return time.perf_counter() - began, time.process_time() - cpu_began


def slices(data: bytes, position: int, end: int) -> list[tuple[int, int]]:
    """All of it at once: the enforcement point takes slices, which costs it a turn of the loop each."""
    return [(position, end)]


def on_sockets(modules: dict[str, ModuleType], rows: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
    folder.chmod(0o755)
    server = BundledPostgres(folder / "postgres", settings={"fsync": "off"})
    found: dict[str, Any] = {"rows": rows}
    try:
        dsn = server.start()
        query = QUERY.format(rows=rows).encode()
        plans: dict[str, Any] = {"direct": None, "relay": None}
        for name, module in modules.items():
            for method in ("full", "email", "hash"):
                plans[f"{name}_{method}"] = rewriter(module, METHODS[method])
        times: dict[str, list[float]] = {name: [] for name in plans}
        spent: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(ROUNDS):  # all in each round, so that what else the machine does meets all alike
            for name, mask in plans.items():
                with psycopg.connect(dsn, autocommit=True) as connection:
                    sink, child = (None, 0) if name == "direct" else reader()
                    seconds, cpu_seconds = relay(connection, query, sink, mask)
                    times[name].append(seconds)
                    spent[name].append(cpu_seconds)
                    if sink is not None:
                        sink.close()
                        os.waitpid(child, 0)
                    connection.close()
        direct = statistics.median(times["direct"])
        for name in plans:
            median = statistics.median(times[name])
            found[name] = {
                "rows_per_s": round(rows / median),
                "cpu_ns_per_row": round(statistics.median(spent[name]) / rows * 1e9),
                "to_direct": round(direct / median, 2),
            }
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    modules = forms()
    result = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),  # what else the machine did: above 0.5, trust CPU times, not rates
        "aims": {"compiled_to_direct": 0.7, "interpreted_to_direct": 0.4},
        "in_memory": in_memory(modules),
        "on_sockets": on_sockets(modules, rows),
    }
    out = ROOT / "bench" / "results" / "masking.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
