"""The demo's story, played against the running system."""

from __future__ import annotations

from tests.e2e.support import Running


def test_the_story_ends_with_all_of_it_on_record(up: Running) -> None:
    """Masked, refused, held, approved, used: each is told, and found in the audit trail."""
    told = up.airlock("demo", "--data-dir", str(up.data_dir)).stdout
    assert "***@" in told
    assert "denied by guardrails.drop_critical" in told
    assert "waiting for approval" in told
    assert "CREATE INDEX" in told
    tail = told[told.index("Who changed the schema") :]
    assert "used" in tail
    assert "dan" in tail
