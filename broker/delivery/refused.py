"""What a person does about results that a clinic's system refused: send them again, or settle them.
Each is in the audit trail in the same transaction; console and API use the same."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from broker.access.person import Person
from broker.store.audit import note
from broker.store.outbox import delivery_row, send_again, settle_refused
from broker.store.rows import AnyRow


def sent_again_by(
    connection: Connection, delivery_id: int, person: Person, now: datetime
) -> int | None:
    """The number of the new delivery; None where there is none for this person, or it is still on
    its way. A refusal is settled by it."""
    row = delivery_row(connection, person.reach, delivery_id)
    made = send_again(connection, delivery_id, now, person.login) if row is not None else None
    if row is not None and made is not None:
        _note(connection, row, person, "deliver-again", now)
    return made


def settled_by(connection: Connection, delivery_id: int, person: Person, now: datetime) -> bool:
    """It was seen to in another way: the alarm ends. False where there is no refused delivery for
    this person that is not settled."""
    row = delivery_row(connection, person.reach, delivery_id)
    if row is None or not settle_refused(connection, delivery_id, person.login, now):
        return False
    _note(connection, row, person, "settle-delivery", now)
    return True


def _note(connection: Connection, row: AnyRow, person: Person, action: str, now: datetime) -> None:
    note(
        connection,
        person=person.login,
        action=action,
        kind="delivery",
        subject=str(row.id),
        institution=row.clinic_code,
        at=now,
    )
