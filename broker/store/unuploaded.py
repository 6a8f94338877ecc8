"""NHI's lists of cases not uploaded, and what the store knows of their rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection, func, insert, select, update

from broker.store.dialect import placed
from broker.store.rows import AnyRow
from broker.store.schema import record, visit, visit_order
from broker.store.unuploaded_tables import unuploaded_list, unuploaded_row
from mapping.moment import TAIPEI
from mapping.unuploaded import (
    IMAGE_ONLY_CODES,
    Outcome,
    UnuploadedRow,
    codes_of,
    outcome_of,
)

_COLUMNS = (
    "national_id, card_on, card_at, visit_type, visit_serial, order_code, quantity, card_mark, "
    "incomplete"
)
_INSERT = (
    f"INSERT INTO unuploaded_row (list_id, institution_code, position, {_COLUMNS}) "  # noqa: S608
    f"VALUES ({', '.join('?' * 12)})"
)
_ROWS_AT_ONCE = 5000
_ROWS = f"SELECT {_COLUMNS} FROM unuploaded_row WHERE list_id = ? ORDER BY position"  # noqa: S608


@dataclass(frozen=True, slots=True)
class ListHead:
    """What a list is. ``sha256`` is of its CSV: the same list twice is one list."""

    institution_code: str
    from_on: date | None
    until_on: date | None
    sha256: bytes

    @staticmethod
    def of(
        raw: bytes, institution_code: str, from_on: date | None, until_on: date | None
    ) -> ListHead:
        """The head of the list whose CSV is ``raw``."""
        return ListHead(institution_code, from_on, until_on, hashlib.sha256(raw).digest())


def begin_list(connection: Connection, head: ListHead, now: datetime) -> tuple[int, int]:
    """The id of the list, made where it is new, and how many of its rows are stored already."""
    found = connection.execute(
        select(unuploaded_list.c.id).where(
            unuploaded_list.c.institution_code == head.institution_code,
            unuploaded_list.c.sha256 == head.sha256,
        )
    ).scalar()
    if found is None:
        values = {
            "institution_code": head.institution_code,
            "from_on": head.from_on,
            "until_on": head.until_on,
            "sha256": head.sha256,
            "taken_at": now,
        }
        key = connection.execute(insert(unuploaded_list).values(values)).inserted_primary_key
        assert key is not None  # noqa: S101 - one row was inserted
        return int(key[0]), 0
    rows = select(func.count()).select_from(unuploaded_row).where(unuploaded_row.c.list_id == found)
    return int(found), connection.execute(rows).scalar_one()


def append_rows(
    connection: Connection, list_id: int, position: int, rows: Sequence[UnuploadedRow]
) -> None:
    """Store rows from ``position`` on; those that are stored already stay as they are."""
    known = connection.execute(
        select(func.max(unuploaded_row.c.position)).where(unuploaded_row.c.list_id == list_id)
    ).scalar()
    whose = connection.execute(
        select(unuploaded_list.c.institution_code).where(unuploaded_list.c.id == list_id)
    ).scalar_one()
    first = 0 if known is None else max(0, known + 1 - position)
    values = [
        (
            list_id,
            whose,
            position + index,
            row.national_id,
            row.card_on.isoformat(),
            row.card_at,
            row.visit_type,
            row.visit_serial,
            row.order_code,
            row.quantity,
            row.card_mark,
            row.incomplete,
        )
        for index, row in enumerate(rows[first:], start=first)
    ]
    if values:
        # Past SQLAlchemy's handling of values, which would cost more than storing them.
        connection.exec_driver_sql(placed(connection.dialect, _INSERT), values)


def end_list(connection: Connection, list_id: int, row_count: int) -> None:
    """All rows are stored."""
    connection.execute(
        update(unuploaded_list).where(unuploaded_list.c.id == list_id).values(row_count=row_count)
    )


def reconcile(connection: Connection, list_id: int) -> Iterator[tuple[Outcome, UnuploadedRow]]:
    """Each row of a list with what is known here of it now."""
    head = connection.execute(select(unuploaded_list).where(unuploaded_list.c.id == list_id)).one()
    first, last = connection.execute(
        select(func.min(unuploaded_row.c.card_on), func.max(unuploaded_row.c.card_on)).where(
            unuploaded_row.c.list_id == list_id
        )
    ).one()
    if first is None:
        return
    known = _Known(connection, head.institution_code, first, last)
    days: dict[str | date, date] = {}
    cursor = connection.connection.cursor()
    cursor.execute(placed(connection.dialect, _ROWS), (list_id,))
    while part := cursor.fetchmany(_ROWS_AT_ONCE):
        for national_id, day, *others in part:
            card_on = days.get(day)
            if card_on is None:
                # As the driver gives it: SQLite has text, PostgreSQL dates.
                card_on = days[day] = day if isinstance(day, date) else date.fromisoformat(day)
            row = UnuploadedRow(national_id, card_on, *others)
            yield known.outcome(row), row


class _Known:
    """Visits of one institution in a span of days, with the states of their results."""

    def __init__(self, connection: Connection, institution: str, first: date, last: date) -> None:
        begin = datetime.combine(first, time(), TAIPEI)
        end = datetime.combine(last, time(), TAIPEI) + timedelta(days=1)
        here = (
            visit.c.institution_code == institution,
            visit.c.card_at >= begin,
            visit.c.card_at < end,
        )
        self._visits: dict[tuple[str, date], list[AnyRow]] = defaultdict(list)
        for row in connection.execute(
            select(
                visit.c.id,
                visit.c.national_id,
                visit.c.card_at,
                visit.c.visit_type,
                visit.c.visit_serial,
            ).where(*here)
        ):
            day = row.card_at.astimezone(TAIPEI).date()
            self._visits[row.national_id, day].append(row)
        self._orders = {
            (row.visit_id, row.order_code)
            for row in connection.execute(
                select(visit_order.c.visit_id, visit_order.c.order_code)
                .join(visit, visit.c.id == visit_order.c.visit_id)
                .where(*here)
            )
        }
        self._states: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
        for found in connection.execute(
            select(record.c.visit_id, record.c.order_code, record.c.state, record.c.held_reason)
            .join(visit, visit.c.id == record.c.visit_id)
            .where(*here)
        ):
            self._states[found.visit_id, found.order_code].append((found.state, found.held_reason))
        self._unmatched: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for held in connection.execute(
            select(record.c.national_id, record.c.order_code, record.c.held_reason).where(
                record.c.state == "held",
                record.c.clinic_code == institution,
                record.c.visit_id.is_(None),
            )
        ):
            self._unmatched[held.national_id, held.order_code].append(("held", held.held_reason))

    def outcome(self, row: UnuploadedRow) -> Outcome:
        if row.order_code in IMAGE_ONLY_CODES:
            return Outcome.IMAGE_ONLY
        known = self._visit(row)
        states: list[tuple[str, str]] = []
        ordered = False
        for code in codes_of(row.order_code):
            if held := self._unmatched.get((row.national_id, code)):
                states += held
            if known is not None:
                ordered = ordered or (known.id, code) in self._orders
                if found := self._states.get((known.id, code)):
                    states += found
        return outcome_of(tuple(states), known is not None, ordered)

    def _visit(self, row: UnuploadedRow) -> AnyRow | None:
        """The visit of the same card event: of that serial and kind, else the only one that day."""
        same_day = self._visits.get((row.national_id, row.card_on))
        if same_day is None:
            return None
        if len(same_day) == 1:
            return same_day[0]
        same = [
            each
            for each in same_day
            if each.visit_serial == row.visit_serial and each.visit_type == row.visit_type
        ]
        return same[0] if len(same) == 1 else None
