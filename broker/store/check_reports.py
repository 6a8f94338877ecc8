"""Check reports that came as files: the package and the records are found by what is printed.

A report names its institution, its upload day and NHI's receipt number; a channel may know
another number for the same package, so the records' own keys decide and the number only narrows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection, and_, or_, select

from broker.states import PackageState
from broker.store.packages import close_attempt, move_package, open_attempt
from broker.store.rows import AnyRow
from broker.store.schema import package, package_record, record
from broker.store.verdicts import confirm_records, is_about, store_verdict
from mapping.convert import stamp_upload_time
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI
from mapping.record import UploadRecord, record_from_json
from mapping.rocdate import parse_roc_date
from mapping.verdict import CheckedRecord, CheckReport

_MOST_FINDINGS = 50
_NUMBER_LENGTH = 13
# A record is known again by its order and person, and by at least one of its times.
_NEEDED = ("h15", "h9")
_TIMES = ("h16", "h5", "h20")


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """``fits``: at least one record of a package of ours was told of. ``findings`` end with one
    ``report-applied`` for each package."""

    fits: bool
    findings: tuple[Finding, ...] = ()
    accepted: int = 0
    rejected: int = 0
    released: int = 0
    package_ids: tuple[int, ...] = ()


def apply_check_report(
    connection: Connection,
    raw: bytes,
    reports: Sequence[CheckReport],
    now: datetime,
    poll: timedelta,
) -> ReportOutcome:
    """Lay the reports of one file against all packages and store what they decide.

    Running it again changes nothing. A package whose sending ended without an answer is proved
    to have arrived by its report; one that was only sealed here is proved to have been uploaded by
    hand, by its upload time (h16), which no other file has.
    """
    told: dict[int, _Told] = {}
    findings: list[Finding] = []
    unknown = 0
    for report in reports:
        candidates = [_Candidate(row) for row in _packages(connection, report)]
        for number, printed in enumerate(report.records, start=1):
            found, code = _find(connection, candidates, printed, report)
            if found is None:
                unknown += 1
                if unknown <= _MOST_FINDINGS:
                    value = printed.values.get("h15", "")
                    findings.append(Finding(code, place=str(number), value=value))
                continue
            told.setdefault(found.row.id, _Told(found.row)).add(report, printed)
        if report.unknown_lines:
            count = (("count", str(len(report.unknown_lines))),)
            findings.append(
                Finding("report-lines-unknown", severity=Severity.WARNING, parameters=count)
            )
    if unknown > _MOST_FINDINGS:
        more = (("count", str(unknown - _MOST_FINDINGS)),)
        findings.append(Finding("report-more-unknown", parameters=more))
    outcome = ReportOutcome(fits=False, findings=tuple(findings))
    for each in told.values():
        outcome = _apply(connection, outcome, each, raw, now, poll)
    return outcome


def institutions_of(connection: Connection, reports: Sequence[CheckReport]) -> frozenset[str]:
    """Whose packages the reports speak of: the institutions that they print, and those of packages
    that are known by their receipt numbers."""
    codes = {report.institution_code for report in reports}
    codes |= {each.values.get("h2", "") for report in reports for each in report.records}
    codes |= {row.institution_code for report in reports for row in _packages(connection, report)}
    return frozenset(codes - {""})


@dataclass(slots=True)
class _Told:
    """What the file says of one package, report by report."""

    row: AnyRow
    parts: dict[CheckReport, list[CheckedRecord]] = field(default_factory=dict)

    def add(self, report: CheckReport, printed: CheckedRecord) -> None:
        key = replace(report, records=())
        self.parts.setdefault(key, []).append(printed)

    def names_upload_time(self) -> bool:
        """Whether every record is told with its h16."""
        return all(each.values.get("h16") for part in self.parts.values() for each in part)

    def reports(self) -> list[CheckReport]:
        return [replace(key, records=tuple(records)) for key, records in self.parts.items()]


class _Candidate:
    """A package of the printed institution and day; its records are loaded when asked for."""

    def __init__(self, row: AnyRow) -> None:
        self.row = row
        self._items: dict[str, list[UploadRecord]] | None = None

    def matches(self, connection: Connection, printed: CheckedRecord) -> int:
        """How many of its records the printed one may be."""
        if self._items is None:
            self._items = self._load(connection)
        return sum(
            is_about(printed, item) for item in self._items.get(printed.values.get("h15", ""), ())
        )

    def _load(self, connection: Connection) -> dict[str, list[UploadRecord]]:
        bodies = connection.execute(
            select(record.c.body)
            .join(package_record, package_record.c.record_id == record.c.id)
            .where(package_record.c.package_id == self.row.id)
        ).scalars()
        items: dict[str, list[UploadRecord]] = {}
        for body in bodies:
            item = stamp_upload_time(record_from_json(json.loads(body)), self.row.sealed_at)
            items.setdefault(item.value("h15"), []).append(item)
        return items


def _packages(connection: Connection, report: CheckReport) -> Sequence[AnyRow]:
    """Packages of the institutions and upload days that the header or the records print, without
    those that are known by another receipt number of the same kind."""
    keys = {(report.institution_code, report.uploaded_on)}
    keys |= {
        (printed.values.get("h2", ""), printed.values.get("h16", "")[:7])
        for printed in report.records
    }
    wanted = [
        and_(package.c.institution_code == code, package.c.upload_on == day)
        for code, text in sorted(keys)
        if code and (day := _day(text)) is not None
    ]
    if report.receipt_number:
        wanted.append(package.c.receipt_number == report.receipt_number)
    if not wanted:
        return ()
    rows = connection.execute(select(package).where(or_(*wanted)).order_by(package.c.id)).all()
    number = report.receipt_number
    return [
        row
        for row in rows
        if not number
        or row.receipt_number == number
        or len(row.receipt_number) != len(number)
        or not row.receipt_number.isdecimal()
    ]


def _find(
    connection: Connection,
    candidates: Sequence[_Candidate],
    printed: CheckedRecord,
    report: CheckReport,
) -> tuple[_Candidate | None, str]:
    """The package that a printed record belongs to, or the code of why none is certain."""
    values = printed.values
    if not values.get("h15"):
        # Nothing but a fault of the file as a whole names no order.
        whole = [each for each in candidates if each.row.receipt_number == report.receipt_number]
        whole = whole or [each for each in candidates if not each.row.receipt_number]
        certain = bool(printed.error_code) and len(whole) == 1
        return (whole[0], "") if certain else (None, "report-record-unknown")
    if not all(values.get(tag) for tag in _NEEDED) or not any(values.get(tag) for tag in _TIMES):
        return None, "report-record-unknown"
    counts = [(each, each.matches(connection, printed)) for each in candidates]
    fitting = [(each, count) for each, count in counts if count]
    if not fitting:
        return None, "report-record-unknown"
    if len(fitting) > 1:
        named = [pair for pair in fitting if pair[0].row.receipt_number == report.receipt_number]
        fitting = named if report.receipt_number and len(named) == 1 else fitting
    if len(fitting) > 1 or fitting[0][1] > 1:
        return None, "report-record-ambiguous"
    return fitting[0][0], ""


def _apply(
    connection: Connection,
    outcome: ReportOutcome,
    told: _Told,
    raw: bytes,
    now: datetime,
    poll: timedelta,
) -> ReportOutcome:
    sent = told.row
    is_sealed = sent.state == PackageState.SEALED.value and told.names_upload_time()
    if is_sealed or sent.state == PackageState.UNKNOWN.value:
        number = next((part.receipt_number for part in told.parts if part.receipt_number), "")
        if is_sealed:
            attempt_id = open_attempt(connection, sent.id, "hand", now)
            close_attempt(connection, attempt_id, now, "confirmed", error_code="check-report")
        _prove_arrival(connection, sent.id, number, now)
    counts = store_verdict(connection, sent.id, raw, told.reports(), now, poll)
    parameters = (
        ("stem", sent.stem),
        ("accepted", str(counts.accepted)),
        ("rejected", str(counts.rejected)),
        ("unchanged", str(counts.unchanged)),
        ("amended", str(counts.amended)),
        ("unread", str(counts.unread)),
    )
    out_of_turn = any(finding.code == "report-out-of-turn" for finding in counts.findings)
    findings = counts.findings
    if not out_of_turn:
        applied = Finding("report-applied", "", "", "", Severity.INFORMATION, parameters)
        findings += (applied,)
    return ReportOutcome(
        fits=outcome.fits or not out_of_turn,
        findings=outcome.findings + findings,
        accepted=outcome.accepted + counts.accepted,
        rejected=outcome.rejected + counts.rejected,
        released=outcome.released + counts.released,
        package_ids=(*outcome.package_ids, sent.id),
    )


def _prove_arrival(
    connection: Connection, package_id: int, receipt_number: str, now: datetime
) -> None:
    """A check report exists only of what NHI has taken. When is not printed, only the day that
    begins the receipt number: the last moment of that day counts, never an earlier guess."""
    day = _day(receipt_number[:7]) if len(receipt_number) == _NUMBER_LENGTH else None
    confirmed_at = now
    if day is not None:
        end_of_day = datetime.combine(day + timedelta(days=1), time(), TAIPEI)
        confirmed_at = min(now, end_of_day.astimezone(now.tzinfo))
    move_package(
        connection,
        package_id,
        PackageState.SUBMITTED,
        receipt_number=receipt_number,
        confirmed_at=confirmed_at,
        error_code="",
        next_at=now,
    )
    confirm_records(connection, package_id, confirmed_at)


def _day(text: str) -> date | None:
    try:
        return parse_roc_date(text)
    except ValueError:
        return None
