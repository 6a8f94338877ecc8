"""Orders apart from their visits: whom a result could belong to, what has no result yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, and_, delete, exists, insert, select, text

from broker.states import HeldReason, RecordState
from broker.store.rate_orders import write_rate_orders
from broker.store.rows import AnyRow
from broker.store.schema import record, visit, visit_order
from broker.store.visit_json import visit_from_text
from mapping.catalogue.tables import order_codes
from mapping.record import record_from_json
from mapping.same_order import collection_time
from mapping.visit import Visit

_MOST = 50


def write_orders(connection: Connection, visit_id: int, item: Visit, *, new: bool) -> None:
    """Note the orders of a visit that the official list (SPEC114 table 3) wants reports of, and
    those that have a placer order number; and what the rates count of it."""
    write_rate_orders(connection, visit_id, item, new=new)
    if not new:
        connection.execute(delete(visit_order).where(visit_order.c.visit_id == visit_id))
    listed = order_codes()
    wanted: dict[tuple[str, str], bool] = {}
    for order in item.orders:
        number = order.placer_order_number.strip()
        if order.order_code in listed or number:
            key = (order.order_code, number)
            taken_back = item.cancelled or order.cancelled or order.upload_opted_out
            # An order that only a message tells counts once its card event is known.
            stands = not (taken_back or item.provisional)
            wanted[key] = wanted.get(key, False) or stands
    if wanted:
        connection.execute(
            insert(visit_order),
            [
                {
                    "visit_id": visit_id,
                    "order_code": code,
                    "placer_order_number": number,
                    "institution_code": item.institution_code,
                    "wanted": stands,
                }
                for (code, number), stands in wanted.items()
            ],
        )


def near_visits(
    connection: Connection,
    institution_code: str,
    birth_on: date | None,
    numbers: Sequence[str],
    since: date | None,
    until: date | None,
) -> list[tuple[int, Visit]]:
    """Visits at a clinic that share the birth date, from ``since`` to ``until``, or an order's
    placer number: for results whose national id finds none. At most a few dozen."""
    conditions = []
    if birth_on is not None and since is not None and until is not None:
        conditions.append(
            and_(visit.c.birth_on == birth_on, visit.c.visit_on.between(since, until))
        )
    given = [number for number in numbers if number]
    if given:
        numbered = select(visit_order.c.visit_id).where(
            visit_order.c.placer_order_number.in_(given), visit_order.c.placer_order_number != ""
        )
        conditions.append(visit.c.id.in_(numbered))
    found: dict[int, Visit] = {}
    for condition in conditions:
        rows = connection.execute(
            select(visit.c.id, visit.c.body)
            .where(visit.c.institution_code == institution_code, condition)
            .limit(_MOST)
        )
        found |= {row.id: visit_from_text(row.body) for row in rows}
    return list(found.items())


def collection_times(connection: Connection, visit_id: int, order_code: str) -> list[str]:
    """When the specimens of the results were taken that the order of a visit has already."""
    rows = connection.execute(
        select(record.c.body).where(
            record.c.visit_id == visit_id,
            record.c.order_code == order_code,
            record.c.state != RecordState.SUPERSEDED.value,
            record.c.body != "",
        )
    )
    return sorted({collection_time(record_from_json(json.loads(row.body))) for row in rows})


def orders_without_result(
    connection: Connection,
    until: datetime,
    institution_code: str = "",
    since: date | None = None,
) -> Iterator[AnyRow]:
    """Orders of the official list at visits before ``until`` for which no result stands, the
    oldest first: ``visit_id institution_code visit_on card_at visit_serial order_code waiting``.
    ``waiting`` is true where the laboratory has sent something that is not final."""
    answered = exists().where(
        record.c.visit_id == visit.c.id,
        record.c.order_code == visit_order.c.order_code,
        record.c.state != RecordState.SUPERSEDED.value,
    )
    # What is not final is tied to no visit yet.
    waiting = exists().where(
        # As the index says it, else it is not used.
        text("record.state = 'held'"),
        record.c.clinic_code == visit.c.institution_code,
        record.c.national_id == visit.c.national_id,
        record.c.order_code == visit_order.c.order_code,
        record.c.held_reason == HeldReason.WAITING_FINAL.value,
    )
    query = (
        select(
            visit.c.id.label("visit_id"),
            visit.c.institution_code,
            visit.c.visit_on,
            visit.c.card_at,
            visit.c.visit_serial,
            visit_order.c.order_code,
            waiting.label("waiting"),
        )
        .join(visit, visit.c.id == visit_order.c.visit_id)
        .where(visit_order.c.wanted, visit.c.card_at < until, ~answered)
        .distinct()
        .order_by(visit.c.card_at, visit.c.id, visit_order.c.order_code)
    )
    if institution_code:
        query = query.where(visit.c.institution_code == institution_code)
    if since is not None:
        query = query.where(visit.c.visit_on >= since)
    listed = order_codes()
    for row in connection.execute(query):
        if row.order_code in listed:
            yield row


def window_of(day: date | None, window: int) -> tuple[date | None, date | None]:
    """The days of visits that a specimen taken on ``day`` could belong to, a week of slips on
    either side."""
    if day is None:
        return None, None
    slip = timedelta(days=7)
    return day - timedelta(days=window) - slip, day + slip
