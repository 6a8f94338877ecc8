"""Rows that are known by the ordered service alone.

A laboratory may report an order of one row under a code of its own that no table knows. Alone in
its message it is taken for that row, and the row remembers the code (``service:GLU-X`` as the
origin of r1): a line with another code is another test, whatever order it came with.
"""

from __future__ import annotations

from dataclasses import replace

from mapping.finding import Finding, Severity
from mapping.record import Fields, UploadRecord

BY_SERVICE = "service:"


def is_rival(row: Fields, other: Fields) -> bool:
    """Whether two rows of one number may be different tests: one of them is known by the service
    only, and the other was not reported under the same code."""
    origins = [item["r1"].origin if "r1" in item else "" for item in (row, other)]
    return origins[0] != origins[1] and any(origin.startswith(BY_SERVICE) for origin in origins)


def rival_rows(earlier: UploadRecord, told: UploadRecord) -> tuple[str, ...]:
    """The numbers (r1) under which both have a row, with another result, that may be different
    tests."""
    known = {row["r1"].value: row for row in earlier.rows if "r1" in row}
    found = []
    for row in told.rows:
        number = row["r1"].value if "r1" in row else ""
        twin = known.get(number)
        if twin is not None and is_rival(twin, row) and _result(twin) != _result(row):
            found.append(number)
    return tuple(found)


def stricter_findings(record: UploadRecord, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """``findings`` of the rules on ``record``; a unit that is not the official one is an error
    where nothing but the service says that the row is the official one."""
    if not any(finding.code == "unit-not-listed" for finding in findings):
        return findings
    unsure = {
        f"rdata[{index}]"
        for index, row in enumerate(record.rows, start=1)
        if "r1" in row and row["r1"].origin.startswith(BY_SERVICE)
    }
    return tuple(
        replace(finding, severity=Severity.ERROR)
        if finding.code == "unit-not-listed" and finding.place.rpartition("/")[2] in unsure
        else finding
        for finding in findings
    )


def _result(row: Fields) -> tuple[str, ...]:
    return tuple(row[tag].value if tag in row else "" for tag in ("r4", "r5"))
