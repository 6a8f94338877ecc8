"""The warnings that were given of what may come late, and of what stops work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from broker.store.rows import AnyRow
from broker.store.schema import alarm


class AlarmKind(StrEnum):
    AT_RISK = "at-risk"
    MISSED = "missed"
    CARD_AWAY = "card-away"
    """A card that should be there cannot sign; ``records`` wait for it."""
    CRITICAL = "critical"
    """Critical results that nobody has confirmed; ``due_at`` is when the oldest should be."""
    CRITICAL_CORRECTED = "critical-corrected"
    """Critical results that are none any more, by a later word of the laboratory, of which nobody
    has taken note."""
    CERTIFICATE_ENDS = "certificate-ends"
    """``due_at`` is the end of the card's certificate."""
    VERDICT_OVERDUE = "verdict-overdue"
    """NHI took packages and their check report has not come; ``due_at`` is when NHI no longer
    keeps it."""

    SOURCE_SILENT = "source-silent"
    """Nothing came where something usually does; ``reason`` is the source."""
    DISK_LOW = "disk-low"
    BACKUP_OLD = "backup-old"
    DELIVERY_STUCK = "delivery-stuck"
    """Results do not arrive; ``reason`` is the destination."""
    DELIVERY_REFUSED = "delivery-refused"
    """The receiver said no, or a result cannot be written; ``reason`` is the destination.
    ``due_at`` of these five is since when it should not be so."""


DEADLINE_ALARMS = (
    AlarmKind.AT_RISK,
    AlarmKind.MISSED,
    AlarmKind.CRITICAL,
    AlarmKind.CRITICAL_CORRECTED,
    AlarmKind.VERDICT_OVERDUE,
)


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """``institution_code`` is who uploads, or the clinic where nobody is known yet. ``reason``
    is the state of the records, why they are held, or how long they have waited."""

    kind: AlarmKind
    institution_code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Threat:
    records: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm that has just been opened or closed."""

    key: AlarmKey
    threat: Threat
    opened: bool


def settle_alarms(
    connection: Connection,
    found: Mapping[AlarmKey, Threat],
    now: datetime,
    kinds: Collection[AlarmKind] = DEADLINE_ALARMS,
) -> list[AlarmChange]:
    """Open what is new, note what has changed, close what is no longer so; alarms of other
    ``kinds`` stay as they are."""
    changes: list[AlarmChange] = []
    known: dict[AlarmKey, AnyRow] = {}
    for row in open_alarms(connection):
        if row.kind not in kinds:
            continue
        key = AlarmKey(AlarmKind(row.kind), row.institution_code, row.reason)
        known[key] = row
        threat = found.get(key)
        if threat is None:
            _change(connection, row.id, closed_at=now)
            changes.append(AlarmChange(key, Threat(row.records, row.due_at), opened=False))
        elif threat != Threat(row.records, row.due_at):
            _change(
                connection, row.id, changed_at=now, records=threat.records, due_at=threat.due_at
            )
    for key, threat in found.items():
        if key not in known:
            connection.execute(
                insert(alarm).values(
                    kind=key.kind.value,
                    institution_code=key.institution_code,
                    reason=key.reason,
                    records=threat.records,
                    due_at=threat.due_at,
                    opened_at=now,
                    changed_at=now,
                )
            )
            changes.append(AlarmChange(key, threat, opened=True))
    return changes


def open_alarms(connection: Connection) -> list[AnyRow]:
    """Those that nobody has closed, the earliest due first."""
    return list(
        connection.execute(
            select(alarm).where(alarm.c.closed_at.is_(None)).order_by(alarm.c.due_at, alarm.c.id)
        ).all()
    )


def _change(connection: Connection, alarm_id: int, **values: object) -> None:
    connection.execute(update(alarm).where(alarm.c.id == alarm_id).values(**values))
