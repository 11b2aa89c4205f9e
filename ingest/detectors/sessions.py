"""Whose session it is: an execution names only its session and its decision. Pure.

Events of a session come in order from one partition, its decisions before their executions, so what is remembered here
is enough; after a restart the shell reads a little further back.
"""

from __future__ import annotations

from collections import OrderedDict

from ingest.detectors.signals import Key

_DECISIONS = 64


class Session:
    """`keys`: the principal and everyone it acts for. `tables`: what each of the latest decisions names, by id."""

    __slots__ = ("database", "keys", "refused", "tables")

    def __init__(self, keys: tuple[Key, ...], database: str) -> None:
        self.keys = keys
        self.database = database
        self.refused = b""
        self.tables: dict[str, tuple[str, ...]] = {}

    def decided(self, decision_id: str, tables: tuple[str, ...]) -> None:
        if len(self.tables) >= _DECISIONS:
            del self.tables[next(iter(self.tables))]
        self.tables[decision_id] = tables


class Sessions:
    """The latest sessions, at most `most`. Not thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: str) -> Session | None:
        found = self._sessions.get(session_id)
        if found is not None:
            self._sessions.move_to_end(session_id)
        return found

    def open(self, session_id: str, keys: tuple[Key, ...], database: str) -> Session:
        found = self._sessions.get(session_id)
        if found is None:
            if len(self._sessions) >= self._most:
                self._sessions.popitem(last=False)
            found = self._sessions[session_id] = Session(keys, database)
        else:
            self._sessions.move_to_end(session_id)
        return found

    def close(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)

    def known(self) -> list[tuple[str, tuple[Key, ...], str]]:
        return [(session_id, one.keys, one.database) for session_id, one in self._sessions.items()]
