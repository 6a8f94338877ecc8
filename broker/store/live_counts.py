"""What stands where at this moment, counted once for everybody who watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, literal_column, select

from broker.store.alarms import open_alarms
from broker.store.delivery_tables import IS_UNREAD, critical_result, outgoing
from broker.store.due_work import OPEN_STATES, QUIET
from broker.store.report_tables import lab_report
from broker.store.rows import AnyRow
from broker.store.schema import record

_TOLD = frozenset({"held", "rejected", "ready", "unknown"})
_WAITING = frozenset({"held", "rejected"})
_BANDS = ("missed", "at_risk", "calm")


class _Owned:
    """Rows that begin with the codes of those who may know of them, found by each code."""

    def __init__(self, rows: Sequence[AnyRow], owners: int) -> None:
        self._rows = rows
        self._places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            for code in set(row[:owners]):
                if code:
                    self._places.setdefault(code, []).append(place)

    def seen_by(self, institutions: frozenset[str] | None) -> Iterable[AnyRow]:
        if institutions is None:
            return self._rows
        found = {place for code in institutions for place in self._places.get(code, ())}
        return (self._rows[place] for place in found)


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Counted for all; what is whose is sorted out in :meth:`told`."""

    records: _Owned
    unread: _Owned
    critical: _Owned
    alarms: Sequence[AnyRow]

    def told(self, institutions: frozenset[str] | None) -> dict[str, Any]:
        """The counts of ``institutions`` and the sources of these ids (None: everybody's)."""
        records, due = Counter[str](), Counter[str](dict.fromkeys((*_BANDS, "waiting"), 0))
        for *_, state, band, number in self.records.seen_by(institutions):
            if state in _TOLD:
                records[state] += number
            if band:
                due[band] += number
                due["waiting"] += number if state in _WAITING else 0
        return {
            "records": dict(sorted(records.items())),
            "due": dict(due),
            "unread": sum(row[-1] for row in self.unread.seen_by(institutions)),
            "critical": sum(row[-1] for row in self.critical.seen_by(institutions)),
            "alarms": [
                row
                for row in self.alarms
                if institutions is None or row.institution_code in institutions
            ],
        }


def count_live(
    connection: Connection, now: datetime, warn: timedelta, *, by_source: bool
) -> LiveCounts:
    """Held, rejected, ready and unknown records, what is due when (see
    :func:`broker.store.due_work.due_counts`), unread and critical results, open alarms.
    ``by_source``: somebody who watches sees records by the id of their source."""
    source = (
        select(func.min(lab_report.c.source_id))
        .where(lab_report.c.receipt_id == record.c.receipt_id)
        .scalar_subquery()
        if by_source
        else literal_column("''")
    )
    band = case(
        (
            record.c.confirmed_at.is_not(None)
            | record.c.due_at.is_(None)
            | record.c.held_reason.in_(QUIET),
            "",
        ),
        (record.c.due_at < now, "missed"),
        (record.c.due_at < now + warn, "at_risk"),
        else_="calm",
    )
    owners = (record.c.clinic_code, record.c.lab_code, record.c.uploader_code)
    columns = (*owners, source.label("source"), record.c.state, band.label("band"))
    records = connection.execute(
        select(*columns, func.count())
        .where(record.c.state.in_(OPEN_STATES))
        .group_by(*owners, "source", record.c.state, "band")
    ).all()
    unread = connection.execute(
        select(outgoing.c.clinic_code, func.count()).where(IS_UNREAD).group_by("clinic_code")
    ).all()
    urgent = (
        critical_result.c.clinic_code,
        critical_result.c.lab_code,
        critical_result.c.source_id,
    )
    critical = connection.execute(
        select(*urgent, func.count()).where(critical_result.c.waits).group_by(*urgent)
    ).all()
    return LiveCounts(
        _Owned(records, 4), _Owned(unread, 1), _Owned(critical, 3), open_alarms(connection)
    )
