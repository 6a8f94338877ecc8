"""What is noted of each report, so that it is found again: for whom, about whom, from when.

The report itself is not kept twice: it is read again from the bytes of its receipt.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mapping.agreements import parties_of
from mapping.collection_time import collected_at, usable
from mapping.critical import CriticalLimit, critical_lines
from mapping.order_identity import order_identity
from mapping.profile import SourceProfile
from mapping.report import LabReport, Observation, ReportStatus


@dataclass(frozen=True, slots=True)
class IndexedReport:
    """``identity`` is alike for all words on one result; ``taken_*`` are its first and last
    times, aware UTC, None where no time was sent."""

    source_id: str
    number: int
    identity: bytes
    lab_code: str
    clinic_code: str
    national_id: str
    chart_number: str
    taken_from: datetime | None
    taken_until: datetime | None
    is_preliminary: bool = False
    critical: tuple[IndexedCritical, ...] = ()
    report: LabReport | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class IndexedCritical:
    """A critical line (from 1). ``item`` is alike for all words on one line of a result, ``""``
    where nothing tells; ``said`` is what tells it from another value of the same item."""

    line: int
    reason: str
    said: str
    item: str = ""


def index_reports(
    reports: Iterable[LabReport], profile: SourceProfile, limits: Sequence[CriticalLimit] = ()
) -> tuple[IndexedReport, ...]:
    """The entries of the reports of one payload, in their order."""
    return tuple(
        _index(number, report, profile, limits) for number, report in enumerate(reports, start=1)
    )


def _index(
    number: int, report: LabReport, profile: SourceProfile, limits: Sequence[CriticalLimit]
) -> IndexedReport:
    parties = parties_of(report, profile)
    taken = collected_at(report, report.observations)
    times = [taken[0].at] if taken else []
    times += [
        moment.at
        for line in report.observations
        if (moment := usable(line.observed_at)) is not None
    ]
    return IndexedReport(
        source_id=profile.source_id,
        number=number,
        identity=_identity(report, parties.lab_code, parties.clinic_code, profile, times),
        lab_code=parties.lab_code,
        clinic_code=parties.clinic_code,
        national_id=report.patient.national_id,
        chart_number=report.patient.chart_number,
        taken_from=min(times, default=None),
        taken_until=max(times, default=None),
        is_preliminary=report.status is ReportStatus.PRELIMINARY,
        critical=_critical(report, profile, limits),
        report=report,
    )


def line_items(report: LabReport) -> tuple[str, ...]:
    """What joins the words on each line: its code and sub-id (OBX-4); where a report has several of
    them also the time of observation. ``""`` where even that does not tell them apart."""
    names = [_name(line) for line in report.observations]
    if len(set(names)) == len(names):
        return tuple(names)
    several = {name for name, count in Counter(names).items() if count > 1}
    timed = [
        f"{name}\0{line.observed_at.at.isoformat() if line.observed_at else ''}"
        if name in several
        else name
        for name, line in zip(names, report.observations, strict=True)
    ]
    again = {name for name, count in Counter(timed).items() if count > 1}
    return tuple("" if name in again else name for name in timed)


def _name(line: Observation) -> str:
    code = line.codings[0] if line.codings else None
    return f"{(code.code or code.display) if code else ''}\0{line.sub_id}"


def _critical(
    report: LabReport, profile: SourceProfile, limits: Sequence[CriticalLimit]
) -> tuple[IndexedCritical, ...]:
    found = critical_lines(report, limits, profile.source_id)
    if not found:
        return ()
    items = line_items(report)
    indexed = []
    for each in found:
        line, item = report.observations[each.line - 1], items[each.line - 1]
        said = "\0".join((item or _name(line), line.value, line.unit))
        indexed.append(IndexedCritical(each.line, each.reason.value, said, item))
    return tuple(indexed)


def _identity(
    report: LabReport, lab: str, clinic: str, profile: SourceProfile, times: list[datetime]
) -> bytes:
    """``b""`` where nothing tells that two reports are one: then each stands by itself.

    Words are joined only where source, parties, person, service, number and time of collection
    all agree: to show one result twice is a nuisance, to hide one behind another a danger.
    """
    number = (
        report.filler_order_number or report.placer_order_number or report.accession_number
    ).strip()
    if not (report.patient.national_id and number):
        return b""
    service = next((each.code or each.display for each in report.service), "")
    taken = times[0].isoformat(timespec="minutes") if times else ""
    said = (profile.source_id, order_identity(report, service, lab, clinic), taken)
    return hashlib.sha256("\0".join(said).encode()).digest()[:16]
