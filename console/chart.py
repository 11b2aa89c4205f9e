"""Bars per hour as figures for an inline SVG. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT, BASE, TOP = 960.0, 200.0, 172.0, 14.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: two bars side by side, each by its left edge, upper edge and height, in units of the drawing."""

    start: datetime
    denials: int
    masked: int
    x: float
    width: float
    denial_height: float
    masked_height: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, int], ...]


def scale_top(most: int) -> int:
    """The least round number that is not less than `most`: 1, 2, 5 times a power of ten, and at least 4."""
    if most <= 4:
        return 4
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= most:
                return step * power
        power *= 10


def draw(first: datetime, hours: int, denials: Mapping[int, int], masked: Mapping[int, int]) -> Chart:
    """`first` is the beginning of the first hour; the mappings hold counts by number of the hour, from 0."""
    top = scale_top(max([0, *denials.values(), *masked.values()]))
    slot = WIDTH / hours
    room = BASE - TOP
    bars = []
    for hour in range(hours):
        start = first + timedelta(hours=hour)
        d, m = denials.get(hour, 0), masked.get(hour, 0)
        label = f"{start:%H}" if start.hour % 3 == 0 else ""
        bars.append(
            Bar(start, d, m, round(hour * slot + slot * 0.14, 2), round(slot * 0.36, 2),
                round(room * d / top, 2), round(room * m / top, 2), label)
        )  # fmt: skip
    ticks = tuple((round(BASE - room * part / 2, 2), top * part // 2) for part in range(3))
    return Chart(tuple(bars), ticks)
