"""Records as a list for people, a page at a time by key, never by number of rows passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    exists,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from broker.states import HeldReason
from broker.store.due_work import IN_ORDER_OF_DUE, IS_UNCONFIRMED
from broker.store.reach import record_in_reach, source_ids, unindexed
from broker.store.report_tables import lab_report
from broker.store.rows import AnyRow
from broker.store.schema import IS_OF_OTHER_UPLOADER, package, record

_COLUMNS = (
    record.c.id,
    record.c.order_code,
    record.c.clinic_code,
    record.c.lab_code,
    record.c.national_id,
    record.c.state,
    record.c.held_reason,
    record.c.due_at,
    record.c.confirmed_at,
    record.c.version,
)
_REASONS = ("", *(reason.value for reason in HeldReason))
_FEW = 20_000
"""More are not counted, to choose between ways to the newest."""
_LATELY = 10_000
"""So many of the last are looked through one by one in less time than a person notices."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Empty parts match all. ``due`` is ``missed``, ``risk``, ``calm`` or ``open``: then the list
    is in the order of ``due_at``, else the newest first. ``after`` is where the page before
    ended: an id, or ``microseconds.id`` where the list is by ``due_at``."""

    state: str = ""
    clinic_code: str = ""
    order_code: str = ""
    due: str = ""
    package: str = ""
    after: str = ""


def list_records(
    connection: Connection,
    institutions: frozenset[str] | None,
    query: RecordQuery,
    now: datetime,
    warn: timedelta,
    limit: int,
) -> Sequence[AnyRow]:
    """At most ``limit`` records and the one after them, if there is one."""
    wanted = select(*_COLUMNS)
    if query.due:
        wanted = wanted.where(*_fits(query), record_in_reach(institutions))
        wanted = _by_due(wanted, query, now, warn).limit(limit + 1)
    else:
        ids = _newest_ids(connection, institutions, query, limit + 1)
        wanted = wanted.where(record.c.id.in_(ids)).order_by(record.c.id.desc())
    return connection.execute(wanted).all()


def next_after(query: RecordQuery, last: AnyRow) -> str:
    """Where the page that ends with ``last`` is continued."""
    if not query.due or last.due_at is None:
        return str(last.id)
    return f"{round(last.due_at.timestamp() * 1_000_000)}.{last.id}"


def _newest_ids(
    connection: Connection, institutions: frozenset[str] | None, query: RecordQuery, limit: int
) -> list[int]:
    """The newest that fit, found by what leaves the fewest to look through.

    Each way is one or several walks down an index from its newest end; each walk gives its own
    newest, and the newest of all are among them. Databases that know nothing of how many there
    are of what (SQLite, unless told to look) choose badly between them.
    """
    ids: set[int] = set()
    for walk in _walks(connection, institutions, query, limit):
        ids.update(row.id for row in connection.execute(_newest(query, limit, walk)))
    return sorted(ids, reverse=True)[:limit]


def _newest(query: RecordQuery, limit: int, *conditions: ColumnElement[bool]) -> Select[tuple[int]]:
    wanted = select(record.c.id).where(*conditions, *_fits(query), *_before(query))
    return wanted.order_by(record.c.id.desc()).limit(limit)


def _walks(
    connection: Connection, institutions: frozenset[str] | None, query: RecordQuery, limit: int
) -> Iterable[ColumnElement[bool]]:
    reach = record_in_reach(institutions)
    if query.package:
        stem = select(package.c.id).where(package.c.stem == query.package).scalar_subquery()
        return [(record.c.package_id == stem) & reach]
    if query.clinic_code:
        return [(record.c.clinic_code == query.clinic_code) & reach]
    ways: list[tuple[int, Callable[[], Iterable[ColumnElement[bool]]]]] = []
    if institutions is not None:
        is_choice = query.state or query.order_code
        few = _fewest(connection, *_all_owned(institutions)) if is_choice else 0
        ways.append((few, lambda: _of_institutions(connection, institutions, query, limit)))
    if query.order_code:
        condition = record.c.order_code == query.order_code
        ways.append((_fewest(connection, condition), lambda: [condition & reach]))
    if query.state:
        few = _fewest(connection, record.c.state == query.state)
        ways.append((few, lambda: _of_state(connection, query.state, reach)))
    return min(ways, key=lambda way: way[0])[1]() if ways else [true()]


def _fewest(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    """How many rows fit one of the conditions, as their indexes tell; no more than a few are
    counted."""
    found = 0
    for condition in conditions:
        some = select(literal_column("1")).where(condition).limit(_FEW - found).subquery()
        found += connection.execute(select(func.count()).select_from(some)).scalar_one()
        if found >= _FEW:
            break
    return found


def _of_state(
    connection: Connection, state: str, reach: ColumnElement[bool]
) -> Iterator[ColumnElement[bool]]:
    # The index stands in the order of the reasons, and only then of the ids.
    walks = {
        reason: (record.c.state == state) & (record.c.held_reason == reason) for reason in _REASONS
    }
    there = union_all(
        *(select(literal(reason)).where(exists().where(walk)) for reason, walk in walks.items())
    )
    for reason in connection.execute(there).scalars().all():
        yield walks[reason] & reach


def _of_institutions(
    connection: Connection, institutions: frozenset[str], query: RecordQuery, limit: int
) -> Iterable[ColumnElement[bool]]:
    """Those who have much are met soon among what came last; of those who have little all is soon
    collected."""
    top = connection.execute(select(func.max(record.c.id)).where(*_before(query))).scalar() or 0
    late = (record.c.id > top - _LATELY) & record_in_reach(institutions)
    if len(connection.execute(_newest(query, limit, late)).all()) == limit:
        return [late]
    *walks, sent = _owned(institutions)
    receipts = select(lab_report.c.receipt_id).where(sent)
    return [*walks, record.c.receipt_id.in_(receipts)] if source_ids(institutions) else walks


def _owned(institutions: frozenset[str]) -> Iterator[ColumnElement[bool]]:
    """What belongs to the codes, one index each, and last the reports of their sources."""
    for code in sorted(institutions):
        yield record.c.clinic_code == code
        yield record.c.lab_code == code
        yield IS_OF_OTHER_UPLOADER & (record.c.uploader_code == code)
    yield lab_report.c.source_id.in_(source_ids(institutions))


def _all_owned(institutions: frozenset[str]) -> Iterator[ColumnElement[bool]]:
    """The same of all codes at once, to be counted."""
    codes = sorted(institutions)
    yield record.c.clinic_code.in_(codes)
    yield record.c.lab_code.in_(codes)
    yield IS_OF_OTHER_UPLOADER & record.c.uploader_code.in_(codes)
    yield lab_report.c.source_id.in_(source_ids(institutions))


def _fits(query: RecordQuery) -> list[ColumnElement[bool]]:
    """What sorts out the rows of a walk."""
    named = (
        (record.c.state, query.state),
        (record.c.clinic_code, query.clinic_code),
        (record.c.order_code, query.order_code),
    )
    fits = [unindexed(column) == value for column, value in named if value]
    if query.package:
        stem = select(package.c.id).where(package.c.stem == query.package).scalar_subquery()
        fits.append(func.coalesce(record.c.package_id, 0) == stem)
    return fits


def _before(query: RecordQuery) -> list[ColumnElement[bool]]:
    return [record.c.id < int(query.after)] if _is_number(query.after) else []


def _is_number(text: str) -> bool:
    """Of no more digits than the store's numbers have."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _by_due(
    wanted: Select[Any],
    query: RecordQuery,
    now: datetime,
    warn: timedelta,
) -> Select[Any]:
    wanted = wanted.where(IS_UNCONFIRMED, record.c.due_at.is_not(None))
    wanted = wanted.with_hint(record, IN_ORDER_OF_DUE, "sqlite")
    if query.due == "missed":
        wanted = wanted.where(record.c.due_at < now)
    elif query.due == "risk":
        wanted = wanted.where(record.c.due_at >= now, record.c.due_at < now + warn)
    elif query.due == "calm":
        wanted = wanted.where(record.c.due_at >= now + warn)
    at, _, number = query.after.partition(".")
    if _is_number(at) and _is_number(number):
        due: ColumnElement[Any] = literal_column(str(int(at)))
        wanted = wanted.where(
            (record.c.due_at > due) | ((record.c.due_at == due) & (record.c.id > int(number)))
        )
    return wanted.order_by(record.c.due_at, record.c.id)
