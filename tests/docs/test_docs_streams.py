"""docs/streams.md says what is detected and counted, as the code has it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ingest.alerts_settings import DetectionSettings
from ingest.detectors import RULES
from ingest.detectors.figures import FIGURES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "streams.md").read_text()
SECONDS = {"min": 60, "h": 3_600}


def test_every_rule_stands_there_with_its_threshold_and_window() -> None:
    """Row by row, in the order of the code."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \| (?:(\d+) (\w+))? ?\|$", PAGE, re.MULTILINE)
    found = [(rule, int(most.replace(",", "")), int(n) * SECONDS[unit] if n else 0) for rule, most, n, unit in rows]
    assert found == [(rule.id, rule.threshold, 0 if rule.first else rule.window_s) for rule in RULES]


def test_every_counter_stands_there() -> None:
    """By the name that policies use."""
    for figure in FIGURES:
        assert f"`{figure.name}`" in PAGE


def test_the_settings_shown_are_settings() -> None:
    """The example is valid."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    settings = DetectionSettings.model_validate(tomllib.loads(example)["detections"])
    assert len(settings.tuned()) == len(RULES) - 1
