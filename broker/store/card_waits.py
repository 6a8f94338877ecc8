"""What waits for an institution's card."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, update

from broker.states import PackageState, RecordState
from broker.store.schema import package, record

_WAITING = (PackageState.SEALED.value, PackageState.UNKNOWN.value)


def waiting_for(connection: Connection, institution: str) -> tuple[int, datetime | None]:
    """How many records could leave if the card were there, and when the first of them is due."""
    row = connection.execute(
        select(func.count(), func.min(record.c.due_at)).where(
            record.c.uploader_code == institution,
            record.c.state.in_((RecordState.READY.value, RecordState.SEALED.value)),
        )
    ).one()
    return int(row[0]), row[1]


def card_is_back(connection: Connection, institution: str, now: datetime) -> None:
    """What waited for the card waits no longer."""
    connection.execute(
        update(package)
        .where(
            package.c.institution_code == institution,
            package.c.state.in_(_WAITING),
            package.c.next_at > now,
        )
        .values(next_at=now)
    )
