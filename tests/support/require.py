"""Needs of tests that not every machine meets: toolchains, binaries, downloads.

A need that is not met skips the test and is listed at the end of the run with the way to get it. With
AIRLOCK_REQUIRE_ALL=1, as in continuous integration, it fails the test instead.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")

PREFIX = "not tested: needs "
_REASON = re.compile(re.escape(PREFIX) + r"(?P<need>.+?)\. To get it: (?P<how>.+)", re.DOTALL)


def require_all() -> bool:
    """Whether an unmet need is a failure."""
    return os.environ.get("AIRLOCK_REQUIRE_ALL", "") not in ("", "0")


def require(need: str, found: T | None, how_to_get: str) -> T:
    """`found`, when there is something; else the test is skipped, or fails with AIRLOCK_REQUIRE_ALL=1."""
    if found:
        return found
    reason = f"{PREFIX}{need}. To get it: {how_to_get}"
    if require_all():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def unmet(reasons: Iterable[str]) -> list[tuple[str, str, int]]:
    """(need, how to get it, number of tests) of the skip reasons that `require` made, most tests first."""
    counted: Counter[tuple[str, str]] = Counter()
    for reason in reasons:
        match = _REASON.search(reason)
        if match:
            counted[(match["need"], match["how"].strip())] += 1
    return [(need, how, number) for (need, how), number in counted.most_common()]
