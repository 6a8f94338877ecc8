"""Visits and their orders, as the clinics' card data told them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    insert,
    select,
    text,
    update,
)

from broker.states import HeldReason, ReceiptState
from broker.store.hindrances import apply_hindrances
from broker.store.order_numbers import numbered_visits, with_known_numbers
from broker.store.receipts import HAS_BYTES
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record, visit
from broker.store.visit_json import visit_from_text, visit_to_text
from broker.store.visit_orders import write_orders
from mapping.body_parts import with_known_body_parts
from mapping.match import CANCELLING, Reason
from mapping.visit import Order, Visit


def store_visits(connection: Connection, receipt_id: int, visits: tuple[Visit, ...]) -> int:
    """Insert or complete visits; results that this concerns are read again, and those that were
    ready are held where their order was cancelled or opted out. Returns how many receipts were
    queued again for that."""
    return requeue_for(connection, merge_visits(connection, receipt_id, visits))


def merge_visits(connection: Connection, receipt_id: int, visits: tuple[Visit, ...]) -> list[Visit]:
    """Insert or complete visits; those that are new or changed by it, for :func:`requeue_for`."""
    touched: list[Visit] = []
    for item in chain(visits, _taken_back(connection, visits)):
        known = _known(connection, item)
        if known is None:
            merged = item
            values = {"receipt_id": receipt_id, **_columns(item)}
            result = connection.execute(_INSERT, values)
            visit_id = int(result.inserted_primary_key[0])  # type: ignore[index]
            write_orders(connection, visit_id, item, new=True)
        else:
            before = visit_from_text(known.body)
            merged = _merge(before, item)
            if replace(merged, place=before.place) == before:
                continue
            _replace(connection, known.id, merged)
        touched.append(merged)
    for visit_id, numbered in numbered_visits(connection, visits, find_visits):
        _replace(connection, visit_id, numbered)
        touched.append(numbered)
    return touched


def set_opted_out(
    connection: Connection, visit_id: int, order_code: str, *, opted_out: bool
) -> tuple[int, int]:
    """Mark all lines of ``order_code`` at a visit, or take the mark away. Returns how many lines
    have it so now, and how many receipts were queued again."""
    body = connection.scalar(select(visit.c.body).where(visit.c.id == visit_id))
    known = visit_from_text(body or "")
    orders = tuple(
        replace(order, upload_opted_out=opted_out) if order.order_code == order_code else order
        for order in known.orders
    )
    changed = replace(known, orders=orders)
    lines = sum(order.order_code == order_code for order in orders)
    if changed == known:
        return lines, 0
    _replace(connection, visit_id, changed)
    return lines, requeue_held(connection, changed.institution_code, changed.national_id)


def _replace(connection: Connection, visit_id: int, item: Visit) -> None:
    connection.execute(update(visit).where(visit.c.id == visit_id).values(_columns(item)))
    write_orders(connection, visit_id, item, new=False)
    apply_hindrances(connection, visit_id, item)


def _taken_back(connection: Connection, visits: tuple[Visit, ...]) -> Iterator[Visit]:
    """The earlier card events that a ZA or ZB takes back, whichever of them came first, as
    cancelled. ZA takes back all of the 24 hours before it, ZB some (SPEC114 p. 4): the one of the
    same serial, else the only one there is."""
    for person in dict.fromkeys((item.institution_code, item.national_id) for item in visits):
        # Read when those before are stored.
        known = [each for _, each in find_visits(connection, *person)]
        for event in known:
            if event.visit_type not in CANCELLING:
                continue
            earlier = [
                each
                for each in known
                if each.visit_type not in CANCELLING
                and timedelta(0) <= event.card_at - each.card_at <= _REACH
            ]
            if event.visit_type == _TAKES_BACK_SOME:
                same = [
                    each
                    for each in earlier
                    if event.visit_serial and each.visit_serial == event.visit_serial
                ]
                earlier = same or (earlier if len(earlier) == 1 else [])
            yield from (replace(each, cancelled=True) for each in earlier if not each.cancelled)


def _known(connection: Connection, item: Visit) -> AnyRow | None:
    """The row of the same card event. A serial that one side does not have yet (異常上傳, 補卡)
    may be completed, if there is no doubt which event it belongs to."""
    rows = connection.execute(_SAME_EVENT, _columns(item, with_body=False)).all()
    exact = [row for row in rows if row.visit_serial == item.visit_serial]
    if exact:
        return exact[0]
    if not item.visit_serial:
        return rows[0] if len(rows) == 1 else None
    return next((row for row in rows if not row.visit_serial), None)


def _columns(item: Visit, *, with_body: bool = True) -> dict[str, Any]:
    newborn = f"{item.newborn_birth_on or ''}/{item.newborn_mark}"
    values: dict[str, Any] = {
        "institution_code": item.institution_code,
        "national_id": item.national_id,
        "card_at": item.card_at,
        "visit_type": item.visit_type,
        "visit_serial": item.visit_serial,
        "visit_on": item.visit_on,
        "birth_on": item.birth_on,
        "newborn": "" if newborn == "/" else newborn,
    }
    if with_body:
        values["body"] = visit_to_text(item)
    return values


def find_visits(
    connection: Connection, institution_code: str, national_id: str
) -> list[tuple[int, Visit]]:
    """The visits of one person at one clinic, oldest first."""
    values = {"clinic": institution_code, "person": national_id}
    rows = connection.execute(_OF_PERSON, values)
    return [(row.id, visit_from_text(row.body)) for row in rows]


# Made once: this is asked for every result.
_OF_PERSON = (
    select(visit.c.id, visit.c.body)
    .where(
        visit.c.institution_code == bindparam("clinic"),
        visit.c.national_id == bindparam("person"),
    )
    .order_by(visit.c.card_at)
)


def get_visit(connection: Connection, visit_id: int) -> Visit | None:
    """One visit; None where there is none."""
    body = connection.execute(select(visit.c.body).where(visit.c.id == visit_id)).scalar()
    return None if body is None else visit_from_text(body)


def _merge(known: Visit, new: Visit) -> Visit:
    """The newer card data wins for the orders that it names; what it leaves out stays. A card
    event that was taken back does not come back, and card data, which has no word for it, does not
    undo that an order was opted out, nor take away a body part."""
    new = with_known_numbers(known, new)
    opted_out = {order.order_code for order in known.orders if order.upload_opted_out}
    if opted_out:
        new = replace(
            new,
            orders=tuple(
                replace(order, upload_opted_out=True) if order.order_code in opted_out else order
                for order in new.orders
            ),
        )
    new = replace(new, orders=with_known_body_parts(new.orders, known.orders))
    named = set(map(_line_of, new.orders))
    kept = tuple(order for order in known.orders if _line_of(order) not in named)
    return replace(
        new,
        visit_serial=new.visit_serial or known.visit_serial,
        cancelled=new.cancelled or known.cancelled,
        orders=kept + new.orders,
    )


def _line_of(order: Order) -> tuple[str, str]:
    return order.order_code, order.placer_order_number


def requeue_rivals(
    connection: Connection, clinic_code: str, national_id: str, receipt_id: int
) -> int:
    """An order of this person has its result now, of ``receipt_id``: results that could have been
    of it or of another are read again. Returns how many receipts."""
    values = {"clinic": clinic_code, "values": [national_id], "but": receipt_id}
    waiting = sorted(connection.execute(_RIVALS, values).scalars())
    return _read_again(connection, waiting) if waiting else 0


def requeue_held(connection: Connection, clinic_code: str, national_id: str) -> int:
    """Results of this person that are held are read again. Returns how many receipts."""
    values = {"clinic": clinic_code, "values": [national_id]}
    waiting = sorted(connection.execute(_OF_PEOPLE, values).scalars())
    return _read_again(connection, waiting) if waiting else 0


def requeue_for(connection: Connection, touched: Sequence[Visit]) -> int:
    """Results that visits which are new, or told anew, concern: of their people, and those that
    found no visit and share a birth date or an order's number, whose national id may be wrong, are
    read again. Returns how many receipts."""
    waiting: set[int] = set()
    clinics: dict[str, list[Visit]] = {}
    for item in touched:
        clinics.setdefault(item.institution_code, []).append(item)
    for clinic_code, items in clinics.items():
        numbers = {o.placer_order_number.strip() for item in items for o in item.orders} - {""}
        for way, values in (
            (_OF_PEOPLE, sorted({item.national_id for item in items})),
            (_OF_BIRTH_DATES, sorted({item.birth_on for item in items})),
            (_OF_NUMBERS, sorted(numbers)),
        ):
            for start in range(0, len(values), _AT_ONCE):
                part = {"clinic": clinic_code, "values": values[start : start + _AT_ONCE]}
                waiting.update(connection.execute(way, part).scalars())
    return _read_again(connection, sorted(waiting)) if waiting else 0


def _read_again(connection: Connection, receipt_ids: Sequence[int]) -> int:
    count = 0
    for start in range(0, len(receipt_ids), _AT_ONCE):
        part = receipt_ids[start : start + _AT_ONCE]
        count += connection.execute(
            update(receipt)
            .where(receipt.c.id.in_(part), receipt.c.state == ReceiptState.PARSED.value, HAS_BYTES)
            .values(state=ReceiptState.STORED.value)
        ).rowcount
    return count


_MOVED_BY_VISITS = tuple(
    reason.value for reason in (HeldReason.UNMATCHED, HeldReason.INVALID, HeldReason.OPTED_OUT)
)
_TAKES_BACK_SOME = "ZB"
_REACH = timedelta(hours=24)
_AT_ONCE = 500

# Made once: a clinic's day is a thousand visits.
_INSERT = insert(visit)
_SAME_EVENT = select(visit.c.id, visit.c.visit_serial, visit.c.body).where(
    *(
        visit.c[name] == bindparam(name)
        for name in (
            "institution_code",
            "national_id",
            "card_at",
            "visit_type",
            "birth_on",
            "newborn",
        )
    )
)
# What is literal stands as the indexes say it, else they are not used.
_WAITING = select(record.c.receipt_id).where(
    text("record.state = 'held'"), record.c.clinic_code == bindparam("clinic")
)
_OF_PEOPLE = _WAITING.where(
    record.c.held_reason.in_(_MOVED_BY_VISITS),
    record.c.national_id.in_(bindparam("values", expanding=True)),
).distinct()
_RIVALS = _OF_PEOPLE.where(
    record.c.findings.contains(Reason.SEVERAL_VISITS.value),
    record.c.receipt_id != bindparam("but"),
)
_OF_BIRTH_DATES = _WAITING.where(
    text("record.birth_on IS NOT NULL"),
    record.c.birth_on.in_(bindparam("values", expanding=True)),
)
_OF_NUMBERS = _WAITING.where(
    text("record.placer_order_number != ''"),
    record.c.placer_order_number.in_(bindparam("values", expanding=True)),
)
