"""The records of one topic out of an export, up to where it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from decision.journal.verify_core import Finding, Place, Tampering
from ingest.kafka_export import Export, ExportDamaged, Record


@dataclass(slots=True)
class Taken:
    """The records of one topic of an export; `damage` is why there are no more."""

    export: Export
    topic: str
    damage: Finding | None = None
    last: Place | None = None

    def records(self) -> Iterator[Record]:
        try:
            for record in self.export.records:
                if record.topic == self.topic:
                    self.last = Place(record.partition, record.offset)
                    yield record
        except ExportDamaged as error:
            what = Tampering.TRUNCATED if error.cut else Tampering.EDITED
            behind = f" behind partition {self.last.part}, offset {self.last.spot}" if self.last is not None else ""
            self.damage = Finding(what, error.message).at(f"record {error.record}{behind}")


def record_at(export: Export, place: Place) -> bytes | None:
    try:
        return next(
            (one.value for one in export.records if (one.partition, one.offset) == (place.part, place.spot)), None
        )
    except ExportDamaged:
        return None
