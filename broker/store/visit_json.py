"""A visit as the store keeps it: one JSON text."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from mapping.visit import Order, Visit


def visit_to_text(item: Visit) -> str:
    """The text of a visit; equal visits have equal texts."""
    return json.dumps(visit_to_json(item), ensure_ascii=False)


@lru_cache(maxsize=4096)
def visit_from_text(body: str) -> Visit:
    """The inverse of :func:`visit_to_text`. A patient's visits are looked at again for each of
    their results, so the last few thousand are remembered."""
    return visit_from_json(json.loads(body))


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
