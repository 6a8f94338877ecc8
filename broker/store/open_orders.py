"""Orders of the visits that no result has answered, and what was said of an order before: for the
result that came on paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, and_, exists, or_, select

from broker.store.reach import record_in_reach
from broker.store.reading import highest_id
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record, visit, visit_order
from broker.store.visit_json import visit_from_text
from mapping.record import UploadRecord, record_from_json
from mapping.visit import Visit

_DAYS = timedelta(days=60)
_LATELY = 50_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last record of an order code, and the source that sent it."""

    record: UploadRecord
    source_id: str


def open_orders(
    connection: Connection,
    institutions: frozenset[str] | None,
    today: date,
    limit: int,
    *,
    visit_id: int = 0,
    after: tuple[date, int, str] | None = None,
) -> Sequence[AnyRow]:
    """Wanted orders without a result, of the newest visits first: ``visit_id order_code
    institution_code national_id birth_on visit_on``. ``after`` is the last that is known already:
    its ``visit_on``, ``visit_id`` and ``order_code``."""
    same = visit_order.alias()
    wanted = (
        select(
            visit_order.c.visit_id,
            visit_order.c.order_code,
            visit.c.institution_code,
            visit.c.national_id,
            visit.c.birth_on,
            visit.c.visit_on,
        )
        .join(visit, visit.c.id == visit_order.c.visit_id)
        .where(
            visit_order.c.wanted,
            visit.c.visit_on >= today - _DAYS,
            ~exists().where(
                record.c.visit_id == visit_order.c.visit_id,
                record.c.order_code == visit_order.c.order_code,
            ),
            # An order that was sent twice, under two numbers, is one that waits.
            ~exists().where(
                same.c.visit_id == visit_order.c.visit_id,
                same.c.order_code == visit_order.c.order_code,
                same.c.wanted,
                same.c.placer_order_number < visit_order.c.placer_order_number,
            ),
        )
    )
    if institutions is not None:
        wanted = wanted.where(visit.c.institution_code.in_(sorted(institutions)))
    if visit_id:
        wanted = wanted.where(visit_order.c.visit_id == visit_id)
    if after is not None:
        day, number, code = after
        wanted = wanted.where(
            or_(
                visit.c.visit_on < day,
                and_(visit.c.visit_on == day, visit.c.id < number),
                and_(visit.c.id == number, visit_order.c.order_code > code),
            )
        )
    ordered = wanted.order_by(visit.c.visit_on.desc(), visit.c.id.desc(), visit_order.c.order_code)
    return connection.execute(ordered.limit(limit)).all()


def visit_in_reach(
    connection: Connection, institutions: frozenset[str] | None, visit_id: int
) -> Visit | None:
    """A visit of one of ``institutions``; None where there is none."""
    wanted = select(visit.c.body).where(visit.c.id == visit_id)
    if institutions is not None:
        wanted = wanted.where(visit.c.institution_code.in_(sorted(institutions)))
    body = connection.execute(wanted).scalar()
    return None if body is None else visit_from_text(body)


def remembered(
    connection: Connection, institutions: frozenset[str] | None, order_code: str
) -> Remembered | None:
    """What was said last of an order code, among the last records of all."""
    top = highest_id(connection, record)
    row = connection.execute(
        select(record.c.body, receipt.c.source_id)
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(
            record.c.id > top - _LATELY,
            record.c.order_code == order_code,
            record.c.body != "",
            receipt.c.source_id != "",
            record_in_reach(institutions),
        )
        .order_by(record.c.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return Remembered(record_from_json(json.loads(row.body)), row.source_id)
