"""What a journal says of itself in numbers."""

from __future__ import annotations

from collections.abc import Iterator

from decision.journal.group import GroupCommit
from decision.journal.settings import JournalSettings
from decision.model.metrics import Sample, counter, gauge


def samples_of(group: GroupCommit, settings: JournalSettings) -> Iterator[Sample]:
    """From any thread: what is read here is replaced as a whole, never changed."""
    state = group.state
    yield counter("journal_appends", "Events made durable.", group.appended)
    yield counter("journal_refused", "Events that the journal did not take or could not make durable.", group.refused)
    yield group.commit_time.sample("journal_commit_duration_seconds", "A group commit, its fsync included.")
    yield gauge("journal_head", "The seq of the newest durable event.", state.head.seq)
    yield gauge("journal_events", "Events stored now.", state.events)
    yield gauge("journal_used_bytes", "What counts towards the quota.", state.used)
    yield gauge("journal_quota_bytes", "With so much used, every append is refused.", settings.quota_bytes)
    yield gauge("journal_disk_free_bytes", "Free on the journal's disk.", state.space.free)
    yield gauge("journal_queue_events", "Events that wait to be durable.", group.depth)
    yield gauge("journal_full", "Whether appends are refused for want of room.", float(bool(state.full)))
    yield gauge("journal_poisoned", "Whether a commit failed, so that the process restarts.",
                float(group.poison is not None))  # fmt: skip
