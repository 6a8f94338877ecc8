"""Which orders tell their body part (h25, 診療部位)."""

from __future__ import annotations

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
