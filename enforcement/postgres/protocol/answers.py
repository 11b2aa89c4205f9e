"""The server's direction: answers are matched to the pending messages, watched, and where needed rewritten.

What needs no change leaves in the large buffers it came in: only message headers are read. Rows under a mask go to the
masker in runs of whole messages; single messages that matter (descriptions, completions, errors, ready) go through the
table of steps.
"""

from __future__ import annotations

import struct
from typing import Final

from decision.model.decision import Limits
from decision.model.errors import ObligationUnfulfillable
from enforcement.masking.rows import count_messages
from enforcement.postgres.protocol import denial
from enforcement.postgres.protocol.errors import MessageTooLarge, ProtocolViolation
from enforcement.postgres.protocol.exchange import Exchange, Refusal
from enforcement.postgres.protocol.messages import Back, uint32
from enforcement.postgres.protocol.results import Results
from enforcement.postgres.protocol.state import CancelUpstream, State
from enforcement.postgres.protocol.table import ANY_TIME, Expect, Step, step_of

ROW: Final = Back.DATA_ROW
COPY: Final = Back.COPY_DATA
LARGEST: Final = 0x3FFFFFFF + 64  # PostgreSQL's own bound on a message


def whole(data: bytes, position: int, code: int, most: int) -> tuple[int, int]:
    """Where the whole messages of `code` at `position` end, at most `most` of them (-1: no bound), and how many."""
    try:
        return count_messages(data, position, len(data), code, most)
    except ObligationUnfulfillable as error:
        raise ProtocolViolation("the server sent a row of impossible length", by="server") from error


class Answers:
    def __init__(self, state: State, results: Results) -> None:
        self.state = state
        self._results = results
        self._most = min(LARGEST, state.limits.message_bytes)
        self._carry = bytearray()
        self._need = 0
        self._through = 0  # bytes of an unmasked row that are still to come

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises ProtocolViolation by the server."""
        position = 0
        if self._through:  # nothing is carried then
            position = min(self._through, len(data))
            self._through -= position
        elif self._carry:
            self._carry += data
            if len(self._carry) < self._need:
                return
            data = bytes(self._carry)
            self._carry = bytearray()
        if not data:
            return
        try:
            self._scan(data, position)
        except ProtocolViolation as violation:
            violation.by = "server"
            raise
        except (IndexError, struct.error) as error:
            raise ProtocolViolation("the server sent a message that is cut short", by="server") from error

    def _scan(self, data: bytes, position: int) -> None:
        """Go on from `position`; what stands before it goes out."""
        out = self.state.to_client
        start = 0  # data[start:position] is seen and goes out as it is
        size = len(data)
        while size - position >= 5:
            code = data[position]
            if code in (ROW, COPY) and self._expects_rows(code):
                head = self.state.pending[0]
                if not self._plain(head, code):
                    if start < position:
                        out.append(data[start:position])
                    after = self._worked(head, code, data, position)
                    if after == position:
                        start = position
                        break
                    position = start = after
                    continue
                after = self._counted(head, code, data, position)
                if after != position:
                    position = after
                    continue
                if head.aborted:
                    continue
                self._begin_through(head, data, position)
                position = size
                break
            length = uint32(data, position + 1)
            if not 4 <= length <= self._most:
                self._check_length(code, length)
            end = position + 1 + length
            if end > size:
                break
            answer = self._one(code, data[position:end])
            if answer is not None:
                if start < position:
                    out.append(data[start:position])
                if answer:
                    out.append(answer)
                start = end
            position = end
        if start < position:
            out.append(data if start == 0 and position == size else data[start:position])
        if position < size:
            self._keep(data, position)

    def _keep(self, data: bytes, position: int) -> None:
        self._carry = bytearray(data[position:])
        self._need = 1 + uint32(data, position + 1) if len(data) - position >= 5 else 5

    def _check_length(self, code: int, length: int) -> None:
        if length < 4 or length > LARGEST:
            raise ProtocolViolation(f"the server sent a message 0x{code:02X} of impossible length", by="server")
        if length > self.state.limits.message_bytes:
            raise MessageTooLarge(
                # Not how long it is: that may be made of what is masked.
                f"a message from the server is over the limit of {self.state.limits.message_bytes} bytes",
                by="server",
                hint="select less at a time, or raise max_message_bytes in the settings",
            )

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _expects_rows(self, code: int) -> bool:
        pending = self.state.pending
        while pending and pending[0].expect == Expect.COPY_END:
            self.state.pop()
        if not pending or not step_of(pending[0].expect, code):
            raise ProtocolViolation("the server sent a row that nobody asked for", by="server")
        return True

    def _plain(self, head: Exchange, code: int) -> bool:
        """Whether rows of this result leave as they are."""
        if head.aborted or head.internal or self.state.muted or head.refusal is not None:
            return False
        return (head.masker if code == ROW else head.copy_masker) is None

    def _counted(self, head: Exchange, code: int, data: bytes, position: int) -> int:
        """Count whole rows that leave as they are; the position behind them. Aborts the result at a limit."""
        limits = self._results.limits_of(head)
        if limits is None or (limits.rows is None and limits.bytes is None):
            end, rows = whole(data, position, code, -1)
        else:
            end, rows = self._limited(head, limits, code, data, position)
        head.rows += rows
        head.bytes += end - position
        return end

    def _limited(self, head: Exchange, limits: Limits, code: int, data: bytes, position: int) -> tuple[int, int]:
        """As many rows as the limits let out, and where they end; aborts the result if there is one more."""
        room = -1 if limits.rows is None else max(limits.rows - head.all_rows, 0)
        begin, size, rows = position, len(data), 0
        while size - position >= 5 and data[position] == code:
            end = position + 1 + uint32(data, position + 1)
            if rows == room and limits.rows is not None:
                self.abort(head, denial.row_limit(limits.rows))
                break
            if limits.bytes is not None and head.all_bytes + end - begin > limits.bytes:
                self.abort(head, denial.byte_limit(limits.bytes))
                break
            if end > size:
                break
            rows += 1
            position = end
        return position, rows

    def _begin_through(self, head: Exchange, data: bytes, position: int) -> None:
        """A row whose end is not here yet leaves piece by piece."""
        length = uint32(data, position + 1)
        if length < 4 or length > LARGEST:
            self._check_length(data[position], length)
        self._through = position + 1 + length - len(data)
        head.rows += 1
        head.bytes += 1 + length

    def _worked(self, head: Exchange, code: int, data: bytes, position: int) -> int:
        """Mask or swallow the whole rows from `position` on; the position behind them."""
        begin, size = position, len(data)
        limits = self._results.limits_of(head)
        unseen = head.aborted or head.internal or self.state.muted or head.refusal is not None
        room = -1 if limits is None or limits.rows is None or unseen else max(limits.rows - head.all_rows, 0)
        position, rows = whole(data, position, code, room)
        over = rows == room and whole(data, position, code, 1)[1] == 1
        if not over and size - position >= 5 and data[position] == code:
            self._check_length(code, uint32(data, position + 1))
        if position > begin and not unseen:
            self._send_masked(head, code, data, begin, position, rows)
        if over and limits is not None and limits.rows is not None:
            self.abort(head, denial.row_limit(limits.rows))
            return self._worked(head, code, data, position)
        return position

    def _send_masked(self, head: Exchange, code: int, data: bytes, begin: int, end: int, rows: int) -> None:
        limits = self._results.limits_of(head)
        try:
            masked = self._masked(head, code, data, begin, end)
        except ObligationUnfulfillable as error:
            self.abort(head, denial.withheld(error))
            return
        head.rows += rows
        head.bytes += len(masked)
        if limits is not None and limits.bytes is not None and head.all_bytes > limits.bytes:
            self.abort(head, denial.byte_limit(limits.bytes))
        else:
            self.state.to_client.append(masked)

    def _masked(self, head: Exchange, code: int, data: bytes, begin: int, end: int) -> bytes:
        masker = head.masker if code == ROW else head.copy_masker
        assert masker is not None
        masked, _, cells = masker.rewrite(data, begin, end)
        head.masked += cells
        return masked

    # ── single messages ─────────────────────────────────────────────────────────────────────────────────────────────

    def _one(self, code: int, raw: bytes) -> bytes | None:
        """What goes to the client instead of `raw`: None for itself, empty for nothing."""
        if code in ANY_TIME:
            return self._results.any_time(code, raw)
        pending = self.state.pending
        while pending and pending[0].expect == Expect.COPY_END:
            self.state.pop()
        if not pending:
            if code == Back.ERROR:
                return None  # the server ends the session, and says why
            raise ProtocolViolation(f"the server sent 0x{code:02X} without being asked", by="server")
        head = pending[0]
        step = step_of(head.expect, code)
        if not step:
            raise ProtocolViolation(f"the server answered a message by 0x{code:02X}", by="server")
        quiet = head.internal or (self.state.muted and step != Step.READY)
        answer = self._results.take(step, head, raw)
        return b"" if quiet and not (answer and head.internal) else answer

    def abort(self, head: Exchange, refusal: Refusal) -> None:
        """End a running result: nothing more of it leaves, the client gets an error, the server is cancelled."""
        if head.aborted:
            return
        head.aborted = True
        head.refusal = refusal
        self.state.cancelling += 1
        self.state.commands.append(CancelUpstream())
