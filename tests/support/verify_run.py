"""Verification as the tests ask for it: reports by store, findings in two words."""

from __future__ import annotations

from airlock.verification import Sources, verify
from analytics.verify_entries import Report
from tests.support.verify_stores import START, STEP

LATER = START + 1_000_000 * STEP
"""Long after all events."""


def untold(done: int, total: int) -> None:
    """Nobody watches the progress."""


def run(sources: Sources, now: int = LATER) -> dict[str, Report]:
    return {one.store: one for one in verify(sources, now, lambda _: untold)}


def said(report: Report) -> str:
    """`edited 17`, or `good`."""
    return "good" if report.finding is None else f"{report.finding.what} {report.finding.seq}"
