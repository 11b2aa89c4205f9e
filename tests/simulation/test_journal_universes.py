"""The group commit in virtual time, with shuffled callbacks and a disk that fails, fills, hangs or dies."""

from __future__ import annotations

import pytest

from tests.simulation.loop import SimulatedRunner
from tests.simulation.seeds import seeds
from tests.simulation.universe import EarlyRunner, SwallowingRunner, Universe


def test_every_promise_holds_in_every_universe() -> None:
    """No acknowledged event is lost, nobody waits for ever, a poisoned journal acknowledges nothing."""
    universes = acknowledged = 0
    troubles: dict[str, int] = {}
    for seed in seeds(8.0):
        universe = Universe(seed)
        try:
            history = universe.run()
        except Exception as error:
            raise AssertionError(f"replay with AIRLOCK_SIM_SEED={seed} ({universe.trouble}): {error!r}") from error
        universes += 1
        acknowledged += len(history.acknowledged)
        for code, count in history.codes.items():
            troubles[code] = troubles.get(code, 0) + count
    print(f"{universes} universes, {acknowledged} events acknowledged, refusals: {troubles}")
    assert universes == 1 or {"journal_poisoned", "journal_full", "journal_busy"} <= set(troubles)


@pytest.mark.parametrize("bug", [EarlyRunner, SwallowingRunner])
def test_a_seeded_bug_is_caught(bug: type[SimulatedRunner]) -> None:
    """The test of the test: acknowledging early and swallowing an error break a promise within a few universes."""
    caught = 0
    for seed in range(60):
        try:
            Universe(seed, bug).run()
        except AssertionError:
            caught += 1
    assert caught >= 3


def test_work_goes_on_by_itself_when_there_is_room_again() -> None:
    """In a universe whose disk fills up and is cleared, events are refused, later ones are acknowledged."""
    recovered = 0
    for seed in range(400):
        universe = Universe(seed)
        if universe.trouble != "full":
            universe.loop.close()
            universe.disk.close()
            continue
        history = universe.run()
        full = history.codes.get("journal_full", 0)
        recovered += bool(full and history.acknowledged and int(history.acknowledged[-1].removeprefix("event-")) > full)
    assert recovered > 5
