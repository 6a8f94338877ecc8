"""The cases not uploaded with what names them towards NHI: patients' data, for the clinic alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, select

from broker.store.schema import visit
from broker.store.visit_json import visit_from_text
from mapping.rates.counted_order import CountedOrder
from mapping.rates.plain_number import plain_number
from mapping.rocdate import roc_date, roc_datetime
from mapping.visit import Visit

_AT_ONCE = 500


def unuploaded_rows(
    connection: Connection, orders: Iterable[CountedOrder]
) -> Iterator[tuple[str, ...]]:
    """The cells of each order under ``LIST_HEADER``, in the order given."""
    waiting = iter(orders)
    while part := list(islice(waiting, _AT_ONCE)):
        ids = {order.visit_id for order in part}
        bodies = connection.execute(
            select(visit.c.id, visit.c.body).where(visit.c.id.in_(sorted(ids)))
        )
        visits = {row.id: visit_from_text(row.body) for row in bodies}
        for order in part:
            yield _cells(visits[order.visit_id], order)


def _cells(item: Visit, order: CountedOrder) -> tuple[str, ...]:
    mark = next((each.card_mark for each in item.orders if each.order_code == order.order_code), "")
    newborn = item.newborn_birth_on
    return (
        item.national_id,
        roc_date(item.birth_on),
        roc_date(newborn) if newborn else "",
        item.newborn_mark,
        "",
        roc_datetime(item.card_at),
        item.visit_type,
        item.visit_serial,
        order.order_code,
        plain_number(order.quantity),
        mark,
        "",
        "",
    )
