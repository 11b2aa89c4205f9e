"""When people work, as data: the clock's offsets are worked out by who knows time zones. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

_DAY_S = 86_400
_THURSDAY = 3  # 1970-01-01


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """From `begin_s` to `end_s` of the local day, on `days` (0 is Monday). `offsets` are (from when in UNIX seconds,
    seconds east of UTC), in order; before the first one it is the first one's."""

    begin_s: int = 7 * 3_600
    end_s: int = 20 * 3_600
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    offsets: tuple[tuple[int, int], ...] = ((0, 0),)

    def contain(self, time_unix_nano: int) -> bool:
        second = time_unix_nano // 1_000_000_000
        at = bisect_right(self.offsets, second, key=lambda one: one[0])
        local = second + self.offsets[max(at - 1, 0)][1]
        day, second_of_day = divmod(local, _DAY_S)
        return (day + _THURSDAY) % 7 in self.days and self.begin_s <= second_of_day < self.end_s
