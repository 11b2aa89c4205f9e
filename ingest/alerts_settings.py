"""The settings `[detections]`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest.detectors import RULES, Limits, Rule
from ingest.detectors.extract import Meaning
from ingest.detectors.hours import WorkingHours
from ingest.detectors.rules import Override, tuned

_HOURS = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RuleSettings(BaseModel):
    """`threshold`, `window_s` (seconds) and `severity` in place of the rule's own; `enabled = false` turns it off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool | None = None
    threshold: int | None = Field(default=None, ge=1)
    window_s: int | None = Field(default=None, ge=10, le=86_400)
    severity: Literal["low", "medium", "high", "critical"] | None = None

    def override(self) -> Override:
        return Override(self.enabled, self.threshold, self.window_s, self.severity)


class DetectionSettings(BaseModel):
    """What is detected, and when it is too much. Durations in seconds.

    `rules` are changes to the rules that come with Airlock, by id: `[detections.rules.mass_read]`. `sensitive_tags`:
    a table is sensitive with one of these tags, or one below it (`pii` is also `pii.email`), on it or a column that is
    used. `privileged_kinds` of statements are work for working hours: `working_hours` (HH:MM-HH:MM) on `working_days`
    in `timezone`. `break_glass`: parts of the ids of the rules that let somebody in for an emergency.

    `grace_s`: how late an event may arrive, compared with the newest one of its principal, and still count in every
    window. `max_principals` are watched at once; the one that was silent longest is forgotten for another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: dict[str, RuleSettings] = Field(default_factory=dict)
    sensitive_tags: tuple[str, ...] = Meaning().sensitive
    privileged_kinds: tuple[str, ...] = tuple(sorted(Meaning().privileged))
    break_glass: tuple[str, ...] = Meaning().break_glass
    working_hours: str = "07:00-20:00"
    working_days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")
    timezone: str = "UTC"
    grace_s: int = Field(default=3_600, ge=0, le=86_400)
    max_principals: int = Field(default=50_000, ge=100, le=10_000_000)

    @field_validator("rules")
    @classmethod
    def _known(cls, rules: dict[str, RuleSettings]) -> dict[str, RuleSettings]:
        known = [rule.id for rule in RULES]
        for name in rules:
            if name not in known:
                raise ValueError(f"there is no such rule; there are: {', '.join(known)}")
        return rules

    @field_validator("working_hours")
    @classmethod
    def _hours(cls, text: str) -> str:
        begin, end = _seconds(text)
        if not begin < end <= 86_400:
            raise ValueError("the day's work begins before it ends: write HH:MM-HH:MM, at most 24:00")
        return text

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("this machine knows no such time zone: write one as in Europe/Zurich") from None
        return name

    def tuned(self) -> tuple[Rule, ...]:
        """The rules that are on."""
        return tuned({name: change.override() for name, change in self.rules.items()})

    def limits(self) -> Limits:
        return Limits(keys=self.max_principals, grace_s=self.grace_s)

    def meaning(self, now_unix_nano: int) -> Meaning:
        """`now`: the offsets of the time zone are worked out for some years around it."""
        begin, end = _seconds(self.working_hours)
        days = tuple(_DAYS.index(day) for day in self.working_days)
        return Meaning(
            sensitive=self.sensitive_tags,
            privileged=frozenset(self.privileged_kinds),
            break_glass=self.break_glass,
            hours=WorkingHours(begin, end, days, offsets(self.timezone, now_unix_nano // 1_000_000_000)),
        )


def _seconds(text: str) -> tuple[int, int]:
    found = _HOURS.match(text)
    if found is None:
        raise ValueError("write HH:MM-HH:MM, e.g. 07:00-20:00")
    begin_h, begin_m, end_h, end_m = map(int, found.groups())
    return begin_h * 3_600 + begin_m * 60, end_h * 3_600 + end_m * 60


def offsets(name: str, now_s: int, years: int = 5) -> tuple[tuple[int, int], ...]:
    """(from when, seconds east of UTC) of a time zone, for some years before and after now, to the hour."""
    zone = ZoneInfo(name)
    hour = timedelta(hours=1)
    at = datetime.fromtimestamp(now_s, UTC).replace(minute=0, second=0) - timedelta(days=366 * years)
    found: list[tuple[int, int]] = []
    for _ in range(2 * 366 * years):
        if not found or _offset(zone, at) != found[-1][1]:
            while found and _offset(zone, at - hour) != found[-1][1]:
                at -= hour
            found.append((int(at.timestamp()), _offset(zone, at)))
        at += timedelta(days=1)
    return tuple(found)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    shift = at.astimezone(zone).utcoffset()
    return 0 if shift is None else int(shift.total_seconds())
