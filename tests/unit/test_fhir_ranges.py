"""The one reference range that holds for the patient, or all of them as text."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.fhir.bundle import read_fhir_json
from mapping.report import ReferenceRange
from tests.fhir.samples import PROFILE, Number, encode, full_bundle, patient


def read(
    *ranges: dict[str, Any], sex: str = "female", birth: str = "1990-01-02"
) -> tuple[ReferenceRange, list[str]]:
    made = full_bundle(referenceRange=list(ranges))
    made["entry"][0]["resource"] = patient(gender=sex, birthDate=birth)
    parsed = read_fhir_json(encode(made), PROFILE)
    (line,) = parsed.reports[0].observations
    return line.reference, [finding.code for finding in parsed.findings]


def bounds(low: str = "", high: str = "", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = dict(more)
    for name, text in (("low", low), ("high", high)):
        if text:
            made[name] = {"value": Number(text), "unit": more.get("unit", "mg/dL")}
    made.pop("unit", None)
    return made


MALE = {"appliesTo": [{"coding": [{"code": "male"}]}]}
FEMALE = {"appliesTo": [{"text": "女性"}]}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (bounds("70", "100.0"), ReferenceRange("70", "100.0", "", "70-100.0")),
        (bounds("40"), ReferenceRange("40", "", "", ">=40")),
        (bounds(high="5.70"), ReferenceRange("", "5.70", "", "<=5.70")),
        (bounds("70", "100", text="70~100"), ReferenceRange("70", "100", "", "70~100")),
        ({"text": "70-100"}, ReferenceRange("70", "100", "", "70-100")),
        ({"text": "陰性"}, ReferenceRange("", "", "陰性", "陰性")),
        (bounds("70", "100", unit="mg/dl"), ReferenceRange("70", "100", "", "70-100")),
    ],
)
def test_bounds_keep_their_text(item: dict[str, Any], expected: ReferenceRange) -> None:
    assert read(item) == (expected, [])


def test_the_range_for_the_patients_sex_is_taken() -> None:
    ranges = (bounds("13", "17", **MALE), bounds("12", "15", **FEMALE))
    assert read(*ranges, sex="female")[0].low == "12"
    assert read(*ranges, sex="male")[0].low == "13"
    both, codes = read(*ranges, sex="unknown")
    assert (both.low, both.high) == ("", "")
    assert "13-17" in both.raw
    assert "12-15" in both.raw
    assert codes == ["fhir-several-ranges"]


def test_a_range_for_another_age_is_left_out() -> None:
    year = {"unit": "yr"}
    child = bounds("5", "10", age={"high": {"value": 17, **year}})
    adult = bounds("1", "4", age={"low": {"value": 18, **year}})
    assert read(child, adult)[0].low == "1"
    assert read(child, adult, birth="2020-08-14")[0].low == "5"


def test_ranges_of_another_purpose_are_no_reference_value() -> None:
    critical = bounds("40", "400", type={"coding": [{"code": "treatment"}]})
    assert read(critical)[0] == ReferenceRange()
    assert read(critical, bounds("70", "100"))[0].low == "70"


def test_a_bound_in_another_unit_is_never_a_bound() -> None:
    reference, codes = read(bounds("3.9", "5.6", unit="mmol/L"))
    assert (reference.low, reference.high) == ("", "")
    assert reference.text == "3.9-5.6 mmol/L"
    assert codes == ["fhir-range-unit"]
