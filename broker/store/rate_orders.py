"""Orders as the rates count them: noted with their visits, read with what became of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, select

from broker.states import RecordState
from broker.store.rate_tables import rate_order
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record, visit
from mapping.catalogue.tables import order_codes
from mapping.match import CANCELLING
from mapping.rates.counted_order import CountedOrder, Progress
from mapping.unuploaded import IMAGE_ONLY_CODES, codes_of
from mapping.visit import Order, Visit

THOUSAND = 1000
# Made once: a clinic's day is a thousand visits.
_ARRIVED_AT = (
    select(receipt.c.received_at)
    .join(visit, visit.c.receipt_id == receipt.c.id)
    .where(visit.c.id == bindparam("visit"))
)
_LARGEST = Decimal(10**9)
"""A total (A77) is far smaller; what is larger counts as this."""


def write_rate_orders(connection: Connection, visit_id: int, item: Visit, *, new: bool) -> None:
    """Note the orders of a visit that count: of the official list (SPEC114 table 3), with a report,
    neither taken back nor without card data."""
    if not new:
        connection.execute(delete(rate_order).where(rate_order.c.visit_id == visit_id))
    if item.cancelled or item.provisional or item.visit_type in CANCELLING:
        return
    listed = order_codes()
    lines: dict[str, list[Order]] = defaultdict(list)
    for order in item.orders:
        code = order.order_code
        if code in listed and code not in IMAGE_ONLY_CODES and not order.cancelled:
            lines[code].append(order)
    if not lines:
        return
    arrived_at = connection.execute(_ARRIVED_AT, {"visit": visit_id}).scalar_one()
    connection.execute(
        insert(rate_order),
        [
            {
                "institution_code": item.institution_code,
                "visit_on": item.visit_on,
                "visit_id": visit_id,
                "order_code": code,
                "paired_code": next((each for each in codes_of(code) if each != code), code),
                "due": sum(_thousandths(o) for o in orders if not o.upload_opted_out),
                "opted_out": sum(_thousandths(o) for o in orders if o.upload_opted_out),
                "provider_id": item.provider_id,
                "handed_over": _handed_over(orders),
                "arrived_at": arrived_at,
            }
            for code, orders in lines.items()
        ],
    )


def counted_orders(
    connection: Connection, institutions: frozenset[str] | None, first: date, last: date
) -> list[CountedOrder]:
    """The orders of visits from ``first`` to ``last`` (both included) at ``institutions`` (None:
    everywhere), with what became of each, in the order of institution, day and visit."""
    query = rate_orders_between(select(rate_order), institutions, first, last)
    rows = connection.execute(query.order_by(*rate_order.primary_key)).all()
    results = _results(connection, institutions, first, last)
    return [_counted(row, results) for row in rows]


def rate_orders_between(
    query: Select[Any], institutions: frozenset[str] | None, first: date, last: date
) -> Select[Any]:
    """``query`` over ``rate_order``, kept to some days and to what may be seen."""
    query = query.where(rate_order.c.visit_on.between(first, last))
    if institutions is not None:
        query = query.where(rate_order.c.institution_code.in_(sorted(institutions)))
    return query


Results = dict[tuple[int, str], list[AnyRow]]


def _results(
    connection: Connection, institutions: frozenset[str] | None, first: date, last: date
) -> Results:
    """Records by visit and order code, each once."""
    here = rate_orders_between(select(rate_order.c.visit_id).distinct(), institutions, first, last)
    found: Results = defaultdict(list)
    for row in connection.execute(
        select(
            record.c.id,
            record.c.visit_id,
            record.c.order_code,
            record.c.state,
            record.c.held_reason,
            record.c.was_accepted,
            record.c.confirmed_at,
            record.c.due_at,
            record.c.uploader_code,
            record.c.lab_code,
        )
        .where(
            and_(
                record.c.visit_id.in_(here),
                record.c.state != RecordState.SUPERSEDED.value,
            )
        )
        .order_by(record.c.id)
    ):
        found[row.visit_id, row.order_code].append(row)
    return found


def _counted(row: AnyRow, results: Results) -> CountedOrder:
    own = results.get((row.visit_id, row.order_code), [])
    paired = row.paired_code != row.order_code
    others = results.get((row.visit_id, row.paired_code), []) if paired else []
    best = min((*own, *others), key=_rank, default=None)
    progress = _progress(best)
    opted_out = not row.due and bool(row.opted_out)
    if opted_out:
        progress = Progress.OPTED_OUT
    uploaded = progress in (Progress.ON_TIME, Progress.LATE)
    return CountedOrder(
        row.institution_code,
        row.visit_id,
        row.visit_on,
        row.order_code,
        quantity_of(row.opted_out if opted_out else row.due),
        progress,
        row.provider_id,
        best.lab_code if best is not None else "",
        row.handed_over,
        best.uploader_code == row.institution_code if uploaded and best is not None else None,
        best.due_at if best is not None else None,
        best.confirmed_at if uploaded and best is not None else None,
        best.held_reason if best is not None and progress is Progress.HELD else "",
        best.id if best is not None else None,
    )


_OPEN = {
    RecordState.CHECKING.value: Progress.ON_THE_WAY,
    RecordState.INFLIGHT.value: Progress.ON_THE_WAY,
    RecordState.UNKNOWN.value: Progress.ON_THE_WAY,
    RecordState.SEALED.value: Progress.ON_THE_WAY,
    RecordState.READY.value: Progress.READY,
    RecordState.REJECTED.value: Progress.REJECTED,
    RecordState.HELD.value: Progress.HELD,
}
_FURTHEST_FIRST = tuple(Progress)


def _progress(result: AnyRow | None) -> Progress:
    if result is None:
        return Progress.NO_RESULT
    if result.was_accepted:
        on_time = result.confirmed_at is not None and result.confirmed_at <= result.due_at
        return Progress.ON_TIME if on_time else Progress.LATE
    return _OPEN.get(result.state, Progress.ON_THE_WAY)


def _rank(result: AnyRow) -> tuple[int, float, int]:
    """Of several results of one order the one that came furthest, then the earliest, tells."""
    at = result.confirmed_at.timestamp() if result.confirmed_at is not None else float("inf")
    return _FURTHEST_FIRST.index(_progress(result)), at, result.id


def quantity_of(thousandths: int) -> Decimal:
    """A stored quantity as a number."""
    return Decimal(thousandths) / THOUSAND


def _thousandths(order: Order) -> int:
    quantity = min(order.quantity, _LARGEST) * THOUSAND
    return int(quantity.to_integral_value(ROUND_HALF_UP))


def _handed_over(orders: Iterable[Order]) -> bool | None:
    """Whether another institution does it: h26 1, 2 or 4 (SPEC114 p. 8)."""
    for order in orders:
        if order.dispensing_code:
            return order.dispensing_code in ("1", "2", "4")
    return None
