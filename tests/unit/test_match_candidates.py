"""Whom a person could mean where no rule may decide, and what they chose."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mapping.match import Outcome, Reason, match_visit
from mapping.match_candidates import chosen, rank_candidates
from mapping.match_score import THRESHOLD, Sign, is_near
from mapping.order_family import same_family
from mapping.report import LabReport, Patient, Specimen
from mapping.visit import Order, Visit
from tests.unit.conversion_examples import BIRTH, CLINIC, NATIONAL_ID, at, report, visit

MISTYPED = "A123456798"


def collected(day: int, month: int = 3, **more: Any) -> LabReport:
    return report(specimen=Specimen("", at(day, 9, month=month)), **more)


def test_the_likeliest_visit_comes_first_with_what_speaks_for_it() -> None:
    known = (visit("09005C", day=1), visit("09001C", day=4), visit("09005C", day=3))
    sent = collected(4, ordered_at=at(3, 8))
    ranked = rank_candidates(sent, "09005C", CLINIC, known)
    assert [each.visit.visit_on.day for each in ranked] == [3, 1]
    assert {Sign.NATIONAL_ID, Sign.BIRTH_DATE, Sign.ORDER_CODE, Sign.SOON, Sign.ORDER_DAY} == set(
        ranked[0].signs
    )
    assert ranked[0].score > ranked[1].score


def test_a_mistyped_id_is_a_candidate_and_never_more() -> None:
    sent = collected(2, patient=Patient(MISTYPED, BIRTH))
    assert match_visit(sent, "09005C", CLINIC, [visit("09005C")]).outcome is Outcome.UNMATCHED
    (candidate,) = rank_candidates(sent, "09005C", CLINIC, [visit("09005C")])
    assert candidate.reason is Reason.OTHER_PATIENT
    assert Sign.NATIONAL_ID_NEAR in candidate.signs


def test_a_blank_id_is_no_sign_of_a_visit_with_a_blank_id() -> None:
    sent = collected(2, patient=Patient("", None))
    ranked = rank_candidates(sent, "09005C", CLINIC, [visit("09005C", national_id="")])
    assert all(Sign.NATIONAL_ID not in each.signs for each in ranked)
    assert all(each.score < THRESHOLD for each in ranked)


def test_another_clinics_visit_is_no_candidate() -> None:
    assert not rank_candidates(collected(2), "09005C", "3501200001", [visit("09005C")])


def test_an_order_of_the_family_is_shown_as_such() -> None:
    (candidate,) = rank_candidates(collected(2), "12028B", CLINIC, [visit("12029B")])
    assert (candidate.reason, Sign.ORDER_FAMILY in candidate.signs) == (Reason.NO_SUCH_ORDER, True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("09005B", "09005C", True),
        ("12028B", "12029B", True),
        ("09005C", "09006C", False),
        ("", "", False),
    ],
)
def test_families_are_levels_of_one_code_and_what_nhi_links_to_one_loinc(
    one: str, other: str, same: bool
) -> None:
    assert same_family(one, other) is same


@pytest.mark.parametrize(
    ("other", "near"),
    [
        (NATIONAL_ID, False),
        ("A123456788", True),
        ("A132456789", True),
        ("A213456798", False),
        ("A12345678", False),
        ("", False),
    ],
)
def test_a_slip_is_one_character_or_two_neighbours(other: str, near: bool) -> None:
    assert is_near(NATIONAL_ID, other) is near


def test_a_wrong_check_digit_on_both_sides_needs_the_birth_date() -> None:
    odd = visit("09005C", national_id="A123456780")
    sure = collected(2, patient=Patient("A123456780", BIRTH))
    assert match_visit(sure, "09005C", CLINIC, [odd]).outcome is Outcome.MATCHED
    unsure = collected(2, patient=Patient("A123456780"))
    assert match_visit(unsure, "09005C", CLINIC, [odd]).reasons == (Reason.UNSURE,)


def test_a_far_visit_of_a_monthly_patient_needs_the_day_of_the_order() -> None:
    known = (visit("09005C", day=1), visit("09005C", month=1))
    far = collected(20)
    assert match_visit(far, "09005C", CLINIC, known).reasons == (Reason.UNSURE,)
    assert match_visit(far, "09005C", CLINIC, known[:1]).outcome is Outcome.MATCHED
    told = replace(far, ordered_at=at(1, 8))
    assert match_visit(told, "09005C", CLINIC, known).outcome is Outcome.MATCHED


def open_at(answered: dict[int, list[str]], sent: LabReport, *visits: Visit) -> Reason:
    def answers(each: Visit, _: str) -> list[str]:
        return answered.get(each.visit_on.day, [])

    return match_visit(sent, "09005C", CLINIC, visits, answers=answers).reasons[0]


def test_a_visit_whose_order_has_its_result_steps_back() -> None:
    both = (visit("09005C", day=1), visit("09005C", day=3))
    assert open_at({}, collected(4), *both) is Reason.SEVERAL_VISITS
    assert open_at({1: ["11403010900"]}, collected(4), *both) is Reason.OPEN_ORDER
    full = {1: ["11403010900"], 3: ["11403030900"]}
    assert open_at(full, collected(4), *both) is Reason.SEVERAL_VISITS
    roomy = visit(day=1, orders=(Order("09005C"), Order("09005C")))
    assert open_at({1: ["11403010900"]}, collected(4), roomy, both[1]) is Reason.SEVERAL_VISITS


def test_the_same_minute_is_the_same_result() -> None:
    both = (visit("09005C", day=1), visit("09005C", day=3))
    assert open_at({1: ["11403040900"]}, collected(4), *both) is Reason.SAME_RESULT
    assert open_at({1: ["1140304"]}, collected(4), *both) is Reason.SEVERAL_VISITS
    assert open_at({1: [""]}, collected(4), *both) is Reason.SEVERAL_VISITS


def test_a_choice_stands_as_long_as_its_order_does() -> None:
    gone = Order("09005C", cancelled=True)
    assert chosen(visit("09005C"), "09005C").reasons == (Reason.CHOSEN,)
    assert chosen(visit(orders=(gone,)), "09005C").reasons == (Reason.ORDER_CANCELLED,)
    assert chosen(visit("09001C"), "09005C").reasons == (Reason.NO_SUCH_ORDER,)
    taken_back = replace(visit("09005C"), cancelled=True)
    assert chosen(taken_back, "09005C").reasons == (Reason.VISIT_CANCELLED,)


def test_a_choice_never_talks_an_opt_out_away() -> None:
    torn = visit(orders=(Order("09005C"), Order("09005C", upload_opted_out=True)))
    found = chosen(torn, "09005C")
    assert found.order is not None
    assert found.order.upload_opted_out


def test_a_birth_date_that_differs_ends_far_below_the_threshold() -> None:
    sent = collected(2, patient=Patient(NATIONAL_ID, date(1980, 1, 1)))
    assert all(
        each.score < THRESHOLD
        for each in rank_candidates(sent, "09005C", CLINIC, [visit("09005C")])
    )
