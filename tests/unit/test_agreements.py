from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mapping.agreements import Parties, conflicting_agreements, find_agreement, parties_of
from mapping.profile import Agreement, Commission, Route
from tests.unit.conversion_examples import CLINIC, LAB, PROFILE, report

DAY = date(2025, 3, 2)
GENERAL = Agreement(LAB, CLINIC, Route.CLINIC)
SPECIAL = Agreement(LAB, CLINIC, Route.LAB, order_code="09005C")


def test_an_agreement_for_the_order_code_goes_before_a_general_one() -> None:
    both = (GENERAL, SPECIAL)
    assert find_agreement(both, LAB, CLINIC, "09005C", DAY) is SPECIAL
    assert find_agreement(both, LAB, CLINIC, "09001C", DAY) is GENERAL


@pytest.mark.parametrize(("day", "found"), [(1, False), (2, True), (9, True), (10, False)])
def test_both_end_days_belong_to_an_agreement(day: int, found: bool) -> None:
    dated = replace(GENERAL, valid_from=date(2025, 3, 2), valid_until=date(2025, 3, 9))
    answer = find_agreement((dated,), LAB, CLINIC, "09005C", date(2025, 3, day))
    assert (answer is dated) is found


@pytest.mark.parametrize(("lab", "clinic"), [("", CLINIC), (LAB, ""), ("JY2", CLINIC), (LAB, "1")])
def test_both_parties_must_be_named_by_the_agreement(lab: str, clinic: str) -> None:
    blank = Agreement("", "", Route.CLINIC)
    assert find_agreement((GENERAL, blank), lab, clinic, "09005C", DAY) is None


def test_agreements_that_contradict_each_other_let_nobody_upload() -> None:
    other = replace(GENERAL, route=Route.LAB)
    assert find_agreement((GENERAL, other), LAB, CLINIC, "09005C", DAY) is None
    assert find_agreement((GENERAL, GENERAL), LAB, CLINIC, "09005C", DAY) is GENERAL


def test_contradictions_are_found_before_they_matter() -> None:
    patient = replace(GENERAL, commission=Commission.PATIENT)
    assert conflicting_agreements((GENERAL, patient)) == ((GENERAL, patient),)
    early = replace(GENERAL, route=Route.LAB, valid_until=date(2025, 1, 31))
    late = replace(GENERAL, valid_from=date(2025, 2, 1))
    assert conflicting_agreements((early, late, SPECIAL)) == ()
    touching = replace(late, valid_from=date(2025, 1, 31))
    assert conflicting_agreements((early, touching)) == ((early, touching),)


def test_the_report_names_its_parties_before_the_profile() -> None:
    assert parties_of(report(lab_code="JY1", clinic_code="C1"), PROFILE) == Parties("JY1", "C1")
    assert parties_of(report(lab_code=" ", clinic_code=""), PROFILE) == Parties(LAB, CLINIC)


def test_the_senders_own_clinic_codes_are_translated() -> None:
    profile = replace(PROFILE, clinics={"WANG": "3501299999"})
    assert parties_of(report(clinic_code=" WANG "), profile).clinic_code == "3501299999"
