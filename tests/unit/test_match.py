from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from mapping.finding import Severity, finding_texts
from mapping.match import Match, Outcome, Reason, match_visit, room_for
from mapping.report import LabReport, Patient, Specimen
from mapping.visit import Order, Visit
from tests.unit.conversion_examples import CLINIC, NATIONAL_ID, at, line, report, visit


def matched(sent: LabReport, *visits: Visit, code: str = "09005C", clinic: str = CLINIC) -> Match:
    return match_visit(sent, code, clinic, visits)


def collected(day: int, month: int = 3) -> LabReport:
    return report(specimen=Specimen("", at(day, 9, month=month)))


def test_the_one_visit_with_the_order_is_taken() -> None:
    found = matched(collected(4), visit("09001C", "09005C"))
    assert found.outcome is Outcome.MATCHED
    assert found.visit is not None
    assert found.order is not None
    assert found.order.order_code == "09005C"
    assert found.reasons == (Reason.ONLY_VISIT,)


@pytest.mark.parametrize("day", [2, 3, 31])
def test_the_specimen_may_be_taken_from_the_day_of_the_visit_on(day: int) -> None:
    assert matched(collected(day), visit("09005C")).outcome is Outcome.MATCHED


def test_the_window_ends_after_thirty_days() -> None:
    assert matched(collected(1, month=4), visit("09005C")).outcome is Outcome.MATCHED
    late = matched(collected(2, month=4), visit("09005C"))
    assert (late.outcome, late.reasons) == (Outcome.UNMATCHED, (Reason.AFTER_WINDOW,))


def test_a_specimen_from_before_the_visit_is_not_of_it() -> None:
    early = matched(collected(1), visit("09005C"))
    assert (early.outcome, early.reasons) == (Outcome.UNMATCHED, (Reason.BEFORE_VISIT,))


def test_two_possible_visits_are_a_question_for_a_person() -> None:
    found = matched(collected(4), visit("09005C", day=1), visit("09005C", day=3))
    assert (found.outcome, found.visit, found.order) == (Outcome.AMBIGUOUS, None, None)
    assert found.reasons == (Reason.SEVERAL_VISITS,)
    assert [candidate.visit.visit_on.day for candidate in found.candidates] == [1, 3]


def test_a_later_visit_does_not_disturb() -> None:
    found = matched(collected(4), visit("09005C", day=1), visit("09005C", day=5))
    assert found.visit is not None
    assert found.visit.visit_on == date(2025, 3, 1)


def test_the_same_card_event_from_two_files_is_one_visit() -> None:
    twice = (visit("09005C", place="row 1"), visit("09005C", place="row 9"))
    assert matched(collected(2), *twice).outcome is Outcome.MATCHED


def numbered(number: str, day: int = 2) -> Visit:
    return visit(day=day, orders=(Order("09005C", placer_order_number=number),))


def test_a_placer_number_known_to_both_decides_between_visits() -> None:
    sent = replace(collected(4), placer_order_number="P2")
    found = matched(sent, numbered("P1", 1), numbered("P2", 2), visit("09005C", day=3))
    assert found.reasons == (Reason.SAME_PLACER_NUMBER,)
    assert found.visit is not None
    assert found.visit.visit_on.day == 2


def test_another_placer_number_excludes_a_visit() -> None:
    sent = replace(collected(4), placer_order_number="P9")
    found = matched(sent, numbered("P1"))
    assert found.reasons == (Reason.PLACER_NUMBER_DIFFERS,)
    assert matched(sent, numbered("P1", 1), visit("09005C")).outcome is Outcome.MATCHED


def test_a_placer_number_does_not_excuse_another_patient_code_or_an_earlier_day() -> None:
    sent = replace(collected(4), placer_order_number="P1")
    other = replace(numbered("P1"), national_id="F234567898")
    assert matched(sent, other).reasons == (Reason.OTHER_PATIENT,)
    assert matched(sent, numbered("P1"), code="09001C").reasons == (Reason.NO_SUCH_ORDER,)
    assert matched(sent, numbered("P1", 5)).reasons == (Reason.BEFORE_VISIT,)


def test_a_placer_number_counts_beyond_the_window_and_without_dates() -> None:
    late = replace(collected(4, month=9), placer_order_number="P1")
    assert matched(late, numbered("P1")).outcome is Outcome.MATCHED
    undated = replace(late, specimen=Specimen(), reported_at=None)
    assert matched(undated, numbered("P1")).outcome is Outcome.MATCHED


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_identifiers_never_match(blank: str) -> None:
    nobody = replace(collected(2), patient=Patient(blank))
    assert matched(nobody, visit("09005C", national_id=blank)).reasons == (Reason.NO_NATIONAL_ID,)
    nowhere = matched(collected(2), visit("09005C", institution_code=blank), clinic=blank)
    assert nowhere.reasons == (Reason.NO_CLINIC,)
    unnumbered = replace(collected(4, month=9), placer_order_number=blank)
    assert matched(unnumbered, numbered(blank)).reasons == (Reason.AFTER_WINDOW,)


def test_a_contradicting_birth_date_is_never_overlooked() -> None:
    sent = replace(collected(2), patient=Patient(NATIONAL_ID, date(1975, 7, 2)))
    assert matched(sent, visit("09005C")).reasons == (Reason.BIRTH_DATE_DIFFERS,)


def test_a_missing_birth_date_is_no_contradiction() -> None:
    sent = replace(collected(2), patient=Patient(NATIONAL_ID))
    assert matched(sent, visit("09005C")).outcome is Outcome.MATCHED


def test_a_newborn_on_the_parents_card_has_its_own_birth_date() -> None:
    newborn = date(2025, 2, 20)
    sent = replace(collected(2), patient=Patient(NATIONAL_ID, newborn))
    assert matched(sent, visit("09005C", newborn_birth_on=newborn)).outcome is Outcome.MATCHED


def test_a_newborns_marked_visit_needs_a_placer_number() -> None:
    newborn = date(2025, 2, 20)
    known = visit(
        newborn_birth_on=newborn,
        newborn_mark="1",
        orders=(Order("09005C", placer_order_number="P1"),),
    )
    sent = replace(collected(2), patient=Patient(NATIONAL_ID, newborn))
    assert matched(sent, known).reasons == (Reason.NEWBORN,)
    assert matched(replace(sent, placer_order_number="P1"), known).outcome is Outcome.MATCHED
    # Nor is the parent's own visit taken for certain beside it.
    unsure = replace(sent, patient=Patient(NATIONAL_ID))
    assert matched(unsure, known, visit("09005C")).outcome is Outcome.AMBIGUOUS


def test_an_order_line_that_was_taken_back_is_no_order() -> None:
    gone, valid = Order("09005C", cancelled=True), Order("09005C")
    assert matched(collected(2), visit(orders=(gone,))).reasons == (Reason.ORDER_CANCELLED,)
    assert matched(collected(2), visit(orders=(gone, valid))).order is valid
    cancelled = replace(visit("09005C"), cancelled=True)
    assert matched(collected(2), cancelled).reasons == (Reason.VISIT_CANCELLED,)


@pytest.mark.parametrize(
    ("orders", "room"),
    [
        ((Order("09005C"),), 1),
        ((Order("09005C", Decimal("2.5")),), 2),
        ((Order("09005C"), Order("09005C"), Order("09001C")), 2),
        ((Order("09005C"), Order("09005C", cancelled=True)), 1),
        ((Order("09005C", Decimal(0)),), 1),
    ],
)
def test_quantity_and_lines_make_room_for_results(orders: tuple[Order, ...], room: int) -> None:
    assert room_for(visit(orders=orders), "09005C") == room


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"institution_code": "3501200001"}, Reason.OTHER_CLINIC),
        ({"national_id": "F234567898"}, Reason.OTHER_PATIENT),
        ({"birth_on": date(1980, 1, 1)}, Reason.BIRTH_DATE_DIFFERS),
        ({"visit_type": "ZA"}, Reason.VISIT_CANCELLED),
        ({"orders": ()}, Reason.NO_SUCH_ORDER),
    ],
)
def test_each_visit_is_checked_though_it_was_selected(
    change: dict[str, object], reason: Reason
) -> None:
    found = matched(collected(2), replace(visit("09005C"), **change))  # type: ignore[arg-type]
    assert (found.outcome, found.reasons) == (Outcome.UNMATCHED, (reason,))
    assert [candidate.reason for candidate in found.candidates] == [reason]


def test_without_any_visit_the_reason_says_so() -> None:
    assert matched(collected(2)).reasons == (Reason.NO_VISIT,)


def test_without_a_collection_time_the_next_best_day_counts() -> None:
    sent = report(line("x", observed_at=at(3, 8)), specimen=Specimen(), reported_at=at(30))
    assert matched(sent, visit("09005C", day=5)).reasons == (Reason.BEFORE_VISIT,)
    ordered = report(specimen=Specimen(), ordered_at=at(4), reported_at=at(30))
    assert matched(ordered, visit("09005C", day=5)).reasons == (Reason.BEFORE_VISIT,)
    received = report(specimen=Specimen(received_at=at(5)), reported_at=at(30))
    assert matched(received, visit("09005C", day=5)).outcome is Outcome.MATCHED


def test_without_any_date_nothing_matches() -> None:
    undated = report(specimen=Specimen(), reported_at=None)
    assert matched(undated, visit("09005C")).reasons == (Reason.NO_DATE,)


def test_the_taipei_day_counts_not_the_utc_day() -> None:
    just_after_midnight = report(specimen=Specimen("", at(2, 0, 5)))
    assert matched(just_after_midnight, visit("09005C", day=2)).outcome is Outcome.MATCHED


def test_the_same_code_twice_at_one_visit_is_one_unless_the_wishes_differ() -> None:
    alike = visit(orders=(Order("09005C"), Order("09005C")))
    assert matched(collected(2), alike).outcome is Outcome.MATCHED
    torn = visit(orders=(Order("09005C"), Order("09005C", upload_opted_out=True)))
    found = matched(collected(2), torn)
    assert (found.outcome, found.reasons) == (Outcome.AMBIGUOUS, (Reason.SEVERAL_ORDERS,))


def test_the_opt_out_comes_with_the_order() -> None:
    found = matched(collected(2), visit(orders=(Order("09005C", upload_opted_out=True),)))
    assert found.order is not None
    assert found.order.upload_opted_out


def test_reasons_become_findings_that_a_person_can_read() -> None:
    (finding,) = matched(collected(1), visit("09005C")).findings("OBR[1]", "09005C")
    assert (finding.code, finding.severity) == ("match-before-visit", Severity.ERROR)
    assert "09005C" in finding.message()
    assert "09005C" in finding.message("zh")
    (information,) = matched(collected(2), visit("09005C")).findings("OBR[1]", "09005C")
    assert information.severity is Severity.INFORMATION


def test_every_reason_has_its_text() -> None:
    assert {reason.value for reason in Reason} <= finding_texts().keys()


def test_the_same_scan_of_two_body_parts_is_a_question_for_a_person() -> None:
    def scans(code: str) -> Visit:
        orders = tuple(Order(code, body_parts=parts) for parts in ("H", "C"))
        return replace(visit(), orders=orders)

    found = matched(collected(2), scans("33070B"), code="33070B")
    assert (found.outcome, found.reasons) == (Outcome.AMBIGUOUS, (Reason.SEVERAL_ORDERS,))
    # An X-ray's upload has no body part, so its lines are alike.
    assert matched(collected(2), scans("32001C"), code="32001C").outcome is Outcome.MATCHED
