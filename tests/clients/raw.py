"""A client that speaks bytes, for what no driver would send."""

from __future__ import annotations

import socket
from struct import pack, unpack

from enforcement.postgres.protocol import messages
from tests.clients.port import TOKEN


class RawClient:
    def __init__(self, host: str, port: int, database: str, **parameters: str) -> None:
        self.socket = socket.create_connection((host, port), timeout=20)
        self.buffer = b""
        self.greeting: list[bytes] = []
        self._start({"user": "alice", "database": database, **parameters})

    def _start(self, parameters: dict[str, str]) -> None:
        self.send(messages.startup(parameters))
        while True:
            raw = self.message()
            self.greeting.append(raw)
            if raw == messages.ASK_CLEARTEXT_PASSWORD:
                self.send(messages.password(TOKEN.encode()))
            elif raw[:1] in b"ZE":
                return

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _fill(self, count: int) -> None:
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("closed by the enforcement point")
            self.buffer += data

    def message(self) -> bytes:
        self._fill(5)
        (length,) = unpack("!I", self.buffer[1:5])
        self._fill(1 + length)
        raw, self.buffer = self.buffer[: 1 + length], self.buffer[1 + length :]
        return raw

    def until_ready(self) -> bytes:
        """Everything up to and including ReadyForQuery."""
        seen = b""
        while True:
            raw = self.message()
            seen += raw
            if raw[:1] == b"Z":
                return seen

    def until_ready_fast(self) -> int:
        """Read and throw away everything up to ReadyForQuery; the number of bytes."""
        count, tail = len(self.buffer), self.buffer[-6:]
        self.buffer = b""
        while tail[-6:-1] != b"Z\0\0\0\5":
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError("closed by the enforcement point")
            count += len(data)
            tail = (tail + data)[-6:]
        return count

    def codes_until_ready(self) -> str:
        codes = ""
        while True:
            raw = self.message()
            codes += chr(raw[0])
            if raw[:1] == b"Z":
                return codes

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def bind(portal: bytes, statement: bytes, values: list[bytes | None], result_formats: list[int] | None = None) -> bytes:
    body = portal + b"\0" + statement + b"\0" + pack("!HH", 0, len(values))
    for value in values:
        body += pack("!i", -1) if value is None else pack("!I", len(value)) + value
    formats = result_formats or []
    body += pack("!H", len(formats)) + b"".join(pack("!H", code) for code in formats)
    return messages.message(messages.Front.BIND, body)


def execute(portal: bytes, rows: int = 0) -> bytes:
    return messages.message(messages.Front.EXECUTE, portal + b"\0" + pack("!I", rows))


def describe(target: bytes, name: bytes) -> bytes:
    return messages.message(messages.Front.DESCRIBE, target + name + b"\0")


def close(target: bytes, name: bytes) -> bytes:
    return messages.message(messages.Front.CLOSE, target + name + b"\0")
