"""MDM messages: a report as a document, with TXA beside or instead of OBR (HL7 v2.5.1 chapter 9).

Imaging and pathology systems send their texts so. What TXA says stands where OBR is silent; it
alone says whether the document may be believed (TXA-17, TXA-19).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from adapters.hl7.coded import read_codings
from adapters.hl7.er7 import Message, Segment
from adapters.hl7.identity import national_form
from adapters.hl7.timestamp import parse_moment
from mapping.collection_time import usable
from mapping.finding import Finding, Severity
from mapping.moment import Moment
from mapping.report import LabReport, ObservationStatus, ReportStatus

EVENTS: Final = frozenset({"T02", "T04", "T06", "T08", "T10"})
"""MDM events that bring the content of the document; the others only tell of it (9.5)."""

_ADDENDUM: Final = "T06"
_REPLACING: Final = frozenset({"T08", "T10"})
# Table 0271, completion status: authenticated and legally authenticated documents are final.
_FINAL: Final = frozenset({"AU", "LA"})
_UNFINISHED: Final = frozenset({"DI", "DO", "IN", "IP", "PA"})
# Table 0273, availability: deleted, obsolete, unavailable.
_TAKEN_BACK: Final = frozenset({"CA", "OB", "UN"})


def with_document(
    message: Message, reports: Sequence[LabReport], findings: list[Finding]
) -> list[LabReport]:
    """``reports`` of an MDM message, completed from its TXA.

    A text for several orders, and an addendum, which is not the whole text, are errors of their
    reports: a person must say what it belongs to.
    """
    txa = message.first("TXA")
    event = message.segments[0].text(9, 2).strip().upper()
    several = len(reports) > 1
    completed = []
    for report in reports:
        if txa is not None:
            report = _completed(message, report, txa, event, findings)
        if several:
            findings.append(_held("hl7-document-of-several", report.place))
        if event == _ADDENDUM:
            findings.append(_held("hl7-addendum", report.place))
        completed.append(report)
    return completed


def _completed(
    message: Message, report: LabReport, txa: Segment, event: str, findings: list[Finding]
) -> LabReport:
    specimen = report.specimen
    if specimen.collected_at is None:
        specimen = replace(specimen, collected_at=usable(_moment(txa, 4)))
    authenticated = parse_moment(txa.text(22, 15))
    edited = _moment(txa, 8) or _moment(txa, 7) or _moment(txa, 6)
    number = report.filler_order_number or txa.text(15).strip()
    return replace(
        _by_status(report, txa, event, findings),
        service=report.service or read_codings(txa.raw(2), message.delimiters, message.charset),
        specimen=specimen,
        reported_at=report.reported_at or authenticated or edited,
        placer_order_number=report.placer_order_number or txa.text(14).strip(),
        # A replacement names the document that it replaces: both are versions of one result.
        filler_order_number=number or txa.text(13).strip() or txa.text(12).strip(),
        reporting_physician_id=report.reporting_physician_id
        or next(filter(None, (national_form(txa.text(at)) for at in (22, 10, 9))), ""),
    )


def _by_status(report: LabReport, txa: Segment, event: str, findings: list[Finding]) -> LabReport:
    if txa.text(19).strip().upper() in _TAKEN_BACK:
        return _all_lines(report, ReportStatus.CANCELLED, ObservationStatus.WITHDRAWN)
    letters = txa.text(17).strip().upper()
    if letters and letters not in _FINAL:
        if letters not in _UNFINISHED:
            findings.append(
                Finding("hl7-status", "", txa.place(17), letters, severity=Severity.WARNING)
            )
        return _all_lines(report, ReportStatus.PRELIMINARY, ObservationStatus.PRELIMINARY)
    if event in _REPLACING and report.status is ReportStatus.FINAL:
        return replace(report, status=ReportStatus.CORRECTED)
    return report


def _all_lines(report: LabReport, status: ReportStatus, of_line: ObservationStatus) -> LabReport:
    lines = tuple(replace(line, status=of_line) for line in report.observations)
    return replace(report, status=status, observations=lines)


def _moment(txa: Segment, number: int) -> Moment | None:
    return parse_moment(txa.text(number))


def _held(code: str, place: str) -> Finding:
    return Finding(code, place=place, severity=Severity.ERROR)
