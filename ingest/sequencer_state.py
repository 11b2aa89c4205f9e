"""What the sequencer knows of itself: `<log folder>/state.json`, replaced as a whole.

It is the one commit of leaves and position: what it does not cover is taken again from the source. It is made durable
after the tiles that it speaks of and before the checkpoint that makes it public. Whoever reads the log does not need
it, nor trusts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analytics.project.coverage import Interval
from decision.journal.merkle import EMPTY_ROOT
from decision.model.errors import LogDamaged

STATE = "state.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SequencerState:
    """`positions`: of each source, the position after the last event taken. `coverage`: which events are leaves.
    `source` names what the log is of, so that another one's events are never appended to it. `checkpoints`: how many
    were published."""

    origin: str
    source: str = ""
    size: int = 0
    root: bytes = EMPTY_ROOT
    positions: Mapping[str, int] = field(default_factory=dict)
    coverage: tuple[Interval, ...] = ()
    checkpoints: int = 0

    def encode(self) -> bytes:
        raw = {
            "format": _FORMAT,
            "origin": self.origin,
            "source": self.source,
            "size": self.size,
            "root": self.root.hex(),
            "positions": dict(sorted(self.positions.items())),
            "coverage": [list(one) for one in self.coverage],
            "checkpoints": self.checkpoints,
        }
        return (json.dumps(raw, separators=(",", ":")) + "\n").encode()


def load_state(folder: Path) -> SequencerState | None:
    """None where no log was begun. Raises LogDamaged."""
    path = folder / STATE
    try:
        raw = json.loads(path.read_bytes())
        if raw["format"] != _FORMAT:
            raise ValueError(f"format {raw['format']}")
        return SequencerState(
            origin=str(raw["origin"]),
            source=str(raw["source"]),
            size=int(raw["size"]),
            root=bytes.fromhex(raw["root"]),
            positions={str(name): int(place) for name, place in raw["positions"].items()},
            coverage=tuple(Interval(str(p), int(e), int(a), int(b)) for p, e, a, b in raw["coverage"]),
            checkpoints=int(raw["checkpoints"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogDamaged(
            f"{path} can't be read: {error}", hint="restore it from a copy of the log's folder; never make it up"
        ) from None
