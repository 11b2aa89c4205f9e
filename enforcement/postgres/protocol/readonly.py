"""The obligation `read_only`: what runs under it runs in a read-only transaction of the server.

Between transactions the session's default is set, in a transaction of ours. Inside one (begun by the client, or
implicit between two Syncs) it is made read-only on the spot; PostgreSQL does not let it be made read-write again
after that. All of it goes by named statements of our own, whose answers the client never sees.
"""

from __future__ import annotations

import re

from enforcement.postgres.protocol import messages
from enforcement.postgres.protocol.denial import READ_WRITE
from enforcement.postgres.protocol.exchange import Exchange
from enforcement.postgres.protocol.messages import INT16, INT32, Front, message
from enforcement.postgres.protocol.state import State
from enforcement.postgres.protocol.table import Expect
from enforcement.postgres.protocol.text import single

NAME = b"airlock read only"
LOCAL = b"select pg_catalog.set_config('transaction_read_only', 'on', true)"
DEFAULT_ON = b"select pg_catalog.set_config('default_transaction_read_only', 'on', false)"
DEFAULT_OFF = b"select pg_catalog.set_config('default_transaction_read_only', 'off', false)"
ESCAPES = re.compile(rb"read\s+write|transaction_read_only", re.IGNORECASE)
KINDS = (Front.QUERY, Front.PARSE, Front.BIND, Front.EXECUTE)
BOUND = NAME + b"\x00" + NAME + b"\x00" + INT16.pack(0) * 3


class ReadOnly:
    def __init__(self, state: State) -> None:
        self.state = state

    def settle(self, head: Exchange) -> bool:
        """Make the server's transaction what `head`'s decision asks for; False while that has to wait."""
        if head.kind not in KINDS or head.refusal is not None:
            return True
        decision = head.covering
        wanted = decision is not None and decision.limits.read_only
        state = self.state
        if not wanted and not state.read_only_default:
            return True
        if state.segment_open:
            return self._inside(wanted)
        if state.pending:
            return False  # whether a transaction is open is known when they are answered
        if state.status != "I":
            return self._inside(wanted)
        if wanted and head.kind == Front.QUERY and not single(head.text) and ESCAPES.search(head.text):
            head.refusal = READ_WRITE
        elif wanted and state.parameters.get("default_transaction_read_only") != "on":
            state.read_only_default = True
            self._inject(DEFAULT_ON, sync=True)
        elif not wanted:
            state.read_only_default = False
            self._inject(DEFAULT_OFF, sync=True)
        return True

    def _inside(self, wanted: bool) -> bool:
        state = self.state
        if wanted and not state.read_only_now and state.status != "E":
            state.read_only_now = True
            self._inject(LOCAL, sync=False)
        return True

    def _inject(self, text: bytes, *, sync: bool) -> None:
        self._send(Front.PARSE, Expect.PARSE, messages.parse(NAME, text))
        self._send(Front.BIND, Expect.BIND, message(Front.BIND, BOUND))
        self._send(Front.EXECUTE, Expect.EXECUTE, message(Front.EXECUTE, NAME + b"\x00" + INT32.pack(0)))
        self._send(Front.CLOSE, Expect.CLOSE, message(Front.CLOSE, b"P" + NAME + b"\x00"), ord("P"))
        self._send(Front.CLOSE, Expect.CLOSE, message(Front.CLOSE, b"S" + NAME + b"\x00"), ord("S"))
        if sync:
            self._send(Front.SYNC, Expect.SYNC, messages.SYNC)

    def _send(self, kind: int, expect: int, raw: bytes, target: int = 0) -> None:
        own = Exchange(kind, expect, raw)
        own.internal, own.target, own.name = True, target, NAME
        own.segment = self.state.segment
        self.state.to_server.append(raw)
        self.state.push(own)
