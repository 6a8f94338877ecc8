"""NHI's own lists of cases not uploaded, tied to the orders that they name."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from sqlalchemy import Connection, select

from broker.store.rate_tables import rate_order
from broker.store.schema import visit
from broker.store.unuploaded_tables import unuploaded_list, unuploaded_row
from mapping.moment import TAIPEI
from mapping.rates.counted_order import NhiList, OrderKey

_Card = tuple[str, date, str]
"""National id, day of the card event, order code."""


def nhi_list_of(
    connection: Connection, institutions: frozenset[str] | None, first: date, last: date
) -> NhiList | None:
    """What the newest whole list of NHI's for days between ``first`` and ``last`` names of our
    orders. None unless ``institutions`` is one institution and there is such a list: lists of
    several institutions are of several days and make no common figure.
    """
    if institutions is None or len(institutions) != 1:
        return None
    (institution,) = institutions
    head = connection.execute(
        select(unuploaded_list)
        .where(
            unuploaded_list.c.institution_code == institution,
            unuploaded_list.c.row_count.is_not(None),
            unuploaded_list.c.from_on <= last,
            unuploaded_list.c.until_on >= first,
        )
        .order_by(unuploaded_list.c.taken_at.desc(), unuploaded_list.c.id.desc())
        .limit(1)
    ).first()
    if head is None:
        return None
    from_on, until_on = max(first, head.from_on), min(last, head.until_on)
    named: dict[_Card, set[tuple[str, str]]] = defaultdict(set)
    for row in connection.execute(
        select(
            unuploaded_row.c.national_id,
            unuploaded_row.c.card_on,
            unuploaded_row.c.order_code,
            unuploaded_row.c.visit_type,
            unuploaded_row.c.visit_serial,
        ).where(unuploaded_row.c.list_id == head.id)
    ):
        card = row.national_id, row.card_on, row.order_code
        named[card].add((row.visit_type, row.visit_serial))
    listed: dict[_Card, list[tuple[OrderKey, tuple[str, str]]]] = defaultdict(list)
    for order in connection.execute(
        select(
            rate_order.c.visit_id,
            rate_order.c.order_code,
            visit.c.national_id,
            visit.c.card_at,
            visit.c.visit_type,
            visit.c.visit_serial,
        )
        .join(visit, visit.c.id == rate_order.c.visit_id)
        .where(
            rate_order.c.institution_code == institution,
            rate_order.c.visit_on.between(from_on, until_on),
        )
    ):
        card = (order.national_id, order.card_at.astimezone(TAIPEI).date(), order.order_code)
        if card in named:
            event = order.visit_type, order.visit_serial
            listed[card].append(((order.visit_id, order.order_code), event))
    keys: set[OrderKey] = set()
    for card, ours in listed.items():
        # Of several card events of a day the one of the same kind and serial is meant.
        same = [key for key, event in ours if event in named[card]]
        keys.update(same or ([key for key, _ in ours] if len(ours) == 1 else []))
    data_on = head.taken_at.astimezone(TAIPEI).date()
    return NhiList(from_on, until_on, data_on, frozenset(keys))
