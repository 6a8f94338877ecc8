"""Critical results: opened when they come in, closed by the person who confirms them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from broker.report_index import IndexedReport
from broker.store.delivery_tables import critical_result
from broker.store.dialect import insert_new
from broker.store.rows import AnyRow


def open_critical(
    connection: Connection, receipt_id: int, reports: Sequence[IndexedReport], now: datetime
) -> int:
    """Note the critical lines of a receipt. The same value of the same result, said once more, is
    no new one; nor is a receipt that is read again. Returns how many are new."""
    added = 0
    for each in reports:
        for line in each.critical:
            said = _digest(each, line.said)
            if (
                said
                and connection.execute(
                    select(critical_result.c.id).where(critical_result.c.said == said).limit(1)
                ).first()
            ):
                continue
            added += connection.execute(
                insert_new(connection, critical_result).on_conflict_do_nothing(),
                {
                    "receipt_id": receipt_id,
                    "number": each.number,
                    "line": line.line,
                    "said": said,
                    "clinic_code": each.clinic_code,
                    "lab_code": each.lab_code,
                    "source_id": each.source_id,
                    "reason": line.reason,
                    "found_at": now,
                },
            ).rowcount
    return added


def _digest(report: IndexedReport, said: str) -> bytes:
    if not report.identity:
        return b""
    return hashlib.sha256(report.identity + said.encode("utf-8", "surrogatepass")).digest()[:16]


def _in_reach(institutions: frozenset[str]) -> ColumnElement[bool]:
    mine = sorted(institutions - {""})
    return or_(
        critical_result.c.clinic_code.in_(mine),
        critical_result.c.lab_code.in_(mine),
        critical_result.c.source_id.in_(mine),
    )


def critical_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    *,
    unconfirmed: bool = True,
    before: int | None = None,
    count: int = 50,
) -> list[AnyRow]:
    """Critical results of these clinics, laboratories or sources (None: all), newest first."""
    statement = select(critical_result)
    if institutions is not None:
        statement = statement.where(_in_reach(institutions))
    if unconfirmed:
        statement = statement.where(critical_result.c.confirmed_at.is_(None))
    if before is not None:
        statement = statement.where(critical_result.c.id < before)
    return list(connection.execute(statement.order_by(critical_result.c.id.desc()).limit(count)))


def critical_count(connection: Connection, institutions: frozenset[str] | None) -> int:
    """How many of :func:`critical_of` nobody has confirmed."""
    statement = select(func.count()).where(critical_result.c.confirmed_at.is_(None))
    if institutions is not None:
        statement = statement.where(_in_reach(institutions))
    return connection.execute(statement).scalar_one()


def confirm_critical(
    connection: Connection,
    critical_id: int,
    institutions: frozenset[str] | None,
    by: str,
    now: datetime,
) -> AnyRow | None:
    """A person of the clinic has taken note of it and acts. The row as it was before; None where
    there is none that was ordered by these institutions. Who was first stays."""
    statement = select(critical_result).where(critical_result.c.id == critical_id)
    if institutions is not None:
        mine = sorted(institutions - {""})
        statement = statement.where(critical_result.c.clinic_code.in_(mine))
    row = connection.execute(statement).one_or_none()
    if row is not None and row.confirmed_at is None:
        connection.execute(
            update(critical_result)
            .where(critical_result.c.id == critical_id, critical_result.c.confirmed_at.is_(None))
            .values(confirmed_at=now, confirmed_by=by)
        )
    return row


def unconfirmed_by_clinic(connection: Connection) -> list[AnyRow]:
    """``clinic_code``, ``lab_code``, ``records`` and ``found_at`` of the oldest, of what nobody
    has confirmed."""
    return list(
        connection.execute(
            select(
                critical_result.c.clinic_code,
                critical_result.c.lab_code,
                func.count().label("records"),
                func.min(critical_result.c.found_at).label("found_at"),
            )
            .where(critical_result.c.confirmed_at.is_(None))
            .group_by(critical_result.c.clinic_code, critical_result.c.lab_code)
        )
    )
