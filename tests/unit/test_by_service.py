from __future__ import annotations

import pytest

from mapping.by_service import rival_rows, stricter_findings
from mapping.codes import split_orders
from mapping.finding import Finding, Severity
from mapping.record import Field, UploadRecord
from tests.unit.conversion_examples import PROFILE, line, report


def record(value: str, origin: str) -> UploadRecord:
    return UploadRecord({}, ({"r1": Field("1", origin), "r4": Field(value, "OBX[1]-5")},))


@pytest.mark.parametrize(
    ("earlier", "told", "rivals"),
    [
        ("report-items", "service:EAG", ("1",)),
        ("service:EAG", "report-items", ("1",)),
        ("service:EAG", "service:A1C", ("1",)),
        ("service:EAG", "service:EAG", ()),
        ("report-items", "profile.codes", ()),
    ],
)
def test_a_row_known_by_its_service_is_rivalled_by_any_other_code(
    earlier: str, told: str, rivals: tuple[str, ...]
) -> None:
    assert rival_rows(record("5.6", earlier), record("114", told)) == rivals
    assert rival_rows(record("5.6", earlier), record("5.6", told)) == ()


@pytest.mark.parametrize(
    ("origin", "severity"),
    [("service:EAG", Severity.ERROR), ("report-items", Severity.WARNING)],
)
def test_only_where_nothing_else_speaks_for_a_row_its_unit_must_be_listed(
    origin: str, severity: Severity
) -> None:
    unit = Finding("unit-not-listed", "r5", "rdata[1]", "mg/dL", Severity.WARNING)
    name = Finding("item-name-differs", "r2", "rdata[1]", "", Severity.WARNING)
    found = stricter_findings(record("114", origin), (unit, name))
    assert [each.severity for each in found] == [severity, Severity.WARNING]


def test_a_line_that_its_service_alone_explains_remembers_its_own_code() -> None:
    def origin(code: str) -> str:
        (order,) = split_orders(report(line(code), service="09006C"), PROFILE).orders
        return order.lines[0].number_origin

    assert origin("EAG") == "service:EAG"
    assert origin("HBA1C") == "report-items"
