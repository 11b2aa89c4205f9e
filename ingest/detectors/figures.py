"""The counters that go back to the decisions, as data. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ingest.detectors.rules import HOUR_S, TEN_MINUTES_S, step_of

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Figure:
    """`whole`: the window is the day of the calendar in UTC, not one that slides."""

    name: str
    measure: str
    window_s: int
    distinct: bool = False
    whole: bool = False

    @property
    def step_s(self) -> int:
        return self.window_s if self.whole else step_of(self.window_s)


FIGURES: tuple[Figure, ...] = (
    Figure("rows_out_1h", "rows_out", HOUR_S),
    Figure("rows_out_today", "rows_out", DAY_S, whole=True),
    Figure("bytes_out_1h", "bytes_out", HOUR_S),
    Figure("bytes_out_today", "bytes_out", DAY_S, whole=True),
    Figure("masked_cells_1h", "masked_cells", HOUR_S),
    Figure("denials_10m", "denials", TEN_MINUTES_S),
    Figure("distinct_tables_1h", "tables", HOUR_S, distinct=True),
    Figure("statements_1m", "statements", 60),
    Figure("failed_sign_ins_10m", "failed_sign_ins", TEN_MINUTES_S),
)


class Counted(NamedTuple):
    """The figures of one principal as of a time: (name, value, until), the last a time from which on the value is 0."""

    issuer: str
    subject: str
    time_unix_nano: int
    values: tuple[tuple[str, int, int], ...]
