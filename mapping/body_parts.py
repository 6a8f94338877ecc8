"""Which orders tell their body part (h25, 診療部位)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from mapping.editions.edition import edition_on
from mapping.visit import Order


def uploaded_body_parts(order: Order, day: date) -> str:
    """The body part letters that the upload of ``order`` carries, ``""`` for most.

    Only the orders for which the edition of ``day`` asks for h25 do (CT and MRI, SPEC114 p. 8).
    For others the card's field may hold a tooth or a side (IC10, A74), which have no letter there.
    """
    rule = edition_on(day).rule("h25")
    if not order.body_parts or rule is None or not rule.applies({"h15": order.order_code}):
        return ""
    return order.body_parts


def with_known_body_parts(orders: Iterable[Order], known: Iterable[Order]) -> tuple[Order, ...]:
    """``orders`` with the body parts that ``known``, told earlier of the same visit, has for the
    same line: another file of the clinic may have no word for it. Where the earlier lines of one
    code differ, none is taken."""
    parts: dict[tuple[str, str], set[str]] = {}
    for order in known:
        parts.setdefault(_line(order), set()).add(order.body_parts)

    def completed(order: Order) -> Order:
        told = parts.get(_line(order), set())
        if order.body_parts or len(told) != 1:
            return order
        return replace(order, body_parts=next(iter(told)))

    return tuple(map(completed, orders))


def _line(order: Order) -> tuple[str, str]:
    return order.order_code, order.placer_order_number
