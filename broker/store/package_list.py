"""Packages as a list for people, and one of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from broker.store.reach import package_in_reach
from broker.store.reading import highest_id
from broker.store.rows import AnyRow
from broker.store.schema import attempt, package, package_record, record

_COLUMNS = tuple(column for column in package.c if column.name != "raw_verdict")
_MOST = 2000
_LATELY = 5000


@dataclass(frozen=True, slots=True)
class WholePackage:
    """``records`` in their order, with the verdict of this package on each."""

    row: AnyRow
    attempts: Sequence[AnyRow]
    records: Sequence[AnyRow]
    verdicts: dict[str, int]


def list_packages(
    connection: Connection,
    institutions: frozenset[str] | None,
    limit: int,
    *,
    state: str = "",
    before: int = 0,
) -> Sequence[AnyRow]:
    """The newest packages first, and the one after them if there is one."""
    wanted = select(*_COLUMNS).where(package_in_reach(institutions))
    if state:
        wanted = wanted.where(package.c.state == state)
    if before:
        wanted = wanted.where(package.c.id < before)
    return connection.execute(wanted.order_by(package.c.id.desc()).limit(limit + 1)).all()


def open_packages(connection: Connection, institutions: frozenset[str] | None) -> dict[str, int]:
    """How many packages stand in each state in which something is still to come."""
    rows = connection.execute(
        select(package.c.state, func.count())
        .where(
            package.c.state.in_(("sealed", "claimed", "inflight", "submitted", "unknown")),
            package_in_reach(institutions),
        )
        .group_by(package.c.state)
    )
    return {row[0]: row[1] for row in rows}


def whole_package(
    connection: Connection, institutions: frozenset[str] | None, package_id: int
) -> WholePackage | None:
    """One package; None where there is none in reach."""
    row = connection.execute(
        select(*_COLUMNS).where(package.c.id == package_id, package_in_reach(institutions))
    ).one_or_none()
    if row is None:
        return None
    attempts = connection.execute(
        select(attempt).where(attempt.c.package_id == package_id).order_by(attempt.c.id)
    ).all()
    records = connection.execute(
        select(
            package_record.c.position,
            package_record.c.verdict,
            record.c.id,
            record.c.order_code,
            record.c.clinic_code,
            record.c.national_id,
            record.c.state,
            record.c.due_at,
            record.c.verdict_code,
        )
        .join(record, record.c.id == package_record.c.record_id)
        .where(package_record.c.package_id == package_id)
        .order_by(package_record.c.position)
        .limit(_MOST)
    ).all()
    counted = connection.execute(
        select(package_record.c.verdict, func.count())
        .where(package_record.c.package_id == package_id)
        .group_by(package_record.c.verdict)
    )
    return WholePackage(row, attempts, records, {each[0]: each[1] for each in counted})


def waiting_for_sending(
    connection: Connection, institutions: Sequence[str]
) -> dict[str, tuple[int, datetime | None]]:
    """How many records of each institution could leave now, and when the first is due."""
    rows = connection.execute(
        select(record.c.uploader_code, func.count(), func.min(record.c.due_at))
        .where(
            record.c.state.in_(("ready", "sealed")), record.c.uploader_code.in_(list(institutions))
        )
        .group_by(record.c.uploader_code)
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def last_confirmed(connection: Connection, institutions: Sequence[str]) -> dict[str, datetime]:
    """When NHI last confirmed a package of each institution, among the last packages of all."""
    top = highest_id(connection, package)
    rows = connection.execute(
        select(package.c.institution_code, func.max(package.c.confirmed_at))
        .where(
            package.c.id > top - _LATELY,
            package.c.institution_code.in_(list(institutions)),
            package.c.confirmed_at.is_not(None),
        )
        .group_by(package.c.institution_code)
    )
    return {row[0]: row[1] for row in rows}
