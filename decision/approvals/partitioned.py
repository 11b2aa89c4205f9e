"""The book as a fold of the approvals topic: records in the order of their partition, each event once. Pure.

All records of an approval have its id as their key and so lie in one partition, whichever service wrote them: that
partition's order is the approval's. Within a partition the records of one producer stand in the order of its journal,
but the relay sends some of them again after a crash. So an event counts at its first record, and is known again by
its place in its producer's chain: one that lies at or before the newest taken from there is a repetition.

Should the topic be given more partitions, an id's later records go elsewhere, where they could overtake the earlier
ones. They count for nothing: an approval lives in the partition in which it was asked for, and one that was asked for
in two is closed.

Where a topic was lost and several services relay their journals into a new one, the records of one approval come in
another order than at first: its use before its grant, or before it was asked for. Whoever used it did so by the first
order, so the grant is spent, whatever comes behind.
"""

from __future__ import annotations

from decision.approvals.book import CLOSED, ApprovalBook
from decision.model.events import ApprovalExpired, ApprovalRequested, ApprovalUsed, AuditEvent, Payload
from decision.model.session import ApprovalState

_MOST_SPENT = 100_000
"""Uses of approvals that were not asked for yet, remembered; the oldest are forgotten first."""


class PartitionedBook:
    """Folds into `book`. Two of them that took the same records of each partition, in whatever interleaving of the
    partitions, hold the same approvals."""

    def __init__(self, book: ApprovalBook) -> None:
        self.book = book
        self.repeated = 0  # events that had been taken before
        self._offsets: dict[int, int] = {}
        self._newest: dict[tuple[int, str], tuple[int, int]] = {}  # (epoch, seq) by partition and producer
        self._homes: dict[str, int] = {}  # of the open approvals
        self._spent: dict[tuple[int, str], None] = {}  # partition and id of what was used before it was asked for

    def take(self, event: AuditEvent, partition: int, offset: int) -> bool:
        """Fold the event of one record; whether it changed anything."""
        if offset <= self._offsets.get(partition, -1):
            return False  # the same record, read again after the connection was lost
        self._offsets[partition] = offset
        source, place = (partition, event.producer_id), (event.epoch, event.seq)
        if place <= self._newest.get(source, (0, 0)):
            self.repeated += 1
            return False
        self._newest[source] = place
        return self._fold(event.payload, partition, event.draft.time_unix_nano)

    def _fold(self, payload: Payload, partition: int, time_unix_nano: int) -> bool:
        approval_id: str = getattr(payload, "approval_id", "")
        if isinstance(payload, ApprovalUsed) and self._is_early(approval_id, partition):
            return False
        home = self._homes.get(approval_id)
        if home != partition:
            if not isinstance(payload, ApprovalRequested):
                return False
            if home is not None:
                payload = ApprovalExpired(approval_id)
        if not self.book.apply(payload, time_unix_nano):
            return False
        if isinstance(payload, ApprovalRequested) and (partition, approval_id) in self._spent:
            self.book.apply(ApprovalExpired(approval_id), time_unix_nano)
        approval = self.book.get(approval_id)
        if approval is None or approval.state in CLOSED:
            self._homes.pop(approval_id, None)
        else:
            self._homes[approval_id] = partition
        return True

    def _is_early(self, approval_id: str, partition: int) -> bool:
        """Whether a use comes before the grant. It counts as none, and closes the approval for good."""
        approval = self.book.get(approval_id)
        if approval is None:
            self._spent[partition, approval_id] = None
            if len(self._spent) > _MOST_SPENT:
                del self._spent[next(iter(self._spent))]
            return True
        if approval.state is not ApprovalState.REQUESTED or self._homes.get(approval_id) != partition:
            return False
        self.book.apply(ApprovalExpired(approval_id), approval.requested_unix_nano)
        self._homes.pop(approval_id, None)
        return True
