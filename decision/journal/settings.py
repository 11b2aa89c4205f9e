"""Settings of the journal, with defaults that suit a laptop."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

PAGE_BYTES = 4096
MIB = 1024 * 1024
KEEP_BYTES = 4096 * MIB


class JournalSettings(BaseModel):
    """Bounds of one journal. Sizes in bytes, durations in seconds.

    `quota_bytes`: database and write-ahead log together; beyond it every append is refused with JournalFull.
    A statement takes about 4 KB in its two events, so 8 GiB hold two million statements.
    `ballast_bytes`: a file that only occupies space; it is freed when the journal has to be opened on a full disk, and
    made again when there is room. At least twice what the write-ahead log holds between two checkpoints; 0: none.
    `min_free_bytes`: with less than this free on the disk, appends are refused before SQLite meets the full disk.
    `queue_limit`, `queue_bytes`: events not yet durable; one more is refused with JournalBusy.
    `batch_events`, `batch_bytes`: the most that one commit holds.
    `checkpoint_pages`: pages in the write-ahead log after which it is copied into the database.
    `wal_limit_bytes`: to this the write-ahead log's file is cut back when a slow reader made it grow.
    `verify_tail_events`: newest events that are verified at each opening.
    `recheck_s`: how often a full journal looks whether there is room again.
    `keep_s`: older events leave the journal once everybody has taken them (Kafka, or the audit store and the log on one
    machine); `keep_bytes`: of what was taken, the newest that stays, whatever its age (default: 4 GiB, or half of a
    smaller quota). Beneath the quota by at least an eighth, or it would never help. `prune_s`: how often that is
    looked at.
    `stall_s`: when a commit takes longer, new appends are refused with JournalBusy until the disk answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    quota_bytes: int = Field(default=8192 * MIB, ge=256 * 1024)
    ballast_bytes: int = Field(default=16 * MIB, ge=0)
    min_free_bytes: int = Field(default=32 * MIB, ge=0)
    queue_limit: int = Field(default=10_000, ge=1)
    queue_bytes: int = Field(default=64 * MIB, ge=128 * 1024)
    batch_events: int = Field(default=1_024, ge=1)
    batch_bytes: int = Field(default=8 * MIB, ge=128 * 1024)
    checkpoint_pages: int = Field(default=250, ge=1)
    wal_limit_bytes: int = Field(default=4 * MIB, ge=0)
    verify_tail_events: int = Field(default=4_096, ge=1)
    recheck_s: float = Field(default=0.25, gt=0)
    stall_s: float = Field(default=10.0, gt=0)

    keep_s: float = Field(default=7 * 86_400.0, ge=0)
    keep_bytes: int | None = Field(default=None, ge=0)
    prune_s: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _keeping_leaves_room(self) -> JournalSettings:
        most = self.quota_bytes - self.quota_bytes // 8
        if self.keep_bytes is not None and self.keep_bytes > most:
            raise ValueError(f"keep_bytes must be at most {most}: seven eighths of quota_bytes")
        return self

    @property
    def kept_bytes(self) -> int:
        """`keep_bytes`, or its default: a smaller quota takes that down with it."""
        return min(KEEP_BYTES, self.quota_bytes // 2) if self.keep_bytes is None else self.keep_bytes

    @model_validator(mode="after")
    def _ballast_covers_a_checkpoint(self) -> JournalSettings:
        needed = 2 * self.checkpoint_pages * PAGE_BYTES
        if 0 < self.ballast_bytes < needed:
            raise ValueError(f"ballast_bytes must be 0 or at least {needed}: twice checkpoint_pages of {PAGE_BYTES}")
        return self
