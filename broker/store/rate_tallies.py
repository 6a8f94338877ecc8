"""Tallies of many institutions in one pass over their orders, for boards and forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, or_, select, text, type_coerce

from broker.store.rate_orders import THOUSAND, rate_orders_between
from broker.store.rate_tables import rate_order
from broker.store.schema import record
from mapping.rates.counted_order import CARD_DATA_LAG
from mapping.rates.forecast import DayTally

_AT_ONCE = 5000
_DAY = 86_400_000_000
_TAIPEI = 8 * 3_600_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_NEVER = 1 << 62


@dataclass(slots=True)
class InstitutionTally:
    """One institution: a month counted in thousandths, all days for a forecast in quantities.

    ``open`` says how many orders of which quantity (thousandths) are due and not uploaded.
    """

    institution_code: str
    due: int = 0
    on_time: int = 0
    uploaded: int = 0
    own: int = 0
    opted_out: int = 0
    card_due: int = 0
    card_uploaded: int = 0
    card_own: int = 0
    open: dict[int, int] = field(default_factory=dict)
    days: dict[date, DayTally] = field(default_factory=dict)


def institution_tallies(
    connection: Connection,
    institutions: frozenset[str] | None,
    since: date,
    month: tuple[date, date],
    data_on: date,
) -> Iterator[InstitutionTally]:
    """The tallies of each institution with an order from ``since`` to the later of the month's
    last day and ``data_on``, in the order of their codes. ``month`` is what is counted; the rest
    is for the forecast."""
    counting = _Counting(month, data_on)
    rows = _rows(connection, institutions, since, max(month[1], data_on))
    tally = InstitutionTally("")
    waiting: _Row = ()
    best: _Rank = _UNRANKED
    for row in rows:
        if waiting and row[2] == waiting[2] and row[3] == waiting[3]:
            # A further result of the same order.
            if (rank := _rank(row)) < best:
                waiting, best = row, rank
            continue
        if waiting:
            counting.add(tally, waiting)
        if row[0] != tally.institution_code:
            if waiting:
                yield tally
            tally = InstitutionTally(row[0])
        waiting, best = row, _rank(row)
    if waiting:
        counting.add(tally, waiting)
        yield tally


class _Counting:
    """Adds orders to tallies."""

    def __init__(self, month: tuple[date, date], data_on: date) -> None:
        self._first, self._last = (day.toordinal() for day in month)
        self._card_last = (data_on - CARD_DATA_LAG).toordinal()
        self._days: dict[Any, date] = {}
        self._quantities: dict[int, Decimal] = {}

    def add(self, tally: InstitutionTally, row: _Row) -> None:
        """Count one order with the result that tells."""
        institution, key, _, _, due, opted_out, arrived = row[:7]
        record_id, confirmed, due_at, checked, uploader = row[7:]
        day = self._days.get(key)
        if day is None:
            day = self._days[key] = key if isinstance(key, date) else date.fromisoformat(key)
        ordinal = day.toordinal()
        in_month = self._first <= ordinal <= self._last
        in_card_data = in_month and ordinal <= self._card_last
        if not due:
            if in_month:
                tally.opted_out += opted_out
                if in_card_data:
                    tally.card_due += opted_out
            return
        on_time = record_id is not None and confirmed is not None and confirmed <= due_at
        if in_month:
            tally.due += due
            if in_card_data:
                tally.card_due += due
            if record_id is None:
                tally.open[due] = tally.open.get(due, 0) + 1
            else:
                own = uploader == institution
                tally.uploaded += due
                if on_time:
                    tally.on_time += due
                if own:
                    tally.own += due
                if in_card_data:
                    tally.card_uploaded += due
                    if own:
                        tally.card_own += due
        quantity = self._quantities.get(due)
        if quantity is None:
            quantity = self._quantities[due] = Decimal(due) / THOUSAND
        of_day = tally.days.get(day)
        if of_day is None:
            of_day = tally.days[day] = DayTally()
        of_day.due += quantity
        midnight = (ordinal - _EPOCH) * _DAY - _TAIPEI
        age = max((arrived - midnight) // _DAY, 0)
        arrivals = of_day.arrived
        arrivals[age] = arrivals[age] + quantity if age in arrivals else quantity
        if record_id is not None:
            age = max(((checked or confirmed or arrived) - midnight) // _DAY, 0)
            came = of_day.on_time if on_time else of_day.late
            came[age] = came[age] + quantity if age in came else quantity


_Row = tuple[Any, ...]


def _rows(
    connection: Connection, institutions: frozenset[str] | None, since: date, until: date
) -> Iterator[_Row]:
    """The orders with their accepted results, past SQLAlchemy's handling of values, which would
    cost more than reading them."""
    paired = or_(
        record.c.order_code == rate_order.c.order_code,
        record.c.order_code == rate_order.c.paired_code,
    )
    # As the index says it, else it is not used.
    uploaded = text("record.was_accepted AND record.state != 'superseded'")
    query = rate_orders_between(
        select(
            rate_order.c.institution_code,
            rate_order.c.visit_on,
            rate_order.c.visit_id,
            rate_order.c.order_code,
            rate_order.c.due,
            rate_order.c.opted_out,
            type_coerce(rate_order.c.arrived_at, BigInteger),
            record.c.id,
            type_coerce(record.c.confirmed_at, BigInteger),
            type_coerce(record.c.due_at, BigInteger),
            type_coerce(record.c.checked_at, BigInteger),
            record.c.uploader_code,
        ).select_from(
            rate_order.outerjoin(
                record,
                and_(
                    record.c.visit_id == rate_order.c.visit_id,
                    record.c.visit_id.is_not(None),
                    paired,
                    uploaded,
                ),
            )
        ),
        institutions,
        since,
        until,
    ).order_by(*rate_order.primary_key)
    cursor = connection.execute(query).cursor
    assert cursor is not None  # noqa: S101 - it is a SELECT
    while part := cursor.fetchmany(_AT_ONCE):
        yield from part


_Rank = tuple[bool, int, int]
_UNRANKED: _Rank = (True, _NEVER, _NEVER)


def _rank(row: _Row) -> _Rank:
    """Of several results of an order the earliest that is on time tells, else the earliest."""
    record_id, confirmed, due_at = row[7], row[8], row[9]
    if record_id is None:
        return _UNRANKED
    if confirmed is None:
        return (True, _NEVER - 1, record_id)
    return (confirmed > due_at, confirmed, record_id)
