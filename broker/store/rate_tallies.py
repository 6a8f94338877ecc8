"""Tallies of many institutions in one pass over their orders, for boards and forecasts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    type_coerce,
)

from broker.store.rate_orders import THOUSAND, rate_orders_between
from broker.store.rate_tables import rate_order
from broker.store.schema import record
from mapping.rates.completion import DayTally
from mapping.rates.counted_order import CARD_DATA_LAG

_AT_ONCE = 500
_DAY = 86_400_000_000
_TAIPEI = 8 * 3_600_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_NEVER = 1 << 62
_DAYS, _FLAGS = 1 << 20, 4


@dataclass(frozen=True, slots=True, eq=False)
class OrderKind:
    """What many orders have in common: all that a tally asks of an order.

    ``quantity`` in thousandths. Ages are in days from the visit: ``arrived`` when the card data
    came, ``came`` when the upload was known to be accepted, None where it is not uploaded.
    """

    visit_on: date
    quantity: int
    opted_out: bool
    in_month: bool
    in_card_data: bool
    arrived: int
    came: int | None
    on_time: bool
    own: bool


Kinds = Mapping[OrderKind, int]
"""How many orders are of which kind. Kinds are compared by identity: those of one reading."""


@dataclass(slots=True)
class Tally:
    """A month counted in thousandths, all days for a forecast in quantities.

    ``open`` says how many orders of which quantity (thousandths) are due and not uploaded.
    """

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


def institution_kinds(
    connection: Connection,
    institutions: frozenset[str] | None,
    since: date,
    month: tuple[date, date],
    data_on: date,
) -> Iterator[tuple[str, Kinds]]:
    """The orders of each institution with one from ``since`` to the later of the month's last day
    and ``data_on``, in the order of their codes. ``month`` is what is counted; the rest is for the
    forecast."""
    kinds = _KindsByText(month, data_on)
    until = max(month[1], data_on)
    surplus = _surplus(connection, institutions, since, until)
    cursor = connection.execute(_query(institutions, since, until)).cursor
    assert cursor is not None  # noqa: S101 - it is a SELECT
    while part := cursor.fetchmany(_AT_ONCE):
        for institution, texts in part:
            counted = Counter(texts.split(","))
            if institution in surplus:
                counted -= surplus[institution]
            yield institution, {kinds[each]: count for each, count in counted.items()}


def kinds_together(parts: Iterable[Kinds]) -> Kinds:
    """The orders of several institutions."""
    total: Counter[OrderKind] = Counter()
    for kinds in parts:
        total.update(kinds)
    return total


def tally_of(kinds: Kinds) -> Tally:
    """The tally of these orders."""
    tally = Tally()
    days = tally.days
    for kind, count in kinds.items():
        quantity, came = kind.quantity * count, kind.came
        if kind.opted_out:
            if kind.in_month:
                tally.opted_out += quantity
                if kind.in_card_data:
                    tally.card_due += quantity
            continue
        if kind.in_month:
            tally.due += quantity
            if kind.in_card_data:
                tally.card_due += quantity
            if came is None:
                tally.open[kind.quantity] += count
            else:
                _add_upload(tally, kind, quantity)
        day = kind.visit_on
        of_day = days.get(day)
        if of_day is None:
            of_day = days[day] = DayTally()
        part = _quantity(quantity)
        of_day.due += part
        arrived = of_day.arrived
        arrived[kind.arrived] = arrived[kind.arrived] + part if kind.arrived in arrived else part
        if came is not None:
            into = of_day.on_time if kind.on_time else of_day.late
            into[came] = into[came] + part if came in into else part
    return tally


def _add_upload(tally: Tally, kind: OrderKind, quantity: int) -> None:
    tally.uploaded += quantity
    if kind.on_time:
        tally.on_time += quantity
    if kind.own:
        tally.own += quantity
    if kind.in_card_data:
        tally.card_uploaded += quantity
        if kind.own:
            tally.card_own += quantity


class _Quantities(dict[int, Decimal]):
    def __missing__(self, thousandths: int) -> Decimal:
        quantity = Decimal(thousandths) / THOUSAND
        if thousandths < 1_000_000:
            self[thousandths] = quantity
        return quantity


_quantity = _Quantities().__getitem__


class _KindsByText(dict[str, OrderKind]):
    """The kinds by what the query says of them; each text is read once."""

    def __init__(self, month: tuple[date, date], data_on: date) -> None:
        super().__init__()
        self._month = month
        self._card_last = data_on - CARD_DATA_LAG

    def __missing__(self, said: str) -> OrderKind:
        day, packed, *quantities = said.split(" ")
        quantity = int(quantities[0]) if quantities else THOUSAND
        visit_on = date.fromisoformat(day)
        in_month = self._month[0] <= visit_on <= self._month[1]
        epoch_day = visit_on.toordinal() - _EPOCH
        arrived, result = divmod(int(packed), _DAYS * _FLAGS)
        came, flags = divmod(result, _FLAGS)
        kind = self[said] = OrderKind(
            visit_on,
            abs(quantity),
            quantity <= 0,
            in_month,
            in_month and visit_on <= self._card_last,
            max(arrived - epoch_day, 0),
            max(came - epoch_day, 0) if result else None,
            flags >= 2,
            bool(flags % 2),
        )
        return kind


# As the index says it, else it is not used.
_LIVING = text("record.was_accepted AND record.state != 'superseded'")


def _query(institutions: frozenset[str] | None, since: date, until: date) -> Select[Any]:
    """One row for each institution: its code, and its orders as texts, an order as often as it has
    accepted results."""
    query = select(rate_order.c.institution_code, func.aggregate_strings(_said(), ","))
    query = query.select_from(rate_order.outerjoin(record, _is_result()))
    if institutions is None:
        # Of all institutions the table itself is read, in its order, not day by day.
        query = query.with_hint(rate_order, "NOT INDEXED", "sqlite")
    query = rate_orders_between(query, institutions, since, until)
    return query.group_by(rate_order.c.institution_code).order_by(rate_order.c.institution_code)


def _said() -> ColumnElement[str]:
    """The kind of an order as a text: its day; a number of the day on which the card data arrived
    (since 1970, in Taipei), the day on which the upload was known to be accepted, and 2 for on time
    and 1 for uploaded by the clinic itself; the quantity unless it is one, below zero if opted out.
    """
    order = rate_order.c
    confirmed = type_coerce(record.c.confirmed_at, BigInteger)
    arrived = type_coerce(order.arrived_at, BigInteger)
    came = func.coalesce(type_coerce(record.c.checked_at, BigInteger), confirmed, arrived)
    flags = case((record.c.confirmed_at <= record.c.due_at, 2), else_=0) + case(
        (record.c.uploader_code == order.institution_code, 1), else_=0
    )
    result = case((record.c.id.is_(None), 0), else_=_day_of(came) * _FLAGS + flags)
    quantity = case(
        (order.due == THOUSAND, literal("")),
        (order.due > 0, literal(" ") + cast(order.due, String)),
        else_=literal(" ") + cast(-order.opted_out, String),
    )
    packed = _day_of(arrived) * (_DAYS * _FLAGS) + result
    return cast(order.visit_on, String) + literal(" ") + cast(packed, String) + quantity


def _surplus(
    connection: Connection, institutions: frozenset[str] | None, since: date, until: date
) -> Mapping[str, Counter[str]]:
    """Of orders with several accepted results the texts of all results but the one that tells, by
    institution."""
    here = rate_orders_between(select(rate_order.c.visit_id), institutions, since, until)
    twice = select(record.c.visit_id).where(_LIVING, record.c.visit_id.is_not(None))
    if institutions is not None:
        twice = twice.where(record.c.visit_id.in_(here))
    twice = twice.group_by(record.c.visit_id, record.c.order_code).having(func.count() > 1)
    paired = here.where(rate_order.c.paired_code != rate_order.c.order_code)
    several = twice.union(paired).subquery()
    order = rate_order.c
    query = (
        select(order.institution_code, order.visit_id, order.order_code, _said())
        .select_from(rate_order.join(record, _is_result()))
        .where(order.visit_id.in_(select(several.c.visit_id)))
    )
    # Of several results of an order the earliest that is on time tells, else the earliest.
    ranked = rate_orders_between(query, institutions, since, until).order_by(
        *(order.visit_id, order.order_code),
        case((record.c.confirmed_at <= record.c.due_at, 0), else_=1),
        func.coalesce(type_coerce(record.c.confirmed_at, BigInteger), _NEVER),
        record.c.id,
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    before: tuple[int, str] | None = None
    for institution, visit_id, order_code, said in connection.execute(ranked):
        if before == (visit_id, order_code):
            found[institution][said] += 1
        before = visit_id, order_code
    return found


def _is_result() -> ColumnElement[bool]:
    order, result = rate_order.c, record.c
    return and_(
        result.visit_id == order.visit_id,
        result.visit_id.is_not(None),
        or_(result.order_code == order.order_code, result.order_code == order.paired_code),
        _LIVING,
    )


def _day_of(micros: ColumnElement[int]) -> ColumnElement[int]:
    return (micros + _TAIPEI) // _DAY
