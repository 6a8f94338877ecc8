"""value[x] becomes the text that the laboratory wrote, with its unit."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.fhir.bundle import read_fhir_json
from adapters.fhir.errors import NoUsableResult
from mapping.report import Observation, ObservationStatus
from tests.fhir.samples import PROFILE, Number, encode, observation


def read_one(**changes: Any) -> tuple[Observation, list[str]]:
    parsed = read_fhir_json(encode(observation(**changes)), PROFILE)
    (report,) = parsed.reports
    (line,) = report.observations
    codes = [item.code for item in parsed.findings if item.code != "fhir-reference-unresolved"]
    return line, codes


@pytest.mark.parametrize(
    ("name", "value", "text", "kind", "unit"),
    [
        ("Quantity", {"value": Number("13.20"), "unit": "g/dL"}, "13.20", "Quantity", "g/dL"),
        (
            "Quantity",
            {"value": Number("0.1"), "comparator": "<", "unit": "mg/dL", "code": "x"},
            "<0.1",
            "Quantity",
            "mg/dL",
        ),
        ("Quantity", {"value": 100, "comparator": ">=", "code": "%"}, ">=100", "Quantity", "%"),
        ("Quantity", {"value": Number("-1.50")}, "-1.50", "Quantity", ""),
        ("Quantity", {"value": "7.0", "unit": "pH"}, "7.0", "Quantity", "pH"),
        ("Quantity", {"value": Number("1e3"), "unit": "/uL"}, "1e3", "Quantity", "/uL"),
        ("String", " 陰性(-) ", " 陰性(-) ", "string", ""),
        ("Integer", 3, "3", "integer", ""),
        ("Boolean", False, "false", "boolean", ""),
        ("DateTime", "2026-08", "2026-08", "dateTime", ""),
        ("Time", "08:30:00", "08:30:00", "time", ""),
        ("CodeableConcept", {"text": "Reactive"}, "Reactive", "CodeableConcept", ""),
        (
            "CodeableConcept",
            {"coding": [{"code": "10828004", "display": "Positive"}]},
            "Positive",
            "CodeableConcept",
            "",
        ),
        ("CodeableConcept", {"coding": [{"code": "POS"}]}, "POS", "CodeableConcept", ""),
        (
            "Range",
            {"low": {"value": 0, "unit": "/HPF"}, "high": {"value": Number("5.0"), "unit": "/HPF"}},
            "0-5.0",
            "Range",
            "/HPF",
        ),
        ("Range", {"low": {"value": 5}}, ">=5", "Range", ""),
        ("Range", {"high": {"value": 2}}, "<=2", "Range", ""),
        ("Range", {"low": {"value": -3}, "high": {"value": -1}}, "-3 - -1", "Range", ""),
        ("Ratio", {"numerator": {"value": 1}, "denominator": {"value": 128}}, "1:128", "Ratio", ""),
        (
            "Ratio",
            {"numerator": {"value": 1, "comparator": ">"}, "denominator": {"value": 128}},
            ">1:128",
            "Ratio",
            "",
        ),
        ("Period", {"start": "2026-08", "end": "2026-09"}, "2026-08/2026-09", "Period", ""),
    ],
)
def test_each_kind_of_value_keeps_its_text(
    name: str, value: object, text: str, kind: str, unit: str
) -> None:
    line, codes = read_one(**{f"value{name}": value})
    assert (line.value, line.value_type, line.unit) == (text, kind, unit)
    assert line.status is ObservationStatus.FINAL
    assert codes == []


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("error", ObservationStatus.NOT_DONE),
        ("not-performed", ObservationStatus.NOT_DONE),
        ("temp-unknown", ObservationStatus.PRELIMINARY),
    ],
)
def test_an_absent_value_is_no_value_and_says_why(reason: str, status: ObservationStatus) -> None:
    line, codes = read_one(
        valueQuantity=None, dataAbsentReason={"coding": [{"code": reason, "display": "x"}]}
    )
    assert (line.value, line.value_type, line.status) == ("", "", status)
    assert codes == ["fhir-data-absent"]


def test_a_line_without_value_and_reason_is_kept_and_told() -> None:
    line, codes = read_one(valueQuantity=None)
    assert line.value == ""
    assert codes == ["fhir-no-value"]


def test_a_pending_line_without_value_is_no_fault() -> None:
    line, codes = read_one(valueQuantity=None, status="registered")
    assert line.status is ObservationStatus.PRELIMINARY
    assert codes == []


def test_a_comparator_that_nobody_defined_leaves_no_value() -> None:
    line, codes = read_one(valueQuantity={"value": 5, "comparator": "~"})
    assert line.value == ""
    assert "fhir-comparator" in codes


def test_a_curve_is_no_upload_value() -> None:
    curve = {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1 2 3"}
    line, codes = read_one(valueSampledData=curve)
    assert line.value == ""
    assert codes == ["fhir-value-unsupported", "fhir-no-value"]


def test_two_values_in_one_observation_are_refused() -> None:
    both = observation(valueString="a", valueInteger=3)
    with pytest.raises(NoUsableResult) as caught:
        read_fhir_json(encode(both), PROFILE)
    assert caught.value.findings[0].code == "fhir-structure"


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("final", ObservationStatus.FINAL),
        ("amended", ObservationStatus.CORRECTED),
        ("corrected", ObservationStatus.CORRECTED),
        ("preliminary", ObservationStatus.PRELIMINARY),
        ("unknown", ObservationStatus.PRELIMINARY),
        ("cancelled", ObservationStatus.NOT_DONE),
        ("entered-in-error", ObservationStatus.WITHDRAWN),
    ],
)
def test_each_status_means_one_thing(status: str, meant: ObservationStatus) -> None:
    assert read_one(status=status)[0].status is meant


def test_flags_method_and_notes_are_read() -> None:
    line, _ = read_one(
        interpretation=[{"coding": [{"code": "H"}, {"code": "A"}]}, {"text": "很高"}],
        method={"text": "酵素法"},
        note=[{"text": "重複檢驗"}, {"text": "已通知"}],
    )
    assert line.abnormal_flags == ("H", "A", "很高")
    assert line.method == "酵素法"
    assert line.notes == ("重複檢驗", "已通知")
