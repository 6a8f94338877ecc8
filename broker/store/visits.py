"""Visits and their orders, as the clinics' card data told them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select, update

from broker.states import HeldReason, ReceiptState, RecordState
from broker.store.schema import receipt, record, visit
from mapping.visit import Order, Visit


def store_visits(connection: Connection, receipt_id: int, visits: tuple[Visit, ...]) -> int:
    """Insert or complete visits; results that waited for them are read again. Returns how many
    receipts were queued again for that."""
    requeued = 0
    for item in visits:
        key = (
            (visit.c.institution_code == item.institution_code)
            & (visit.c.national_id == item.national_id)
            & (visit.c.card_at == item.card_at)
            & (visit.c.visit_type == item.visit_type)
            & (visit.c.visit_serial == item.visit_serial)
        )
        known = connection.execute(select(visit.c.id, visit.c.body).where(key)).first()
        if known is None:
            connection.execute(
                insert(visit).values(
                    receipt_id=receipt_id,
                    institution_code=item.institution_code,
                    national_id=item.national_id,
                    card_at=item.card_at,
                    visit_type=item.visit_type,
                    visit_serial=item.visit_serial,
                    visit_on=item.visit_on,
                    body=json.dumps(visit_to_json(item), ensure_ascii=False),
                )
            )
        else:
            merged = _merge_orders(visit_from_json(json.loads(known.body)), item)
            connection.execute(
                update(visit)
                .where(visit.c.id == known.id)
                .values(body=json.dumps(visit_to_json(merged), ensure_ascii=False))
            )
        requeued += _requeue_waiting(connection, item.institution_code, item.national_id)
    return requeued


def find_visits(
    connection: Connection, institution_code: str, national_id: str
) -> list[tuple[int, Visit]]:
    """The visits of one person at one clinic, oldest first."""
    rows = connection.execute(
        select(visit.c.id, visit.c.body)
        .where(visit.c.institution_code == institution_code, visit.c.national_id == national_id)
        .order_by(visit.c.card_at)
    )
    return [(row.id, visit_from_json(json.loads(row.body))) for row in rows]


def list_visits(connection: Connection) -> Iterator[tuple[int, Visit]]:
    """All visits, oldest first."""
    for row in connection.execute(select(visit.c.id, visit.c.body).order_by(visit.c.card_at)):
        yield row.id, visit_from_json(json.loads(row.body))


def visit_to_json(item: Visit) -> dict[str, Any]:
    """A plain structure; instants as ISO 8601, dates as ISO dates, quantities as text."""
    plain: dict[str, Any] = {}
    for name in Visit.__slots__:
        value = getattr(item, name)
        plain[name] = (
            [_plain_order(order) for order in value] if name == "orders" else _plain(value)
        )
    return plain


def visit_from_json(data: dict[str, Any]) -> Visit:
    """The inverse of :func:`visit_to_json`."""
    values = dict(data)
    values["birth_on"] = date.fromisoformat(values["birth_on"])
    values["visit_on"] = date.fromisoformat(values["visit_on"])
    values["card_at"] = datetime.fromisoformat(values["card_at"])
    if values["newborn_birth_on"]:
        values["newborn_birth_on"] = date.fromisoformat(values["newborn_birth_on"])
    values["orders"] = tuple(_order(order) for order in values["orders"])
    return Visit(**values)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _plain_order(order: Order) -> dict[str, Any]:
    plain = {name: _plain(getattr(order, name)) for name in Order.__slots__}
    plain["quantity"] = str(order.quantity)
    return plain


def _order(data: dict[str, Any]) -> Order:
    values = dict(data)
    values["quantity"] = Decimal(values["quantity"])
    if values["ordered_at"]:
        values["ordered_at"] = datetime.fromisoformat(values["ordered_at"])
    return Order(**values)


def _merge_orders(known: Visit, new: Visit) -> Visit:
    """The newer card data wins for the orders that it names; what it leaves out stays."""
    named = {(order.order_code, order.placer_order_number) for order in new.orders}
    kept = tuple(
        order
        for order in known.orders
        if (order.order_code, order.placer_order_number) not in named
    )
    return replace(new, orders=kept + new.orders)


def _requeue_waiting(connection: Connection, clinic_code: str, national_id: str) -> int:
    waiting = (
        select(record.c.receipt_id)
        .where(
            record.c.held_reason == HeldReason.UNMATCHED.value,
            record.c.state == RecordState.HELD.value,
            record.c.clinic_code == clinic_code,
            record.c.national_id == national_id,
        )
        .distinct()
    )
    return connection.execute(
        update(receipt)
        .where(receipt.c.id.in_(waiting), receipt.c.state == ReceiptState.PARSED.value)
        .values(state=ReceiptState.STORED.value)
    ).rowcount
