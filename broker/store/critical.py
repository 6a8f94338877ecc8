"""Critical results: opened when they come in, closed by the person who confirms them or by a later
word of the laboratory; of that a person takes note too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from broker.report_index import IndexedCritical, IndexedReport, line_items
from broker.store.delivery_tables import critical_result
from broker.store.dialect import insert_new, placed
from broker.store.rows import AnyRow
from mapping.report import ObservationStatus, ReportStatus

_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """Of how many critical values a receipt told for the first time, and how many it ended."""

    opened: int = 0
    ended: int = 0


def settle_critical(
    connection: Connection, receipt_id: int, reports: Sequence[IndexedReport], now: datetime
) -> Settled:
    """Note the critical lines of a receipt, and what it makes of those known before.

    The same value of the same line, said once more, is no new one; nor is a receipt that is read
    again. Another value is one, and so is the same value after it was corrected. A line that is
    critical no more, or withdrawn, ends what was noted of it, unless that was said later.
    """
    settled = Settled()
    known = _known(connection, [each.identity for each in reports if each.identity])
    for each in reports:
        rows = known.get(each.identity, []) if each.identity else []
        if each.critical or rows:
            word = _Word(connection, receipt_id, each, rows, now)
            opened, ended = word.open(), word.end()
            settled = Settled(settled.opened + opened, settled.ended + ended)
    return settled


def _known(connection: Connection, identities: Sequence[bytes]) -> Mapping[bytes, list[AnyRow]]:
    """What is noted of these results, oldest first. Nearly always nothing."""
    found: dict[bytes, list[AnyRow]] = {}
    for start in range(0, len(identities), _ASKED_AT_ONCE):
        some = identities[start : start + _ASKED_AT_ONCE]
        # Past SQLAlchemy's own statements: every result passes here.
        cursor = connection.connection.cursor()
        marks = ", ".join("?" * len(some))
        known = f"SELECT 1 FROM critical_result WHERE result IN ({marks}) LIMIT 1"  # noqa: S608
        cursor.execute(placed(connection.dialect, known), tuple(some))
        if cursor.fetchone() is None:
            continue
        wanted = select(critical_result).where(critical_result.c.result.in_(some))
        for row in connection.execute(wanted.order_by(critical_result.c.id)):
            found.setdefault(bytes(row.result), []).append(row)
    return found


class _Word:
    """One report of a receipt beside what is noted of its result."""

    def __init__(
        self,
        connection: Connection,
        receipt_id: int,
        report: IndexedReport,
        rows: Sequence[AnyRow],
        now: datetime,
    ) -> None:
        self._connection = connection
        self._receipt_id = receipt_id
        self._report = report
        self._rows = rows
        self._now = now
        said = report.report.reported_at if report.report else None
        self._said_at = said.at if said else None
        self._critical: dict[bytes, set[bytes]] = {}
        """The critical values of each item, as this word has them."""

    def open(self) -> int:
        own = {row.line for row in self._rows if self._is_own(row)}
        told = {row.said for row in self._rows if not row.ending and row.said}
        opened = 0
        for line in self._report.critical:
            item, said = self._digest(line.item), self._digest(line.said)
            if item:
                self._critical.setdefault(item, set()).add(said)
            before = [row for row in self._rows if item and row.item == item]
            if (
                line.line in own
                or (said and said in told)
                or any(row.said == said and self._is_before_ending(row) for row in before)
            ):
                continue
            told.add(said)
            earlier = before[-1] if before else None
            opened += self._insert(line, item, said, earlier)
            if earlier is not None and earlier.waits and earlier.ending:
                # That it had become normal is true no more.
                self._change(earlier, waits=False)
        return opened

    def end(self) -> int:
        ended, fates = 0, None
        for row in self._rows:
            if row.ending or not row.item or self._is_own(row) or self._is_before(row):
                continue
            values = self._critical.get(row.item)
            if values is not None:
                ending = "" if row.said in values else "critical"
            else:
                fates = self._fates() if fates is None else fates
                ending = fates.get(row.item, fates.get(b"", ""))
            if ending:
                ended += 1
                self._change(
                    row,
                    ending=ending,
                    ended_at=self._now,
                    ended_receipt_id=self._receipt_id,
                    ended_said_at=self._said_at,
                    waits=ending != "critical",
                )
        return ended

    def _fates(self) -> Mapping[bytes, str]:
        """What became of each line that is not critical; ``b""`` stands for all others."""
        report = self._report.report
        if report is None:
            return {}
        fates = {b"": "withdrawn"} if report.status is ReportStatus.CANCELLED else {}
        for item, line in zip(line_items(report), report.observations, strict=True):
            if not item:
                continue
            if line.status in (ObservationStatus.WITHDRAWN, ObservationStatus.NOT_DONE):
                fates[self._digest(item)] = "withdrawn"
            elif line.status is not ObservationStatus.PRELIMINARY and line.value:
                fates[self._digest(item)] = "normal"
            else:
                fates[self._digest(item)] = ""
        return fates

    def _is_own(self, row: AnyRow) -> bool:
        return (row.receipt_id, row.number) == (self._receipt_id, self._report.number)

    def _is_before(self, row: AnyRow) -> bool:
        """Whether this word was said before the one that the row is of."""
        return self._is_older_than(row.said_at, row.receipt_id)

    def _is_before_ending(self, row: AnyRow) -> bool:
        return bool(row.ending) and self._is_older_than(row.ended_said_at, row.ended_receipt_id)

    def _is_older_than(self, said_at: datetime | None, receipt_id: int) -> bool:
        if self._said_at is not None and said_at is not None and self._said_at != said_at:
            return self._said_at < said_at
        return self._receipt_id < receipt_id

    def _digest(self, text: str) -> bytes:
        if not (self._report.identity and text):
            return b""
        return hashlib.sha256(
            self._report.identity + text.encode("utf-8", "surrogatepass")
        ).digest()[:16]

    def _insert(
        self, line: IndexedCritical, item: bytes, said: bytes, earlier: AnyRow | None
    ) -> int:
        each = self._report
        return self._connection.execute(
            insert_new(self._connection, critical_result).on_conflict_do_nothing(),
            {
                "receipt_id": self._receipt_id,
                "number": each.number,
                "line": line.line,
                "said": said,
                "item": item or None,
                "result": each.identity or None,
                "said_at": self._said_at,
                "earlier_id": earlier.id if earlier is not None else None,
                "clinic_code": each.clinic_code,
                "lab_code": each.lab_code,
                "source_id": each.source_id,
                "reason": line.reason,
                "found_at": self._now,
            },
        ).rowcount

    def _change(self, row: AnyRow, **values: object) -> None:
        self._connection.execute(
            update(critical_result).where(critical_result.c.id == row.id).values(**values)
        )


def _in_reach(institutions: frozenset[str]) -> ColumnElement[bool]:
    mine = sorted(institutions - {""})
    return or_(
        critical_result.c.clinic_code.in_(mine),
        critical_result.c.lab_code.in_(mine),
        critical_result.c.source_id.in_(mine),
    )


def critical_of(
    connection: Connection,
    institutions: frozenset[str] | None,
    *,
    unconfirmed: bool = True,
    before: int | None = None,
    count: int = 50,
) -> list[AnyRow]:
    """Critical results of these clinics, laboratories or sources (None: all), newest first."""
    statement = select(critical_result)
    if institutions is not None:
        statement = statement.where(_in_reach(institutions))
    if unconfirmed:
        statement = statement.where(critical_result.c.waits)
    if before is not None:
        statement = statement.where(critical_result.c.id < before)
    return list(connection.execute(statement.order_by(critical_result.c.id.desc()).limit(count)))


def critical_count(connection: Connection, institutions: frozenset[str] | None) -> int:
    """How many of :func:`critical_of` wait for a person."""
    statement = select(func.count()).where(critical_result.c.waits)
    if institutions is not None:
        statement = statement.where(_in_reach(institutions))
    return connection.execute(statement).scalar_one()


def confirm_critical(
    connection: Connection,
    critical_id: int,
    institutions: frozenset[str] | None,
    by: str,
    now: datetime,
) -> AnyRow | None:
    """A person of the clinic has taken note of it, or of its correction, and acts. The row as it
    was before; None where there is none that was ordered by these institutions. Who was first
    stays."""
    statement = select(critical_result).where(critical_result.c.id == critical_id)
    if institutions is not None:
        mine = sorted(institutions - {""})
        statement = statement.where(critical_result.c.clinic_code.in_(mine))
    row = connection.execute(statement).one_or_none()
    if row is not None and row.waits:
        values = (
            {"noted_at": now, "noted_by": by}
            if is_corrected(row)
            else {"confirmed_at": now, "confirmed_by": by}
        )
        connection.execute(
            update(critical_result)
            .where(critical_result.c.id == critical_id, critical_result.c.waits)
            .values(waits=False, **values)
        )
    return row


def is_corrected(row: AnyRow) -> bool:
    """Whether a later word of the laboratory says that it is not critical."""
    return row.ending in ("normal", "withdrawn")


def earlier_of(connection: Connection, rows: Iterable[AnyRow]) -> Mapping[int, AnyRow]:
    """The critical values before these, of the same lines, by their numbers: a new one is alarmed
    anew, and who confirmed the one before is shown beside it. The same tenant's, as these are."""
    ids = sorted({row.earlier_id for row in rows if row.earlier_id is not None})
    found = connection.execute(select(critical_result).where(critical_result.c.id.in_(ids)))
    return {row.id: row for row in found}


def unconfirmed_by_clinic(connection: Connection) -> list[AnyRow]:
    """``clinic_code``, ``lab_code``, ``records`` and ``found_at`` of the oldest, of what nobody
    has confirmed."""
    return _waiting(connection, critical_result.c.ending == "", critical_result.c.found_at)


def corrections_by_clinic(connection: Connection) -> list[AnyRow]:
    """``clinic_code``, ``lab_code``, ``records`` and ``found_at`` of the oldest correction, of the
    critical values that are none any more and of which nobody has taken note."""
    return _waiting(connection, critical_result.c.ending != "", critical_result.c.ended_at)


def _waiting(
    connection: Connection, which: ColumnElement[bool], since: ColumnElement[datetime | None]
) -> list[AnyRow]:
    return list(
        connection.execute(
            select(
                critical_result.c.clinic_code,
                critical_result.c.lab_code,
                func.count().label("records"),
                func.min(since).label("found_at"),
            )
            .where(critical_result.c.waits, which)
            .group_by(critical_result.c.clinic_code, critical_result.c.lab_code)
        )
    )
