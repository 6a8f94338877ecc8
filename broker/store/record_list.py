"""Records as a list for people, a page at a time by key, never by number of rows passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select

from broker.store.reach import receipts_of, record_in_reach, source_ids
from broker.store.rows import AnyRow
from broker.store.schema import package, record

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
_IS_UNCONFIRMED = record.c.confirmed_at.is_(None) & record.c.state.in_(
    [
        literal_column(f"'{state}'")
        for state in ("held", "ready", "sealed", "inflight", "unknown", "rejected")
    ]
)


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
    wanted = _filtered(select(*_COLUMNS), query)
    if query.due:
        wanted = _by_due(wanted.where(record_in_reach(institutions)), query, now, warn)
    elif institutions is None:
        wanted = _newest(wanted, query)
    else:
        ids = _newest_ids(connection, institutions, query, limit + 1)
        wanted = wanted.where(record.c.id.in_(ids)).order_by(record.c.id.desc())
    return connection.execute(wanted.limit(limit + 1)).all()


def _filtered(wanted: Select[Any], query: RecordQuery) -> Select[Any]:
    if query.state:
        wanted = wanted.where(record.c.state == query.state)
    if query.clinic_code:
        wanted = wanted.where(record.c.clinic_code == query.clinic_code)
    if query.order_code:
        wanted = wanted.where(record.c.order_code == query.order_code)
    if query.package:
        wanted = wanted.join(package, package.c.id == record.c.package_id).where(
            package.c.stem == query.package
        )
    return wanted


def _newest_ids(
    connection: Connection, institutions: frozenset[str], query: RecordQuery, limit: int
) -> list[int]:
    """The newest of each institution by its own index, then the newest of all: one condition on
    several columns would read through everybody's records."""
    ids: set[int] = set()
    for code in sorted(institutions):
        for column in (record.c.clinic_code, record.c.lab_code):
            one = _newest(_filtered(select(record.c.id), query), query).where(column == code)
            ids.update(connection.execute(one.limit(limit)).scalars())
    sources = source_ids(institutions)
    if sources:
        one = _newest(_filtered(select(record.c.id), query), query)
        came = one.where(record.c.receipt_id.in_(receipts_of(sources)))
        ids.update(connection.execute(came.limit(limit)).scalars())
    return sorted(ids, reverse=True)[:limit]


def next_after(query: RecordQuery, last: AnyRow) -> str:
    """Where the page that ends with ``last`` is continued."""
    if not query.due or last.due_at is None:
        return str(last.id)
    return f"{round(last.due_at.timestamp() * 1_000_000)}.{last.id}"


def _newest(wanted: Select[Any], query: RecordQuery) -> Select[Any]:
    if query.after.isascii() and query.after.isdigit():
        wanted = wanted.where(record.c.id < int(query.after))
    return wanted.order_by(record.c.id.desc())


def _by_due(
    wanted: Select[Any],
    query: RecordQuery,
    now: datetime,
    warn: timedelta,
) -> Select[Any]:
    wanted = wanted.where(_IS_UNCONFIRMED, record.c.due_at.is_not(None))
    if query.due == "missed":
        wanted = wanted.where(record.c.due_at < now)
    elif query.due == "risk":
        wanted = wanted.where(record.c.due_at >= now, record.c.due_at < now + warn)
    elif query.due == "calm":
        wanted = wanted.where(record.c.due_at >= now + warn)
    at, _, number = query.after.partition(".")
    if at.isascii() and at.isdigit() and number.isascii() and number.isdigit():
        due: ColumnElement[Any] = literal_column(str(int(at)))
        wanted = wanted.where(
            (record.c.due_at > due) | ((record.c.due_at == due) & (record.c.id > int(number)))
        )
    return wanted.order_by(record.c.due_at, record.c.id)
