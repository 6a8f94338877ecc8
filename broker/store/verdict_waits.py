"""Packages whose check report has not come, though NHI keeps it for some days only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, literal_column, select

from broker.store.packages import IS_OPEN
from broker.store.schema import package

KEPT = timedelta(days=14)
"""How long NHI keeps a check report (seed S004, 檔案於網站只保留兩週)."""
WARN_AFTER = (timedelta(days=7), timedelta(days=12))
"""Far more than a check takes, and while somebody can still fetch the report by hand."""


@dataclass(frozen=True, slots=True)
class VerdictWait:
    """The packages of one institution that have waited for ``days`` or longer, but not for the
    next of :data:`WARN_AFTER`. ``gone_at`` is when the first of their reports is no longer kept."""

    institution_code: str
    days: int
    records: int
    gone_at: datetime


def overdue_verdicts(connection: Connection, now: datetime) -> list[VerdictWait]:
    """What NHI confirmed and has not been heard of since, by institution and days."""
    found: list[VerdictWait] = []
    until = None
    for span in reversed(WARN_AFTER):
        waits = IS_OPEN & (package.c.state == literal_column("'submitted'"))
        waits &= package.c.confirmed_at <= now - span
        if until is not None:
            waits &= package.c.confirmed_at > until
        rows = connection.execute(
            select(
                package.c.institution_code,
                func.sum(package.c.record_count),
                func.min(package.c.confirmed_at),
            )
            .where(waits)
            .group_by(package.c.institution_code)
        )
        found += [
            VerdictWait(institution, span.days, int(records), confirmed_at + KEPT)
            for institution, records, confirmed_at in rows
        ]
        until = now - span
    return found
