"""What is due, at risk and missed, and how the last day went: for the page Today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Table,
    case,
    func,
    literal_column,
    select,
    type_coerce,
)

from broker.states import HeldReason, RecordState
from broker.store.reach import package_in_reach, record_in_reach
from broker.store.reading import beyond_reach, highest_id
from broker.store.rows import AnyRow
from broker.store.schema import alarm, package, receipt, record

# Nothing that a person could do brings these to NHI sooner.
QUIET = (
    HeldReason.OPTED_OUT.value,
    HeldReason.OTHER_PARTY_UPLOADS.value,
    HeldReason.WAITING_FINAL.value,
)
OPEN_STATES = ("held", "ready", "sealed", "inflight", "unknown", "rejected")
"""Of records that are not at NHI yet, but should be."""
# As in the partial index, so that SQLite sees that it holds all that is asked for.
IS_UNCONFIRMED = record.c.confirmed_at.is_(None) & record.c.state.in_(
    [literal_column(f"'{state}'") for state in OPEN_STATES]
)
IN_ORDER_OF_DUE = "INDEXED BY record_unconfirmed"
HOURS = 24
_HOUR = 3_600_000_000
"""Microseconds, as the store keeps instants."""


@dataclass(frozen=True, slots=True)
class DueCounts:
    """Records that are not at NHI yet. ``waiting`` of them need a person."""

    missed: int = 0
    at_risk: int = 0
    calm: int = 0
    waiting: int = 0

    @property
    def open(self) -> int:
        return self.missed + self.at_risk + self.calm


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the last day, beginning at ``start``: results in, records confirmed by NHI."""

    start: datetime
    arrived: int
    confirmed: int


def due_counts(
    connection: Connection, institutions: frozenset[str] | None, now: datetime, warn: timedelta
) -> DueCounts:
    """Counted in the index of what is not confirmed, whatever has been done before."""
    band = case(
        (record.c.due_at < now, "missed"), (record.c.due_at < now + warn, "at_risk"), else_="calm"
    )
    waits = record.c.state.in_((RecordState.HELD.value, RecordState.REJECTED.value))
    rows = connection.execute(
        select(band.label("band"), waits.label("waits"), func.count().label("records"))
        .with_hint(record, IN_ORDER_OF_DUE, "sqlite")
        .where(
            IS_UNCONFIRMED,
            record.c.due_at.is_not(None),
            record.c.held_reason.not_in(QUIET),
            record_in_reach(institutions),
        )
        .group_by("band", "waits")
    )
    found = {"missed": 0, "at_risk": 0, "calm": 0}
    waiting = 0
    for row in rows:
        found[row.band] += row.records
        waiting += row.records if row.waits else 0
    return DueCounts(**found, waiting=waiting)


def most_urgent(
    connection: Connection, institutions: frozenset[str] | None, limit: int
) -> Sequence[AnyRow]:
    """The records that are due first: ``id order_code clinic_code lab_code state held_reason
    due_at national_id``."""
    return connection.execute(
        select(
            record.c.id,
            record.c.order_code,
            record.c.clinic_code,
            record.c.lab_code,
            record.c.state,
            record.c.held_reason,
            record.c.due_at,
            record.c.national_id,
        )
        .with_hint(record, IN_ORDER_OF_DUE, "sqlite")
        .where(
            IS_UNCONFIRMED,
            record.c.due_at.is_not(None),
            record.c.held_reason.not_in(QUIET),
            record_in_reach(institutions),
        )
        .order_by(record.c.due_at)
        .limit(limit)
    ).all()


def day_flow(
    connection: Connection, institutions: frozenset[str] | None, now: datetime
) -> tuple[Hour, ...]:
    """The last 24 full hours and the one that runs, oldest first."""
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    first = first_id_since(connection, receipt, receipt.c.received_at, begin)
    arrived = [0] * HOURS
    hour = type_coerce(receipt.c.received_at, BigInteger) // _HOUR
    counted = connection.execute(
        select(hour.label("hour"), func.count().label("records"))
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(record.c.receipt_id >= first, record_in_reach(institutions))
        .group_by("hour")
    )
    zero = int(begin.timestamp()) // 3600
    for row in counted:
        if 0 <= row.hour - zero < HOURS:
            arrived[row.hour - zero] += row.records
    confirmed = [0] * HOURS
    # A package is confirmed at most some days after it was sealed.
    first = first_id_since(connection, package, package.c.sealed_at, begin - timedelta(days=3))
    packages = connection.execute(
        select(package.c.confirmed_at, package.c.record_count).where(
            package.c.id >= first,
            package.c.confirmed_at >= begin,
            package_in_reach(institutions),
        )
    )
    for row in packages:
        number = int((row.confirmed_at - begin).total_seconds() // 3600)
        if 0 <= number < HOURS:
            confirmed[number] += row.record_count
    starts = [begin + timedelta(hours=each) for each in range(HOURS)]
    return tuple(map(Hour, starts, arrived, confirmed))


def recent_alarms(
    connection: Connection, institutions: frozenset[str] | None, since: datetime, limit: int
) -> Sequence[AnyRow]:
    """Open alarms, then those that were closed after ``since``, the newest first."""
    query = select(alarm).where(alarm.c.closed_at.is_(None) | (alarm.c.closed_at > since))
    if institutions is not None:
        query = query.where(alarm.c.institution_code.in_(sorted(institutions)))
    return connection.execute(
        query.order_by(alarm.c.closed_at.is_not(None), alarm.c.due_at, alarm.c.id.desc()).limit(
            limit
        )
    ).all()


def first_id_since(connection: Connection, table: Table, column: Any, at: datetime) -> int:
    """The first id whose ``column`` is not before ``at``; past the last one where there is none.
    Ids and times rise together, so that no index on the time is needed."""
    with beyond_reach(connection):
        return _first_id_since(connection, table, column, at)


def _first_id_since(connection: Connection, table: Table, column: Any, at: datetime) -> int:
    high = highest_id(connection, table) + 1
    step, low = 1024, max(1, high)
    # Most of what is asked for is near the end.
    while low > 1 and _is_since(connection, table, column, low, at):
        high, low, step = low, max(1, low - step), step * 2
    while low < high:
        middle = (low + high) // 2
        if _is_since(connection, table, column, middle, at):
            high = middle
        else:
            low = middle + 1
    return low


def _is_since(connection: Connection, table: Table, column: Any, number: int, at: datetime) -> bool:
    """Whether the first row from ``number`` on, if there is one, is not before ``at``."""
    found = connection.execute(
        select(column).where(table.c.id >= number).order_by(table.c.id).limit(1)
    ).scalar()
    return found is None or found >= at
