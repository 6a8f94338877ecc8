"""What FHIR contradicts itself in, or cannot be read of a needed time, holds its report."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.fhir.bundle import read_fhir_json
from mapping.codes import split_orders
from mapping.finding import Severity
from mapping.parsed import ParsedPayload
from mapping.report import ObservationStatus
from mapping.report_place import is_about
from tests.fhir.samples import PROFILE, bundle, encode, observation, patient, report, specimen

UCUM = "http://unitsofmeasure.org"


def read(*resources: Any) -> ParsedPayload:
    return read_fhir_json(encode(bundle(*resources)), PROFILE)


def errors(parsed: ParsedPayload) -> list[str]:
    return [
        f.code
        for f in parsed.findings
        if f.severity is Severity.ERROR and f.code != "fhir-reference-unresolved"
    ]


def held(parsed: ParsedPayload) -> list[bool]:
    """For each report, whether an error is about it."""
    return [
        any(f.severity is Severity.ERROR and is_about(f.place, each.place) for f in parsed.findings)
        for each in parsed.reports
    ]


ABSENT = {"coding": [{"code": "error"}]}
CONTRADICTION = {"value": 92, "unit": "mg/dL", "system": UCUM, "code": "mmol/L"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dataAbsentReason": ABSENT}, "fhir-value-and-reason"),
        ({"dataAbsentReason": {"text": "lost"}}, "fhir-value-and-reason"),
        ({"valueQuantity": CONTRADICTION}, "fhir-unit-contradicts"),
        ({"valueRange": {"low": CONTRADICTION, "high": CONTRADICTION}}, "fhir-unit-contradicts"),
        (
            {"valueRatio": {"numerator": CONTRADICTION, "denominator": {"value": 1}}},
            "fhir-unit-contradicts",
        ),
    ],
)
def test_a_line_that_contradicts_itself_is_not_used_and_its_report_is_held(
    changes: dict[str, Any], code: str
) -> None:
    good = observation("o2")
    bad = observation("o1", **changes)
    parsed = read(patient(), bad, report("o1"), good, report("o2", id="r2"), specimen())
    assert held(parsed) == [True, False]
    assert errors(parsed)[0] == code
    line, *_ = parsed.reports[0].observations
    assert (line.value, line.unit, line.status) == ("", "", ObservationStatus.PRELIMINARY)
    (order,) = split_orders(parsed.reports[0], PROFILE).orders
    assert (len(order.lines), len(order.awaited)) == (0, 1), "the order stays in sight"
    for finding in parsed.findings:
        for language in ("en", "zh"):
            assert finding.place in finding.message(language)


def test_an_observation_without_a_report_is_held_as_well() -> None:
    parsed = read(patient(), observation(dataAbsentReason=ABSENT))
    assert held(parsed) == [True]


def test_a_component_that_contradicts_itself_holds_the_report() -> None:
    component = {"code": {"text": "Part"}, "valueString": "x", "dataAbsentReason": ABSENT}
    parsed = read(patient(), observation(component=[component]))
    values = [line.value for line in parsed.reports[0].observations]
    assert (held(parsed), values) == ([True], ["95", ""])


def test_what_was_withdrawn_stays_withdrawn() -> None:
    parsed = read(patient(), observation(status="entered-in-error", dataAbsentReason=ABSENT))
    assert parsed.reports[0].observations[0].status is ObservationStatus.WITHDRAWN
    assert errors(parsed) == []


@pytest.mark.parametrize(
    "quantity",
    [
        {"value": 92, "unit": "mg/dl", "system": UCUM, "code": "mg/dL"},
        {"value": 92, "unit": "milligrams per decilitre", "system": UCUM, "code": "mg/dL"},
        {"value": 92, "unit": "mg/dL", "system": "http://local.example", "code": "mmol/L"},
    ],
)
def test_two_names_of_one_unit_are_no_contradiction(quantity: dict[str, Any]) -> None:
    parsed = read(patient(), observation(valueQuantity=quantity))
    assert errors(parsed) == []
    assert parsed.reports[0].observations[0].value == "92"


@pytest.mark.parametrize("time", ["2026-08", "2026"])
def test_a_collection_time_without_a_day_holds_the_report(time: str) -> None:
    taken = specimen(collection={"collectedDateTime": time})
    late = observation(effectiveDateTime=None)
    assert held(read(patient(), late, taken, report("o1"))) == [True]
    assert held(read(patient(), observation(effectiveDateTime=time))) == [True]
    told = read(patient(), observation(effectiveDateTime=time), specimen(), report("o1"))
    assert held(told) == [False], "the specimen tells the time"


def test_no_collection_time_at_all_is_no_fault_here() -> None:
    assert held(read(patient(), observation(effectiveDateTime=None))) == [False]


def test_a_birth_date_without_a_day_holds_every_report_of_the_person() -> None:
    parsed = read(
        patient(birthDate="1990"),
        observation("o1"),
        observation("o2"),
        report("o1"),
        report("o2", id="r2"),
        specimen(),
    )
    assert held(parsed) == [True, True]
