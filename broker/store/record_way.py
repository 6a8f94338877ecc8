"""The whole way of one result, from its bytes to NHI's verdict, for one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from broker.store.access_tables import audit_event
from broker.store.delivery_tables import outgoing
from broker.store.reach import record_in_reach
from broker.store.reading import beyond_reach
from broker.store.report_tables import lab_report
from broker.store.rows import AnyRow
from broker.store.schema import attempt, package, package_record, receipt, record, visit
from broker.store.visit_json import visit_from_text
from mapping.visit import Visit

_MOST = 50
_RECORD = tuple(
    record.c[name]
    for name in (
        "id", "version", "state", "held_reason", "receipt_id", "due_at", "confirmed_at",
        "verdict_code", "order_code", "clinic_code",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordWay:
    """``row`` and ``receipt`` are whole; ``packages`` are those that held the record, the newest
    first, each with its verdict on it; ``events`` is who looked at it or changed it; the bytes of a
    receipt that ``is_shared`` tell of clinics that who asks does not see."""

    row: AnyRow
    receipt: AnyRow
    visit: Visit | None
    versions: Sequence[AnyRow]
    beside: Sequence[AnyRow]
    packages: Sequence[AnyRow]
    attempts: Sequence[AnyRow]
    deliveries: Sequence[AnyRow]
    events: Sequence[AnyRow]
    is_shared: bool


def find_record(
    connection: Connection, institutions: frozenset[str] | None, record_id: int
) -> AnyRow | None:
    """One record; None where there is none in reach."""
    return connection.execute(
        select(record).where(record.c.id == record_id, record_in_reach(institutions))
    ).one_or_none()


def receipt_in_reach(
    connection: Connection,
    institutions: frozenset[str] | None,
    receipt_id: int,
    *,
    unnamed: bool = False,
) -> bool:
    """Whether all that a receipt tells is of ``institutions``, so that its bytes may be shown; with
    ``unnamed`` also where parts name no clinic, which is enough for bytes that are masked."""
    if institutions is None:
        return True
    codes = sorted(institutions - {""})
    reports = select(lab_report.c.id).where(
        lab_report.c.receipt_id == receipt_id,
        ~or_(
            lab_report.c.clinic_code.in_(codes),
            lab_report.c.lab_code.in_(codes),
            lab_report.c.source_id.in_(codes),
        ),
    )
    records = select(record.c.id).where(
        record.c.receipt_id == receipt_id, ~record_in_reach(institutions)
    )
    if unnamed:
        reports = reports.where(lab_report.c.clinic_code != "")
        records = records.where(record.c.clinic_code != "")
    # What is looked for is what the one who asks does not see.
    with beyond_reach(connection):
        return all(
            connection.execute(others.limit(1)).first() is None for others in (reports, records)
        )


def record_way(
    connection: Connection, institutions: frozenset[str] | None, record_id: int
) -> RecordWay | None:
    """Everything that is known of one record; None where there is none in reach."""
    row = find_record(connection, institutions, record_id)
    if row is None:
        return None
    came = connection.execute(select(receipt).where(receipt.c.id == row.receipt_id)).one()
    body = None
    if row.visit_id is not None:
        body = connection.execute(select(visit.c.body).where(visit.c.id == row.visit_id)).scalar()
    versions = connection.execute(
        select(*_RECORD)
        .where(
            record.c.order_identity == row.order_identity,
            record.c.order_identity != "",
            record_in_reach(institutions),
        )
        .order_by(record.c.version.desc(), record.c.id.desc())
        .limit(_MOST)
    ).all()
    beside = connection.execute(
        select(*_RECORD)
        .where(
            record.c.receipt_id == row.receipt_id,
            record.c.id != row.id,
            record_in_reach(institutions),
        )
        .order_by(record.c.id)
        .limit(_MOST)
    ).all()
    packages = connection.execute(
        select(
            package.c.id,
            package.c.stem,
            package.c.state,
            package.c.sealed_at,
            package.c.sent_at,
            package.c.confirmed_at,
            package.c.checked_at,
            package.c.receipt_number,
            package_record.c.position,
            package_record.c.verdict,
        )
        .join(package_record, package_record.c.package_id == package.c.id)
        .where(package_record.c.record_id == row.id)
        .order_by(package.c.id.desc())
        .limit(_MOST)
    ).all()
    attempts = connection.execute(
        select(
            attempt.c.package_id,
            attempt.c.kind,
            attempt.c.started_at,
            attempt.c.ended_at,
            attempt.c.outcome,
            attempt.c.error_code,
        )
        .where(attempt.c.package_id.in_([each.id for each in packages]))
        .order_by(attempt.c.id)
        .limit(_MOST)
    ).all()
    return RecordWay(
        row,
        came,
        None if body is None else visit_from_text(body),
        versions if len(versions) > 1 else (),
        beside,
        packages,
        attempts,
        _deliveries(connection, institutions, row),
        events_of(connection, "record", str(row.id)),
        not receipt_in_reach(connection, institutions, row.receipt_id, unnamed=True),
    )


def _deliveries(
    connection: Connection, institutions: frozenset[str] | None, row: AnyRow
) -> Sequence[AnyRow]:
    """What of the record's own report went to clinics."""
    number, _, _ = row.slot.partition("/")
    if not number.isdigit():
        return ()
    wanted = select(
        outgoing.c.id,
        outgoing.c.destination,
        outgoing.c.kind,
        outgoing.c.clinic_code,
        outgoing.c.state,
        outgoing.c.attempts,
        outgoing.c.queued_at,
        outgoing.c.ended_at,
        outgoing.c.answer,
        outgoing.c.error_code,
    ).where(outgoing.c.receipt_id == row.receipt_id, outgoing.c.number == int(number))
    if institutions is not None:
        codes = sorted(institutions)
        wanted = wanted.where(
            or_(outgoing.c.clinic_code.in_(codes), outgoing.c.lab_code.in_(codes))
        )
    return connection.execute(wanted.order_by(outgoing.c.id).limit(_MOST)).all()


def events_of(connection: Connection, kind: str, subject: str) -> Sequence[AnyRow]:
    """Who looked at one thing or changed it, the newest first."""
    return connection.execute(
        select(audit_event)
        .where(audit_event.c.kind == kind, audit_event.c.subject == subject)
        .order_by(audit_event.c.number.desc())
        .limit(_MOST)
    ).all()
