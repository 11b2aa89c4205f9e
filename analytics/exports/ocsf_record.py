"""The head that every OCSF record has: what it is, when, how severe, how it went. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.exports.ocsf_parts import Json, made, milliseconds
from analytics.exports.ocsf_parts import severity as severity_of
from decision.model.events import AuditEvent


@dataclass(frozen=True, slots=True)
class Kind:
    """An event class of the schema: `uid` is its number within its category."""

    category_uid: int
    category_name: str
    uid: int
    name: str

    @property
    def class_uid(self) -> int:
        return self.category_uid * 1000 + self.uid


def record(
    kind: Kind,
    activity: tuple[int, str],
    event: AuditEvent,
    *,
    severity: str = "informational",
    status: tuple[int, str] | None = None,
    status_code: str = "",
    status_detail: str = "",
    message: str = "",
    duration: int | None = None,
    unmapped: Json,
) -> Json:
    """`type_uid` is the class' number times 100 plus the activity's."""
    number, name = activity
    return made(
        category_uid=kind.category_uid,
        category_name=kind.category_name,
        class_uid=kind.class_uid,
        class_name=kind.name,
        activity_id=number,
        activity_name=name,
        type_uid=kind.class_uid * 100 + number,
        type_name=f"{kind.name}: {name}",
        time=milliseconds(event.draft.time_unix_nano),
        **severity_of(severity),
        status_id=None if status is None else status[0],
        status=None if status is None else status[1],
        status_code=status_code,
        status_detail=status_detail,
        message=message,
        duration=duration,
        unmapped=unmapped,
    )
