"""Numbers handed from process to process: `<data-dir>/metrics/NAME.json`, replaced as a whole.

A process that shows its numbers itself says there where; a service that a node keeps (`--metrics node`) writes the
numbers themselves, each `HAND_S` seconds, and the node shows them among its own. What a dead process left is passed
over.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from decision.model.metrics import Measured, Sample, SampleKind, gauge

log = logging.getLogger(__name__)

FOLDER = "metrics"
HAND_S = 2.0
STALE_S = 30.0


@dataclass(frozen=True, slots=True)
class Handed:
    """One file: `address` where the process shows its numbers itself, else the numbers."""

    name: str
    pid: int
    age_s: float
    address: str
    samples: tuple[Sample, ...]


def write_handed(data_dir: Path, name: str, *, address: str = "", samples: Iterable[Sample] = ()) -> Path:
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    staging = folder / f".{name}.{os.getpid()}"
    written = {"pid": os.getpid(), "address": address, "samples": [asdict(sample) for sample in samples]}
    staging.write_text(json.dumps(written) + "\n")
    staging.replace(path)
    return path


def read_handed(data_dir: Path) -> Iterator[Handed]:
    """Of the processes that run now. Files that can't be understood are passed over: they may be of another version."""
    for path in sorted((data_dir / FOLDER).glob("*.json")):
        try:
            age_s = time.time() - path.stat().st_mtime
            found = json.loads(path.read_text())
            handed = Handed(path.stem, int(found["pid"]), age_s, str(found["address"]), _samples(found["samples"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if alive(handed.pid):
            yield handed


def _samples(found: list[dict[str, object]]) -> tuple[Sample, ...]:
    made = []
    for one in found:
        labels = tuple((str(name), str(value)) for name, value in one["labels"])  # type: ignore[attr-defined]
        buckets = tuple((float(bound), int(count)) for bound, count in one["buckets"])  # type: ignore[attr-defined]
        kind, value = SampleKind(str(one["kind"])), float(one["value"])  # type: ignore[arg-type]
        made.append(Sample(str(one["name"]), kind, str(one["help"]), value, labels, buckets))
    return tuple(made)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class HandedSamples:
    """What the services on a data folder handed over: those of `names`, or all."""

    def __init__(self, data_dir: Path, *names: str) -> None:
        self._data_dir = data_dir
        self._names = names

    def samples(self) -> Iterator[Sample]:
        for handed in read_handed(self._data_dir):
            if self._names and handed.name not in self._names:
                continue
            if not handed.address and handed.age_s < STALE_S:
                yield from handed.samples
                yield gauge(
                    "handed_age_seconds", "How old the numbers are that a service handed over.", handed.age_s,
                    service=handed.name,
                )  # fmt: skip


class Handing:
    """Hands the numbers of `parts` over until `close`."""

    def __init__(self, data_dir: Path, name: str, parts: Sequence[Measured]) -> None:
        self._data_dir, self._name, self._parts = data_dir, name, parts
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"metrics-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failing = False
        while True:
            try:
                samples = [sample for part in self._parts for sample in part.samples()]
                write_handed(self._data_dir, self._name, samples=samples)
                failing = False
            except Exception as error:  # noqa: BLE001 - tried again; the service itself must not suffer
                if not failing:
                    log.warning("the numbers of %s can't be handed over: %s", self._name, type(error).__name__)
                failing = True
            if self._ending.wait(HAND_S):
                return

    def close(self) -> None:
        self._ending.set()
        self._thread.join(5)
        (self._data_dir / FOLDER / f"{self._name}.json").unlink(missing_ok=True)
