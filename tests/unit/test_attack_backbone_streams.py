"""Events of a time that no clock says must not stop the detections."""

from __future__ import annotations

from pathlib import Path

import pytest

from decision.model.events import AlertRaised
from ingest.alerts import EmbeddedDetections
from ingest.alerts_settings import DetectionSettings
from tests.support.streams_drawn import NOON, FixedClock
from tests.support.streams_story import SECOND, denied, opened, person, told

DAY = 86_400 * SECOND


@pytest.mark.parametrize("time", [(1 << 63) - 100, -(1 << 63), 7_258_118_400 * SECOND, NOON + DAY])
def test_a_time_that_cannot_be_silences_and_stops_nothing(time: int, tmp_path: Path) -> None:
    """Forty denials of the year 2262, or of a node whose clock is a day ahead, are counted as refused; what the same
    principal really does is found."""
    mallory, start = person("mallory"), NOON
    detections = EmbeddedDetections(tmp_path, DetectionSettings(), FixedClock(start))
    absurd = [denied(time + number, "s", f"x{number}", mallory) for number in range(40)]
    real = [denied(start + number * SECOND, "s", f"d{number}", mallory) for number in range(60)]
    events = told([opened(start, "s", mallory), *absurd, *real])
    found = detections.take_raw([event.raw for event in events], len(events))
    detections.close()
    rules = {alert.payload.rule for alert in found if isinstance(alert.payload, AlertRaised)}
    assert rules == {"denial_burst"}
    assert detections.detections.counts["refused_times"] == 40
