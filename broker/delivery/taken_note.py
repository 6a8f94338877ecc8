"""That a person took note of a result: read it in the inbox, or confirmed a critical one. Each is
in the audit trail in the same transaction; console and API use the same."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from broker.access.person import Person
from broker.store.audit import note
from broker.store.critical import confirm_critical, is_corrected
from broker.store.outbox import mark_read
from broker.store.rows import AnyRow


def read_by(
    connection: Connection, delivery_id: int, person: Person, now: datetime
) -> AnyRow | None:
    """The row of the inbox as it was; None where there is none for this person."""
    row = mark_read(connection, delivery_id, person.reach, person.login, now)
    if row is not None:
        _note(connection, row, person, "read-result", "delivery", now)
    return row


def confirmed_by(
    connection: Connection, critical_id: int, person: Person, now: datetime
) -> AnyRow | None:
    """The critical result as it was; None where there is none for this person. Of one that was
    corrected the correction is taken note of. Who was first stays, and is noted once."""
    row = confirm_critical(connection, critical_id, person.reach, person.login, now)
    if row is not None and row.waits:
        action = "note-correction" if is_corrected(row) else "confirm-critical"
        _note(connection, row, person, action, "critical", now)
    return row


def _note(
    connection: Connection, row: AnyRow, person: Person, action: str, kind: str, now: datetime
) -> None:
    note(
        connection,
        person=person.login,
        action=action,
        kind=kind,
        subject=str(row.id),
        institution=row.clinic_code,
        at=now,
    )
