"""The index of reports by clinic, source and person. Every query names the tenant first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Exists, delete, exists, insert, select

from adapters.ports.results import ResultQuery, Viewer
from broker.report_index import IndexedReport
from broker.store.rows import AnyRow
from broker.store.schema import lab_report, receipt


def store_report_index(
    connection: Connection,
    receipt_id: int,
    reports: Sequence[IndexedReport],
    now: datetime,
) -> None:
    """Note the reports of a receipt. Of one that is read again, those that changed are noted anew,
    so that whoever goes on from a cursor meets them."""
    known = {
        row.number: row
        for row in connection.execute(
            select(lab_report).where(lab_report.c.receipt_id == receipt_id)
        )
    }
    fresh = []
    for each in reports:
        values = asdict(each)
        row = known.get(each.number)
        if row is not None and all(getattr(row, name) == value for name, value in values.items()):
            continue
        if row is not None:
            connection.execute(delete(lab_report).where(lab_report.c.id == row.id))
        fresh.append({"receipt_id": receipt_id, "stored_at": now, **values})
    if fresh:
        connection.execute(insert(lab_report), fresh)


def find_reports(connection: Connection, viewer: Viewer, query: ResultQuery) -> Sequence[AnyRow]:
    """The newest word on each result that fits, in the order of storing."""
    conditions = [_may_see(viewer), lab_report.c.id > query.after, ~_newer_word()]
    if query.national_id:
        conditions.append(lab_report.c.national_id == query.national_id)
    if query.chart_number:
        conditions.append(lab_report.c.chart_number == query.chart_number)
    if query.taken_from is not None:
        conditions.append(lab_report.c.taken_until >= query.taken_from)
    if query.taken_until is not None:
        conditions.append(lab_report.c.taken_from < query.taken_until)
    if query.stored_from is not None:
        conditions.append(lab_report.c.stored_at >= query.stored_from)
    if query.stored_until is not None:
        conditions.append(lab_report.c.stored_at < query.stored_until)
    statement = select(lab_report).where(*conditions).order_by(lab_report.c.id)
    return connection.execute(statement.limit(query.count)).all()


def reports_of_receipt(connection: Connection, viewer: Viewer, receipt_id: int) -> Sequence[AnyRow]:
    """The entries of one receipt, as far as the viewer may see them."""
    return connection.execute(
        select(lab_report)
        .where(_may_see(viewer), lab_report.c.receipt_id == receipt_id)
        .order_by(lab_report.c.number)
    ).all()


def words_on(connection: Connection, viewer: Viewer, row: AnyRow) -> Sequence[AnyRow]:
    """All words on the result of which ``row`` is one, oldest first."""
    if not row.identity:
        return [row]
    return connection.execute(
        select(lab_report)
        .where(
            _may_see(viewer),
            lab_report.c.national_id == row.national_id,
            lab_report.c.identity == row.identity,
        )
        .order_by(lab_report.c.id)
    ).all()


def receipt_bytes(connection: Connection, receipt_id: int) -> AnyRow:
    """``source_id``, ``media``, ``state``, ``raw`` of a receipt that is in the index."""
    columns = (receipt.c.source_id, receipt.c.media, receipt.c.state, receipt.c.raw)
    return connection.execute(select(*columns).where(receipt.c.id == receipt_id)).one()


def _may_see(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.clinics:
        # Nobody is the clinic "": results whose clinic is not known are shown to their sender.
        return lab_report.c.clinic_code.in_(sorted(viewer.clinics - {""}))
    return lab_report.c.source_id == viewer.source_id


def _newer_word() -> Exists:
    later = lab_report.alias("later")
    return exists(
        select(later.c.id).where(
            lab_report.c.identity != b"",
            later.c.national_id == lab_report.c.national_id,
            later.c.identity == lab_report.c.identity,
            later.c.id > lab_report.c.id,
        )
    )
