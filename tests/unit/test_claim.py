"""The lines of a claim: which record belongs to which, and what codes 26 and 31 look at."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mapping.claim import ClaimDoubt, ClaimIndex, ClaimLine, claim_lists, claimed_record
from mapping.finding import Severity, finding_texts
from mapping.monthly import ClaimKeys
from mapping.rules import check_record
from tests.unit.upload_samples import CONTEXT, valid_record

KEYS = ClaimKeys(
    fee_month=date(2025, 2, 1),
    kind="1",
    claimed_on=date(2025, 3, 10),
    case_type="01",
    case_serial=17,
    order_serial=3,
    visit_serial="0007",
)


def line(**changes: Any) -> ClaimLine:
    values: dict[str, Any] = {
        "institution_code": "3501234567",
        "national_id": "A123456789",
        "birth_on": None,
        "day": date(2025, 2, 3),
        "last_day": None,
        "order_code": "08011C",
        "fee_month": date(2025, 2, 1),
        "keys": KEYS,
    }
    return ClaimLine(**{**values, **changes})


def test_the_line_of_a_record_is_found_by_institution_person_order_and_day() -> None:
    lines = (
        line(institution_code="3501234568"),
        line(national_id="B123456780"),
        line(order_code="09005C"),
        line(day=date(2025, 2, 4)),
        line(birth_on=date(1990, 1, 1)),
    )
    assert ClaimIndex(lines).line_of(valid_record()) is ClaimDoubt.NOT_CLAIMED
    assert ClaimIndex((*lines, line())).line_of(valid_record()) == line()


def test_a_course_covers_the_days_up_to_its_end() -> None:
    course = line(day=date(2025, 1, 30), last_day=date(2025, 2, 5))
    assert ClaimIndex((course,)).line_of(valid_record()) == course
    ended = replace(course, last_day=date(2025, 2, 2))
    assert ClaimIndex((ended,)).line_of(valid_record()) is ClaimDoubt.NOT_CLAIMED


def test_a_laboratory_may_claim_the_day_of_the_test_or_of_the_specimens_arrival() -> None:
    accepted = {"h3": "50", "h26": "5", "h27": "3501234567", "h11": "1140201"}
    accepted |= {"h5": "1140204080000", "h20": "1140203101500"}
    record = valid_record(accepted)
    for day in (1, 3, 4):
        claimed = line(day=date(2025, 2, day))
        assert ClaimIndex((claimed,)).line_of(record) == claimed
        assert errors((claimed,), **accepted) == []
        assert claimed_record(record, claimed).value("h11") == f"11402{day:02d}"
    other = line(day=date(2025, 2, 2))
    assert ClaimIndex((other,)).line_of(record) is ClaimDoubt.NOT_CLAIMED
    assert errors((other,), **accepted) == ["26"]
    # A clinic claims the visit.
    assert ClaimIndex((line(),)).line_of(valid_record({"h11": "1140201"})) is (
        ClaimDoubt.NOT_CLAIMED
    )


def test_the_time_of_execution_decides_between_two_lines() -> None:
    first, second = line(started="11402031015"), line(started="11402031600")
    index = ClaimIndex((first, second))
    assert index.line_of(valid_record({"h20": "1140203101500"})) == first
    assert index.line_of(valid_record({"h20": "11402031600"})) == second
    assert index.line_of(valid_record({"h20": "11402031200"})) is ClaimDoubt.SEVERAL_LINES


def test_the_same_line_in_two_files_is_one() -> None:
    assert ClaimIndex((line(), line())).line_of(valid_record()) == line()


def test_a_list_without_claim_keys_makes_no_monthly_record() -> None:
    assert ClaimIndex((line(keys=None),)).line_of(valid_record()) is ClaimDoubt.KEYS_MISSING


def test_an_inpatient_needs_the_period_of_the_claim() -> None:
    stay = valid_record({"h3": "21", "h11": "", "h13": "1140203", "h26": ""})
    assert ClaimIndex((line(),)).line_of(stay) is ClaimDoubt.KEYS_MISSING
    whole = line(keys=replace(KEYS, period=(date(2025, 2, 1), date(2025, 2, 28))))
    assert ClaimIndex((whole,)).line_of(stay) == whole


def test_an_order_that_no_claim_has_belongs_to_the_case_of_the_visit() -> None:
    pressure = valid_record({"h15": "Y00006"})
    found = ClaimIndex((line(), line(order_code="09005C"))).line_of(pressure)
    assert isinstance(found, ClaimLine)
    assert found.keys == replace(KEYS, order_serial=0)
    other_case = line(order_code="09005C", keys=replace(KEYS, case_serial=18))
    assert ClaimIndex((line(), other_case)).line_of(pressure) is ClaimDoubt.SEVERAL_LINES


def test_the_claims_serial_takes_the_place_of_z000_only() -> None:
    unknown = valid_record({"h3": "50", "h7": "Z000"})
    assert claimed_record(unknown, line()).value("h26") == "0007"
    known = valid_record()
    assert claimed_record(known, line()).value("h26") == known.value("h7")


def errors(claims: tuple[ClaimLine, ...], **header: str) -> list[str]:
    context = replace(CONTEXT, claims=claim_lists(claims))
    found = check_record(valid_record(header), context)
    return [each.code for each in found if each.severity is Severity.ERROR]


def test_each_day_of_a_course_is_claimed() -> None:
    course = line(day=date(2025, 2, 1), last_day=date(2025, 2, 5))
    assert errors((course,)) == []
    assert errors((replace(course, last_day=date(2025, 2, 2)),)) == ["26"]


def test_what_was_claimed_later_does_not_cover_a_month() -> None:
    assert errors((line(order_code="09005C"),)) == ["26"]
    assert errors((line(order_code="09005C", kind="2"),)) == []


def test_a_month_of_execution_that_is_not_covered_is_left_unchecked() -> None:
    other = line(order_code="09005C")
    assert errors((other,), h20="1140303101500", h4="11403") == []


@pytest.mark.parametrize("doubt", ClaimDoubt)
def test_every_doubt_has_its_text(doubt: ClaimDoubt) -> None:
    assert doubt in finding_texts()
