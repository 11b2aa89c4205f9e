"""What came of a row whose end has not come yet."""

from __future__ import annotations

from decision.model.errors import ObligationUnfulfillable

LONGEST_ROW = 256 * 1024 * 1024  # bytes; a server's row is at most 1 GB, its usual ones are a few kB


class Pieces:
    """Kept apart until they are whole, so that a long row in many chunks is copied once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Raises ObligationUnfulfillable for a row over LONGEST_ROW."""
        self.size += len(chunk)
        if self.size > LONGEST_ROW:
            raise ObligationUnfulfillable("a row is too long to be masked", hint="select fewer or shorter columns")
        self._pieces.append(chunk)

    def take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self.size = 0
        return data
