"""What may come late, counted, and the warnings that were given for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    TextClause,
    bindparam,
    insert,
    select,
    text,
    type_coerce,
    update,
)

from broker.lateness import Pace
from broker.states import HeldReason, RecordState
from broker.store.dialect import is_shared
from broker.store.rows import AnyRow
from broker.store.schema import Instant, alarm, attempt, package, receipt, record

# Nothing that a person could do brings these to NHI sooner.
_QUIET = (
    HeldReason.OPTED_OUT.value,
    HeldReason.OTHER_PARTY_UPLOADS.value,
    HeldReason.WAITING_FINAL.value,
)
_OPEN = ("held", "ready", "sealed", "inflight", "unknown", "rejected")
_LATELY = timedelta(days=7)
_MOST_LOOKED_AT = 200
_FEWEST = 5
_SLOW_SHARE = 0.95
# A pace slower than this tells of a closure, not of a pace.
_SLOWEST = timedelta(days=1)
_AT_ONCE = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Records of one uploader and clinic that stand alike and are due within ten minutes of each
    other; ``due_at`` is the earliest."""

    uploader_code: str
    clinic_code: str
    state: str
    held_reason: str
    is_late: bool
    records: int
    due_at: datetime


def unconfirmed(connection: Connection, now: datetime, before: datetime) -> list[Unconfirmed]:
    """All that is not at NHI yet and is due before then, but for what nobody could hasten."""
    # Two windows, each read in the order of the index, and the driver's own tuples: a nation's
    # open records fall into hundreds of thousands of groups.
    found: list[Unconfirmed] = []
    statement = _GROUPS[is_shared(connection)]
    for is_late, since, until in ((True, _EPOCH, min(now, before)), (False, now, before)):
        window = {"since": since, "until": until}
        cursor: Any = connection.execute(statement, window).cursor
        for uploader, clinic, state, held_reason, records, due_at in cursor or ():
            due = _EPOCH + timedelta(microseconds=due_at)
            found.append(Unconfirmed(uploader, clinic, state, held_reason, is_late, records, due))
    return found


def _groups(hint: str) -> TextClause:
    states, quiet = (", ".join(f"'{each}'" for each in some) for some in (_OPEN, _QUIET))
    statement = f"""
    SELECT uploader_code, clinic_code, state, held_reason, count(*), min(due_at)
    FROM record {hint}
    WHERE confirmed_at IS NULL AND state IN ({states}) AND held_reason NOT IN ({quiet})
        AND due_at >= :since AND due_at < :until
    GROUP BY uploader_code, clinic_code, state, held_reason, due_at / 600000000
    """  # noqa: S608 - constants only
    return text(statement).bindparams(
        bindparam("since", type_=Instant), bindparam("until", type_=Instant)
    )


# SQLite would take the index of states and sort all that it finds.
_GROUPS = {False: _groups("INDEXED BY record_unconfirmed_groups"), True: _groups("")}


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


def pace_of(connection: Connection, uploader_code: str, clinic_code: str, now: datetime) -> Pace:
    """What the slow ones took in the last seven days; nothing where too little is known."""
    since = now - _LATELY
    sends = connection.execute(
        select(attempt.c.started_at, attempt.c.ended_at)
        .join(package, package.c.id == attempt.c.package_id)
        .where(
            package.c.institution_code == uploader_code,
            attempt.c.kind == "send",
            attempt.c.outcome == "confirmed",
            attempt.c.started_at > since,
        )
        .order_by(attempt.c.id.desc())
        .limit(_MOST_LOOKED_AT)
    )
    waits = connection.execute(
        select(receipt.c.received_at, record.c.ready_at)
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(
            record.c.clinic_code == clinic_code,
            record.c.state == RecordState.ACCEPTED.value,
            receipt.c.received_at > since,
            type_coerce(record.c.ready_at, BigInteger)
            > type_coerce(receipt.c.received_at, BigInteger) + _AT_ONCE,
        )
        .order_by(record.c.id.desc())
        .limit(_MOST_LOOKED_AT)
    )
    return Pace(
        to_ready=_slow([row.ready_at - row.received_at for row in waits]),
        to_receipt=_slow([row.ended_at - row.started_at for row in sends]),
    )


def _slow(durations: list[timedelta]) -> timedelta:
    if len(durations) < _FEWEST:
        return timedelta()
    return min(_SLOWEST, sorted(durations)[int((len(durations) - 1) * _SLOW_SHARE)])


def _change(connection: Connection, alarm_id: int, **values: object) -> None:
    connection.execute(update(alarm).where(alarm.c.id == alarm_id).values(**values))
