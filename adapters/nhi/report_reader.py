"""A check report as a payload: what it says of each record, for people who look into a file."""

from __future__ import annotations

from dataclasses import replace

from adapters.nhi.check_report import open_verdict
from mapping.finding import Finding, Severity
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.record import Field, UploadRecord
from mapping.verdict import CheckedRecord
from mapping.verdict_findings import verdict_findings


def read_check_report_file(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """The faults of all printed records, in NHI's codes; ``place`` begins with the number of the
    record in its report. No password is known here.

    Raises ``UnreadableCheckReport``, ``VerdictPasswordWrong`` or ``VerdictArchiveUnsafe``.
    """
    findings: list[Finding] = []
    reports = open_verdict(raw, "")
    for report in reports:
        for number, printed in enumerate(report.records, start=1):
            if printed.error_code:
                findings += (
                    replace(each, place=f"record {number} {each.place}")
                    for each in verdict_findings(_record(printed), (printed,))
                )
        if report.unknown_lines:
            count = (("count", str(len(report.unknown_lines))),)
            findings.append(
                Finding("report-lines-unknown", severity=Severity.WARNING, parameters=count)
            )
    kind = "/".join(dict.fromkeys("檢核正確" if each.accepted else "檢核錯誤" for each in reports))
    receipt = next((each.receipt_number for each in reports if each.receipt_number), "")
    return ParsedPayload(
        Content.CHECK_REPORT, findings=tuple(findings), kind=kind, control_id=receipt
    )


def _record(printed: CheckedRecord) -> UploadRecord:
    fields = {tag: Field(value, "check report") for tag, value in printed.values.items()}
    row = {tag: field for tag, field in fields.items() if tag[:1] == "r"}
    return UploadRecord({tag: each for tag, each in fields.items() if tag not in row}, (row,))
