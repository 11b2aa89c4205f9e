"""What masking costs: `python bench/masking.py [rows]` writes bench/results/masking.json.

Two measurements, all ratios of one run on one machine:

- in memory: rows of six columns (136 bytes) rewritten with one column masked by each method, interpreted and compiled,
  beside a plain copy of the same buffers; the same rows as COPY sends them;
- on sockets: a real PostgreSQL sends the rows, this process relays them to a reader in another process; without masks,
  and with one column of six masked. `direct` is reading from the server without a relay.
"""

from __future__ import annotations

import importlib
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
from dataclasses import dataclass
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
COPIES = ("copy_text", "copy_csv", "copy_binary")
MASKED = 3  # the column
METHODS = {"full": 1, "email": 2, "last_four": 3, "partial": 4, "hash": 5}
SLICE = 32 * 1024
ROUNDS = 5


def row() -> bytes:
    body = len(COLUMNS).to_bytes(2, "big") + b"".join(INT32.pack(len(value)) + value for value in COLUMNS)
    return b"D" + INT32.pack(len(body) + 4) + body


@dataclass(frozen=True)
class Form:
    """The hot modules, all compiled or all interpreted. `Rewriter` is the one that is used in that form."""

    rows: ModuleType
    copy_text: ModuleType
    copy_csv: ModuleType
    copy_binary: ModuleType
    Rewriter: type[Any]

    def mask(self, action: int) -> Any:
        return self.rows.ColumnMask(MASKED, action, b"***" if action == METHODS["full"] else b"", b"0123456789abcdef")

    def rewriter(self, action: int) -> Any:
        return self.Rewriter(len(COLUMNS), [self.mask(action)])


def interpreted() -> Form:
    """From source, beside whatever form is in use: each is made of the others' sources too."""
    names = [f"enforcement.masking.{name}" for name in ("rows", "row_calls", "copy_messages", *COPIES)]
    used = {name: sys.modules.get(name) for name in names}
    try:
        for name in names:
            sys.modules[name] = load_source(name)
        rows, calls, _, *copies = (sys.modules[name] for name in names)
    finally:
        for name, module in used.items():
            if module is not None:
                sys.modules[name] = module
    return Form(rows, *copies, Rewriter=calls.CallingRowRewriter)


def forms() -> dict[str, Form]:
    used = [importlib.import_module(f"enforcement.masking.{name}") for name in ("rows", *COPIES)]
    found = {"interpreted": interpreted()}
    if used[0].COMPILED:
        found["compiled"] = Form(*used, Rewriter=used[0].RowRewriter)
    return found


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


def copied(form: str, count: int) -> bytes:
    """What a server sends for COPY of `count` rows, as runs of messages; binary without its header and trailer."""
    if form == "binary":
        payload = len(COLUMNS).to_bytes(2, "big") + b"".join(INT32.pack(len(value)) + value for value in COLUMNS)
    else:
        payload = (b"\t" if form == "text" else b",").join(COLUMNS) + b"\n"
    return (b"d" + INT32.pack(len(payload) + 4) + payload) * count


def in_memory(forms: dict[str, Form]) -> dict[str, Any]:
    count = SLICE // len(row())
    buffer = row() * count
    found: dict[str, Any] = {"row_bytes": len(row()), "copy_ns_per_row": round(cpu(bytearray, buffer, 200) / count, 1)}
    for name, form in forms.items():
        for method, action in METHODS.items():
            one = form.rewriter(action)
            spent = cpu(lambda data, one=one: one.rewrite(data, 0, len(data)), buffer, 40)  # type: ignore[misc]
            found[f"{name}_{method}_ns_per_row"] = round(spent / count)
        scanned = cpu(lambda d, m=form.rows: m.count_messages(d, 0, len(d), 68, -1), buffer, 40)  # type: ignore[misc]
        found[f"{name}_count_ns_per_row"] = round(scanned / count)
        for kind in COPIES:
            run = copied(kind.removeprefix("copy_"), count)
            for method in ("full", "email"):
                module = getattr(form, kind)
                make = getattr(module, f"Copy{kind.removeprefix('copy_').title()}Rewriter")
                copy = make(len(COLUMNS), [form.mask(METHODS[method])])
                if kind == "copy_binary":
                    copy.feed(module.SIGNATURE + bytes(8))
                spent = cpu(lambda data, copy=copy: copy.rewrite(data, 0, len(data)), run, 40)  # type: ignore[misc]
                found[f"{name}_{kind}_{method}_ns_per_row"] = round(spent / count)
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
    connection: psycopg.Connection[Any], query: bytes, sink: socket.socket | None, form: Form | None, mask: Any
) -> tuple[float, float]:
    """Seconds and CPU seconds of this process until the server is ready again. `mask` rewrites runs of rows."""
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
        if form is None:
            if sink is not None:
                sink.sendall(data)
            continue
        data = carry + data
        position = 0
        while position < len(data):
            end, _ = form.rows.count_messages(data, position, len(data), 68, -1)
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


def on_sockets(forms: dict[str, Form], rows: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
    folder.chmod(0o755)
    server = BundledPostgres(folder / "postgres", settings={"fsync": "off"})
    found: dict[str, Any] = {"rows": rows}
    try:
        dsn = server.start()
        query = QUERY.format(rows=rows).encode()
        plans: dict[str, tuple[Form | None, Any]] = {"direct": (None, None), "relay": (None, None)}
        for name, form in forms.items():
            for method in ("full", "email", "hash"):
                plans[f"{name}_{method}"] = (form, form.rewriter(METHODS[method]))
        times: dict[str, list[float]] = {name: [] for name in plans}
        spent: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(ROUNDS):  # all in each round, so that what else the machine does meets all alike
            for name, (used, mask) in plans.items():
                with psycopg.connect(dsn, autocommit=True) as connection:
                    sink, child = (None, 0) if name == "direct" else reader()
                    seconds, cpu_seconds = relay(connection, query, sink, used, mask)
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
    known = forms()
    result = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),  # what else the machine did: above 0.5, trust CPU times, not rates
        "aims": {"compiled_to_direct": 0.7, "interpreted_to_direct": 0.4},
        "in_memory": in_memory(known),
        "on_sockets": on_sockets(known, rows),
    }
    out = ROOT / "bench" / "results" / "masking.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
