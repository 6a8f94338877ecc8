"""HL7 v2 messages: results (ORU, OUL, MDM with its text) → LabReports, one for each OBR; orders and
registrations (OML, ORM, ADT^A04/A08) → visits.

Pure: ``bytes`` in, :class:`ParsedPayload` out. What cannot be used is a finding with its place
(``OBX[3]-5``) and never costs the rest of the message; only bytes that are no text, or no HL7
at all, raise :class:`mapping.errors.UnreadablePayload`.
"""

from __future__ import annotations

from typing import Final

from adapters.hl7.batch import read_messages
from adapters.hl7.er7 import Message
from adapters.hl7.result_message import ResultMessageReader, message_kind
from adapters.hl7.visit_message import read_visits, tells_visits
from mapping.finding import Finding, Severity
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.report import LabReport
from mapping.report_place import places_within
from mapping.visit import Visit

_MOST_FINDINGS: Final = 500

_PRINTABLE_BYTES: Final = bytes(
    byte for byte in range(256) if (byte >= 0x20 and byte != 0x7F) or byte in b"\t\n\v\r\x1c"
)


def read_hl7(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """All reports and visits of one payload: a message, several in a row, or an FHS/BHS batch.

    Quality-control runs (MSH-11 ``Q``; MSH-16 ``1`` or ``2``, as analysers of Mindray mark
    calibration and control; SPM-11) never become reports. A message of a batch that cannot be
    decoded is a finding and the others are read. An error whose place begins with that of a report
    says that the report must not go out as it was read. Raises
    :class:`adapters.hl7.charset.UndecodablePayload`, ``UnknownCharset`` or
    :class:`adapters.hl7.er7.NotEr7`.
    """
    payload, text, findings = read_messages(raw, profile.charset)
    findings += [
        Finding("hl7-outside-message", "", place, "", Severity.ERROR) for place in payload.outside
    ]
    findings += [Finding("hl7-header", "", place) for place in payload.unreadable]
    suspect = bool(raw.translate(None, _PRINTABLE_BYTES)) or any(
        message.delimiters.escape + "X" in text for message in payload.messages
    )
    reports: list[LabReport] = []
    quality_control = False
    visits: list[Visit] = []
    for message in payload.messages:
        if tells_visits(message.segments[0]):
            visits += _visits(message, profile, findings)
            continue
        found, is_control = ResultMessageReader(message, profile, findings, suspect).read()
        reports += found
        quality_control = quality_control or is_control
    if len(findings) > _MOST_FINDINGS:
        findings = _fewer(findings, reports)
    if reports:
        content = Content.REPORTS
    elif visits:
        content = Content.VISITS
    else:
        content = Content.QUALITY_CONTROL if quality_control else Content.NOTHING
    header = payload.messages[0].segments[0]
    kind, control_id = message_kind(header), header.text(10).strip()
    for message in payload.messages:
        message.release()
    return ParsedPayload(
        content,
        tuple(reports),
        tuple(visits),
        findings=tuple(findings),
        kind=kind,
        control_id=control_id,
    )


def _visits(message: Message, profile: SourceProfile, findings: list[Finding]) -> tuple[Visit, ...]:
    header = message.segments[0]
    findings += [
        Finding("hl7-text-left-out", place=segment.place()) for segment in message.refused_lines
    ]
    if message.first("OBX") is not None:
        kind = (("kind", message_kind(header)),)
        place = header.place(9)
        findings.append(
            Finding("hl7-not-a-result", "", place, "", Severity.INFORMATION, parameters=kind)
        )
    if header.text(11).strip() in ("T", "D"):
        value = header.text(11).strip()
        findings.append(
            Finding("hl7-not-production", "", header.place(11), value, Severity.WARNING)
        )
        return ()
    return read_visits(message, profile, findings)


def _fewer(findings: list[Finding], reports: list[LabReport]) -> list[Finding]:
    """The first findings, and of the others one for each report that must not go out as read."""
    more = Finding("hl7-more-findings", parameters=(("count", str(len(findings))),))
    kept, others = findings[:_MOST_FINDINGS], findings[_MOST_FINDINGS:]
    places = {report.place for report in reports}
    for finding in others:
        if finding.severity is Severity.ERROR:
            place = next((at for at in places_within(finding.place) if at in places), "")
            if place:
                places.discard(place)
                kept.append(finding)
    return [*kept, more]
