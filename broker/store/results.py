"""The index of reports by clinic, source and person. Every query names the tenant first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Exists, exists, select

from adapters.ports.results import ResultQuery, Viewer
from broker.report_index import IndexedReport
from broker.store.report_tables import lab_report
from broker.store.rows import AnyRow
from broker.store.schema import receipt


def store_report_index(
    connection: Connection, receipt_id: int, reports: Sequence[IndexedReport], now: datetime
) -> None:
    """Note the reports of a receipt. Of one that is read again, those that changed are noted anew,
    so that whoever goes on from a cursor meets them."""
    rows = [_row(receipt_id, each, now) for each in reports]
    if not rows:
        return
    # Past SQLAlchemy's own statements: every result passes here, and nearly always as a new one.
    cursor = connection.connection.cursor()
    insert, delete, place = _STATEMENTS[connection.dialect.paramstyle == "qmark"]
    for row in rows:
        cursor.execute(insert, (*row, *row[:place]))
        if cursor.rowcount == 1:
            continue
        # The moment of storing makes no difference.
        cursor.execute(delete, row[:-1])
        if cursor.rowcount == 1:
            cursor.execute(insert, (*row, *row[:place]))


def _row(receipt_id: int, each: IndexedReport, now: datetime) -> tuple[object, ...]:
    return (
        receipt_id,
        each.number,
        each.source_id,
        each.lab_code,
        each.clinic_code,
        each.national_id,
        each.chart_number,
        each.identity,
        _microseconds(each.taken_from),
        _microseconds(each.taken_until),
        _microseconds(now),
    )


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = (
    *("receipt_id", "number", "source_id", "lab_code", "clinic_code", "national_id"),
    *("chart_number", "identity", "taken_from", "taken_until", "stored_at"),
)


def _statements(mark: str, same: str) -> tuple[str, str, int]:
    """INSERT of what is not there yet, DELETE of what says something else, and how many of its
    columns the INSERT is given once more."""
    values = ", ".join([mark] * len(_COLUMNS))
    insert = f"INSERT INTO lab_report ({', '.join(_COLUMNS)}) "
    if mark == "?":
        place = 0
        insert += f"VALUES ({values}) ON CONFLICT (receipt_id, number) DO NOTHING"
    else:
        # Unique within a clinic only; writers take turns, so that looking first is enough.
        place = 2
        insert += (
            f"SELECT {values} WHERE NOT EXISTS (SELECT 1 FROM lab_report "  # noqa: S608
            f"WHERE receipt_id = {mark} AND number = {mark})"
        )
    alike = " AND ".join(f"{name} {same} {mark}" for name in _COLUMNS[2:-1])
    delete = (
        f"DELETE FROM lab_report WHERE receipt_id = {mark} AND number = {mark} AND NOT ({alike})"  # noqa: S608
    )
    return insert, delete, place


# By whether the driver is SQLite's.
_STATEMENTS = {True: _statements("?", "IS"), False: _statements("%s", "IS NOT DISTINCT FROM")}


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


def reports_before(
    connection: Connection, viewer: Viewer, row: AnyRow, count: int
) -> Sequence[AnyRow]:
    """The newest words on other results of the same person, told before ``row``; newest first."""
    if not row.national_id:
        return []
    return connection.execute(
        select(lab_report)
        .where(
            _may_see(viewer),
            lab_report.c.national_id == row.national_id,
            lab_report.c.id < row.id,
            lab_report.c.identity != row.identity,
            ~_newer_word(),
        )
        .order_by(lab_report.c.id.desc())
        .limit(count)
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
