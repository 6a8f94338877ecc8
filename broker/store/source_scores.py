"""How each laboratory's feed does: its rhythm, its silence, what it brings and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import BigInteger, Connection, case, func, select, type_coerce

from broker.store.due_work import first_id_since
from broker.store.reading import highest_id
from broker.store.report_tables import lab_report
from broker.store.schema import receipt, record

_DAYS = 14
_FEWEST = 10
_SHORTEST = timedelta(days=3)
_REPORTS = 200
_TIMES = 300
_LATELY = 100_000
# Nobody begins a day at the very minute at which the week before began.
_LATER_THAN_LAST_WEEK = timedelta(hours=1)
_DAY = 86_400_000_000
"""Microseconds, as the store keeps instants."""


@dataclass(frozen=True, slots=True)
class SourceScore:
    """``days`` counts what came on each of the last 14 days, oldest first. ``usual_gap`` is the
    longest silence that is usual for the hour of the week, None where too little is known;
    ``silent_for`` is how long nothing has come; ``turnaround`` the middle time from collection to
    arrival, as far as records tell. Shares are of the records of the 14 days, 0 to 1."""

    source_id: str
    last_at: datetime | None
    days: tuple[int, ...]
    receipts: int
    records: int
    unmapped: int
    unmatched: int
    invalid: int
    late: int
    unreadable: int
    usual_gap: timedelta | None
    silent_for: timedelta | None
    turnaround: timedelta | None = None

    @property
    def is_silent(self) -> bool:
        """Longer than three times what is usual, and at least two hours."""
        if self.usual_gap is None or self.silent_for is None:
            return False
        return self.silent_for > max(3 * self.usual_gap, timedelta(hours=2))

    def share(self, part: int) -> float:
        return part / self.records if self.records else 0.0

    @property
    def complete(self) -> float:
        """Of the records, those that wait for nobody now, whether or not a person settled them."""
        return 1 - self.share(self.unmapped + self.unmatched + self.invalid)


def source_scores(
    connection: Connection, source_ids: Sequence[str], now: datetime
) -> list[SourceScore]:
    """One score a source, in their order."""
    begin = now - timedelta(days=_DAYS)
    first = first_id_since(connection, receipt, receipt.c.received_at, begin)
    days: dict[str, list[int]] = {each: [0] * _DAYS for each in source_ids}
    unreadable = dict.fromkeys(source_ids, 0)
    number = (type_coerce(receipt.c.received_at, BigInteger) - _microseconds(begin)) // _DAY
    rows = connection.execute(
        select(
            receipt.c.source_id,
            number.label("day"),
            func.count().label("receipts"),
            func.sum(case((receipt.c.state == "quarantined", 1), else_=0)).label("unreadable"),
        )
        .where(receipt.c.id >= first, receipt.c.source_id.in_(list(source_ids)))
        .group_by(receipt.c.source_id, "day")
    )
    for row in rows:
        days[row.source_id][min(_DAYS - 1, max(0, row.day))] += row.receipts
        unreadable[row.source_id] += int(row.unreadable)
    times = {each: _last_times(connection, each) for each in source_ids}
    told = _record_counts(connection, source_ids, first)
    last = {each: times[each][-1] if times[each] else None for each in source_ids}
    return [
        SourceScore(
            source_id=each,
            last_at=last[each],
            days=tuple(days[each]),
            receipts=sum(days[each]),
            unreadable=unreadable[each],
            usual_gap=usual_gap(times[each]),
            silent_for=None if last[each] is None else now - (last[each] or now),
            turnaround=_turnaround(connection, each),
            **told[each],
        )
        for each in source_ids
    ]


def silent_sources(
    connection: Connection,
    source_ids: Sequence[str],
    now: datetime,
    least: timedelta = timedelta(hours=2),
) -> dict[str, datetime]:
    """Since when each source that is silent should have sent.

    It is silent longer than three times what is usual and than ``least``, and a week ago it sent
    in the hours since then, an hour ago at the latest: nobody is warned of a night or a Sunday.
    """
    found: dict[str, datetime] = {}
    week = timedelta(days=7)
    for source_id in source_ids:
        times = _last_times(connection, source_id)
        # Whoever sends so much that the last times are of one day is known well enough.
        gap = usual_gap(times) or (_slow_gap(times) if len(times) == _TIMES else None)
        if gap is None:
            continue
        since = times[-1] + max(3 * gap, least)
        if since < now and _sent_between(
            connection, source_id, since - week, now - week - _LATER_THAN_LAST_WEEK
        ):
            found[source_id] = since
    return found


def _sent_between(
    connection: Connection, source_id: str, after: datetime, before: datetime
) -> bool:
    first = first_id_since(connection, receipt, receipt.c.received_at, after)
    sent = select(receipt.c.id).where(
        receipt.c.id >= first,
        receipt.c.id < first_id_since(connection, receipt, receipt.c.received_at, before),
        receipt.c.source_id == source_id,
        receipt.c.received_at > after,
    )
    return connection.execute(sent.limit(1)).first() is not None


def usual_gap(times: Sequence[datetime]) -> timedelta | None:
    """The gap that 19 of 20 stay under; None where too little is known."""
    if len(times) < _FEWEST or times[-1] - times[0] < _SHORTEST:
        return None
    return _slow_gap(times)


def _slow_gap(times: Sequence[datetime]) -> timedelta:
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    return gaps[int((len(gaps) - 1) * 0.95)]


def _record_counts(
    connection: Connection, source_ids: Sequence[str], first: int
) -> dict[str, dict[str, int]]:
    counts = {
        each: {"records": 0, "unmapped": 0, "unmatched": 0, "invalid": 0, "late": 0}
        for each in source_ids
    }
    late = record.c.confirmed_at > record.c.due_at
    rows = connection.execute(
        select(
            receipt.c.source_id,
            record.c.state,
            record.c.held_reason,
            late.label("late"),
            func.count().label("records"),
        )
        .join(receipt, receipt.c.id == record.c.receipt_id)
        .where(
            record.c.receipt_id >= first,
            receipt.c.source_id.in_(list(source_ids)),
            record.c.state != "superseded",
        )
        .group_by(receipt.c.source_id, record.c.state, record.c.held_reason, late)
    )
    for row in rows:
        found = counts[row.source_id]
        found["records"] += row.records
        if row.state == "held" and row.held_reason in found:
            found[row.held_reason] += row.records
        found["late"] += row.records if row.late else 0
    return counts


def _turnaround(connection: Connection, source_id: str) -> timedelta | None:
    """The middle of the last reports."""
    rows = connection.execute(
        select(lab_report.c.taken_from, lab_report.c.stored_at)
        .where(lab_report.c.source_id == source_id)
        .order_by(lab_report.c.id.desc())
        .limit(_REPORTS)
    )
    took = sorted(row.stored_at - row.taken_from for row in rows if row.taken_from is not None)
    return took[len(took) // 2] if took else None


def _last_times(connection: Connection, source_id: str) -> list[datetime]:
    """When the last receipts of a source came, oldest first, among the last of all."""
    top = highest_id(connection, receipt)
    found = connection.execute(
        select(receipt.c.received_at)
        .where(receipt.c.source_id == source_id, receipt.c.id > top - _LATELY)
        .order_by(receipt.c.id.desc())
        .limit(_TIMES)
    ).scalars()
    return sorted(found)


def _microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
