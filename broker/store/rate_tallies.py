"""Tallies of many institutions in one pass over their orders, for boards and forecasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
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
    open: Counter[int] = field(default_factory=Counter)
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
    first, last = (day.toordinal() for day in month)
    card_last = (data_on - CARD_DATA_LAG).toordinal()
    days: dict[Any, date] = {}
    quantities: dict[int, Decimal] = {}
    nothing = Decimal(0)
    rows = _rows(connection, institutions, since, max(month[1], data_on))
    for institution_code, orders in groupby(rows, itemgetter(0)):
        tally = InstitutionTally(institution_code)
        for key, due, opted_out, arrived, confirmed, on_time, learnt, own in _once(orders):
            day = days.get(key)
            if day is None:
                day = days[key] = key if isinstance(key, date) else date.fromisoformat(key)
            ordinal = day.toordinal()
            in_month = first <= ordinal <= last
            if not due:
                if in_month:
                    tally.opted_out += opted_out
                    if ordinal <= card_last:
                        tally.card_due += opted_out
                continue
            if in_month:
                tally.due += due
                if ordinal <= card_last:
                    tally.card_due += due
                if confirmed is None:
                    tally.open[due] += 1
                else:
                    tally.uploaded += due
                    if on_time:
                        tally.on_time += due
                    if own:
                        tally.own += due
                    if ordinal <= card_last:
                        tally.card_uploaded += due
                        if own:
                            tally.card_own += due
            quantity = quantities.get(due)
            if quantity is None:
                quantity = quantities[due] = Decimal(due) / THOUSAND
            of_day = tally.days.get(day)
            if of_day is None:
                of_day = tally.days[day] = DayTally()
            of_day.due += quantity
            age = max((arrived + _TAIPEI) // _DAY + _EPOCH - ordinal, 0)
            of_day.arrived[age] = of_day.arrived.get(age, nothing) + quantity
            if confirmed is not None:
                age = max((learnt + _TAIPEI) // _DAY + _EPOCH - ordinal, 0)
                came = of_day.on_time if on_time else of_day.late
                came[age] = came.get(age, nothing) + quantity
        yield tally


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


def _once(rows: Iterator[_Row]) -> Iterator[_Row]:
    """Each order once, with the result that tells: the earliest that is on time, else the
    earliest. Yields day, due, opted out, arrived at, confirmed at (None: not uploaded), whether on
    time, when that was known, whether the institution itself uploaded."""
    waiting: _Row | None = None
    best: tuple[bool, int, int] = (True, _NEVER, _NEVER)
    before: tuple[Any, ...] = ()
    for row in rows:
        _, day, visit_id, code, due, opted_out, arrived = row[:7]
        record_id, confirmed, due_at, checked, uploader = row[7:]
        made: _Row
        if record_id is None:
            made = (day, due, opted_out, arrived, None, False, 0, False)
            rank = (True, _NEVER, _NEVER)
        else:
            late = confirmed is None or confirmed > due_at
            at = _NEVER - 1 if confirmed is None else confirmed
            learnt = checked or confirmed or arrived
            made = (day, due, opted_out, arrived, at, not late, learnt, uploader == row[0])
            rank = (late, at, record_id)
        key = (visit_id, code)
        if key != before:
            if waiting is not None:
                yield waiting
            before, waiting, best = key, made, rank
        elif rank < best:
            waiting, best = made, rank
    if waiting is not None:
        yield waiting
