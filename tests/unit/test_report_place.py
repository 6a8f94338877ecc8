"""Which report a finding is about, by its place."""

from __future__ import annotations

import pytest

from mapping.report_place import is_about, places_within


@pytest.mark.parametrize(
    ("finding", "report", "expected"),
    [
        ("OBR[2]", "OBR[2]", True),
        ("OBR[2]-7", "OBR[2]", True),
        ("OBR[2]/PID[1]-7", "OBR[2]", True),
        ("MSH[2]/OBR[1]/OBX[3]-14", "MSH[2]/OBR[1]", True),
        ("Bundle.entry[0].resource.issued", "Bundle.entry[0].resource", True),
        ("rows 2-13", "rows 2-13", True),
        ("OBR[21]-7", "OBR[2]", False),
        ("OBX[3]-14", "OBR[2]", False),
        ("row 25", "row 2", False),
        ("rows 2-13", "rows 2-1", False),
        ("rows 2, 5, 9", "rows 2, 5", False),
        ("MSH[2]/OBR[1]-7", "OBR[1]", False),
        ("OBR[1]-7", "", False),
        ("", "", False),
    ],
)
def test_a_finding_is_about_the_report_that_its_place_begins_with(
    finding: str, report: str, expected: bool
) -> None:
    assert is_about(finding, report) is expected
    assert (report in places_within(finding)) is expected
