"""From the printed check report to findings on the record that was sent: field and code."""

from __future__ import annotations

from collections.abc import Iterable

from mapping.finding import Finding, finding_texts
from mapping.record import UploadRecord
from mapping.verdict import CheckedRecord


def verdict_findings(record: UploadRecord, checked: Iterable[CheckedRecord]) -> tuple[Finding, ...]:
    """A finding for each marked field of the printed records of ``record``, in NHI's own codes.

    The value is the record's whole value, not the cut one of the report. ``place`` is ``hdata``
    or ``rdata[n]``, n from 1, found by r1. A code without a marked field names no field; a code
    outside the published list becomes ``nhi-code-unlisted``.
    """
    findings: dict[Finding, None] = {}
    for printed in checked:
        row = _row_of(record, printed.row_number)
        for tag in printed.flagged or ("",):
            level = record.rows[row - 1] if tag[:1] == "r" and row else record.header
            value = level[tag].value if tag in level else ""
            place = f"rdata[{row}]" if tag[:1] == "r" and row else "hdata"
            findings[_finding(printed.error_code, tag, place, value, record.value("h15"))] = None
    return tuple(findings)


def _finding(code: str, tag: str, place: str, value: str, order_code: str) -> Finding:
    if code not in finding_texts():
        return Finding("nhi-code-unlisted", tag, place, value, parameters=(("nhi_code", code),))
    return Finding(code, tag, place, value, parameters=(("order_code", order_code),))


def _row_of(record: UploadRecord, number: str) -> int:
    """The row whose r1 is ``number``, from 1; 0 where that is not one row."""
    rows = [
        index
        for index, row in enumerate(record.rows, start=1)
        if number and "r1" in row and row["r1"].value == number
    ]
    return rows[0] if len(rows) == 1 else 0
