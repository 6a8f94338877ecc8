"""Placer order numbers, which order messages tell, on the orders of card data, which has none.

An order message names an order by its number, and the day; the card data names the card event.
They meet where one card event of the person on that day holds the order code. Where two do, the
number stays with neither: it would decide between them without knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from sqlalchemy import Connection

from mapping.visit import Order, Visit

Find = Callable[[Connection, str, str], list[tuple[int, Visit]]]


def with_known_numbers(known: Visit, new: Visit) -> Visit:
    """``new`` of the same visit, where it tells no number of an order of which one is known, and
    with what was taken back under a number: that does not come back under the same number."""
    cancelled = {
        order.placer_order_number
        for order in known.orders
        if order.cancelled and order.placer_order_number
    }
    orders = tuple(
        replace(
            order,
            placer_order_number=order.placer_order_number or _known_number(known, new, order),
            cancelled=order.cancelled or order.placer_order_number in cancelled,
        )
        for order in new.orders
    )
    return new if orders == new.orders else replace(new, orders=orders)


def numbered_visits(
    connection: Connection, visits: Iterable[Visit], find: Find
) -> Iterator[tuple[int, Visit]]:
    """The stored card events, with their ids, that order messages change: by a number, or by taking
    an order back. ``visits`` were just stored; ``find`` gives the visits of a person at a clinic.
    """
    for person in dict.fromkeys((item.institution_code, item.national_id) for item in visits):
        known = find(connection, *person)
        told = [visit for _, visit in known if visit.provisional]
        if not told:
            continue
        for visit_id, visit in known:
            if not visit.provisional:
                others = [each for _, each in known if each is not visit and not each.provisional]
                changed = _numbered(visit, told, others)
                if changed != visit:
                    yield visit_id, changed


def _known_number(known: Visit, new: Visit, order: Order) -> str:
    numbered = [each for each in known.orders if each.order_code == order.order_code]
    alike = [each for each in new.orders if each.order_code == order.order_code]
    return numbered[0].placer_order_number if len(numbered) == len(alike) == 1 else ""


def _numbered(visit: Visit, told: list[Visit], others: list[Visit]) -> Visit:
    same_day = [each for each in told if each.visit_on == visit.visit_on]
    rivals = {
        order.order_code
        for each in others
        if each.visit_on == visit.visit_on and not each.cancelled
        for order in each.orders
    }
    by_code: dict[str, list[Order]] = {}
    for each in same_day:
        for order in each.orders:
            by_code.setdefault(order.order_code, []).append(order)
    ended = {
        order.placer_order_number
        for each in told
        for order in each.orders
        if order.cancelled and order.placer_order_number
    }
    return replace(
        visit,
        orders=tuple(_with_number(visit, order, by_code, rivals, ended) for order in visit.orders),
    )


def _with_number(
    visit: Visit,
    order: Order,
    told: dict[str, list[Order]],
    rivals: set[str],
    ended: set[str],
) -> Order:
    code = order.order_code
    named = told.get(code, [])
    numbers = {each.placer_order_number for each in named}
    alone = sum(each.order_code == code for each in visit.orders) == 1
    number = order.placer_order_number
    if alone and len(named) == 1 and code not in rivals:
        number = number or named[0].placer_order_number
    elif code in rivals and number in numbers:
        number = ""
    taken_back = bool(number) and number in ended
    return replace(order, placer_order_number=number, cancelled=order.cancelled or taken_back)
