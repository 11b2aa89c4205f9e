"""Stories for counters and detections, drawn at random."""

from __future__ import annotations

from hypothesis import strategies as st

from decision.model.events import AuditEvent
from ingest.detectors.rules import Override, tuned
from tests.support.streams_story import SECOND, Told, denied, looked, person, read, refused, told

NOON = 1_789_992_000 * SECOND
"""A Monday."""

RULES = tuned(
    {
        "mass_read": Override(threshold=300),
        "denial_burst": Override(threshold=3),
        "table_enumeration": Override(threshold=4),
        "sign_in_failures": Override(threshold=2),
    }
)
"""With thresholds that a drawn story reaches."""


@st.composite
def stories(draw: st.DrawFn) -> list[AuditEvent]:
    """Up to 40 happenings of three people within two hours: in order, as journals have them."""
    happenings = draw(
        st.lists(st.tuples(st.integers(0, 7_200), st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=40)
    )
    made: list[Told] = []
    for number, (second, who, what, detail) in enumerate(sorted(happenings)):
        time, session, decision = NOON + second * SECOND, f"s{who}", f"d{number}"
        if what == 0:
            made += read(time, session, decision, person(f"u{who}"), detail * 20 + 1)
        elif what == 1:
            made.append(denied(time, session, decision, person(f"u{who}")))
        elif what == 2:
            made.append(looked(time, session, decision, person(f"u{who}"), f"t{detail}"))
        else:
            made.append(refused(time, session, f"u{who}"))
    return told(made)


class FixedClock:
    """A clock that stands still."""

    def __init__(self, time_unix_nano: int) -> None:
        self._time = time_unix_nano

    def time_unix_nano(self) -> int:
        return self._time

    def monotonic_ns(self) -> int:
        return self._time
