"""What a machine lacks is listed, or fails where everything is demanded."""

from __future__ import annotations

import pytest

from tests.support.require import require, unmet


def test_what_is_found_is_given_back() -> None:
    """A met need neither skips nor fails."""
    assert require("a thing", "found", "look") == "found"


def test_an_unmet_need_skips_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default."""
    monkeypatch.delenv("AIRLOCK_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"needs a thing\. To get it: look"):
        require("a thing", None, "look")


def test_an_unmet_need_fails_when_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AIRLOCK_REQUIRE_ALL=1, as in continuous integration."""
    monkeypatch.setenv("AIRLOCK_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="needs a thing"):
        require("a thing", None, "look")


def test_unmet_needs_are_counted() -> None:
    """Other skips are none of its business."""
    reason = "Skipped: not tested: needs a thing. To get it: look"
    assert unmet([reason, "only on Windows", reason]) == [("a thing", "look", 2)]
