"""What would mend a fault: only what something known says, with its evidence named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mapping.editions.edition import edition_on
from mapping.finding import Finding
from mapping.profile import CodeLink, SourceProfile
from mapping.proposals import Change, Evidence, Known, Proposal, propose, range_key, row_number
from mapping.record import Field, UploadRecord
from tests.unit.conversion_examples import visit

ON = date(2025, 3, 3)
HEADER = {
    "h1": "1", "h2": "3501200000", "h3": "11", "h4": "11403", "h5": "1140302090000", "h6": "01",
    "h7": "0012", "h8": "1", "h9": "A123456789", "h10": "0640701", "h11": "1140302",
    "h15": "09005C", "h20": "11403020915",
}  # fmt: skip
ROW = {"r1": "1", "r2": "Glucose", "r4": "92", "r5": "mg/dL"}


def record(header: dict[str, str] | None = None, row: dict[str, str] | None = None) -> UploadRecord:
    return UploadRecord(
        {tag: Field(value, "test") for tag, value in (HEADER | (header or {})).items() if value},
        ({tag: Field(value, "test") for tag, value in (ROW | (row or {})).items() if value},),
    )


def known(**more: Any) -> Known:
    return replace(Known(on=ON, visits=(visit("09005C"),)), **more)


def only(proposal: Proposal | None) -> tuple[Evidence, str, tuple[int, str, str]]:
    assert proposal is not None
    (change,) = proposal.changes
    return proposal.evidence, proposal.source, (change.row, change.tag, change.value)


def test_a_serial_gets_its_zeros_when_the_visits_own_data_has_them() -> None:
    fault = Finding("01", "h7", "hdata", "012")
    found = propose(fault, record({"h7": "012"}), known())
    assert only(found) == (Evidence.VISIT, "visit.visit_serial", (0, "h7", "0012"))


def test_zeros_are_not_filled_in_without_the_visit() -> None:
    fault = Finding("01", "h7", "hdata", "002")
    wrong = record({"h7": "002"})
    assert propose(fault, wrong, known(visits=())) is None
    assert propose(fault, wrong, known()) is None, "the visit says 0012, not 0002"
    same = replace(visit("09005C"), visit_serial="002")
    assert propose(fault, wrong, known(visits=(same,))) is None, "the visit is as wrong"


@pytest.mark.parametrize(
    ("code", "tag", "wrong", "source", "right"),
    [
        ("21", "h6", "99", "visit.visit_type", "01"),
        ("03", "h6", "99", "visit.visit_type", "01"),
        ("23", "h7", "Z000", "visit.visit_serial", "0012"),
        ("24", "h8", "7", "visit.makeup_code", "1"),
        ("03", "h3", "77", "visit.institution_kind", "11"),
        ("04", "h10", "0641301", "visit.birth_on", "0640701"),
        ("04", "h11", "1140230", "visit.visit_on", "1140302"),
        ("04", "h5", "1140302250000", "visit.card_at", "1140302090000"),
    ],
)
def test_a_field_of_the_visit_is_taken_from_the_visit(
    code: str, tag: str, wrong: str, source: str, right: str
) -> None:
    found = propose(Finding(code, tag, "hdata", wrong), record({tag: wrong}), known())
    assert only(found) == (Evidence.VISIT, source, (0, tag, right))


def test_card_data_that_says_two_things_proposes_nothing() -> None:
    one, other = visit("09005C"), replace(visit("09005C"), visit_serial="0013")
    fault, wrong = Finding("23", "h7", "hdata", "Z000"), record({"h7": "Z000"})
    assert propose(fault, wrong, known(visits=(one, other))) is None
    corrected = replace(one, visit_serial="Z000")
    assert only(propose(fault, wrong, known(visits=(corrected, other))))[2] == (0, "h7", "0013")


def test_a_value_that_is_wrong_itself_is_not_proposed() -> None:
    bad = replace(visit("09005C"), visit_type="99")
    fault = Finding("21", "h6", "hdata", "98")
    assert propose(fault, record({"h6": "98"}), known(visits=(bad,))) is None


def test_a_laboratorys_own_card_event_is_not_taken_from_the_clinics_visit() -> None:
    own = record({"h3": "50", "h5": "1140302250000"})
    assert propose(Finding("04", "h5", "hdata", "1140302250000"), own, known()) is None


def test_a_fault_of_a_result_is_never_answered_from_the_visit() -> None:
    assert propose(Finding("05", "r4", "rdata[1]", "x"), record(), known()) is None
    assert propose(Finding("09", "r4", "rdata[1]", "1.234"), record(), known()) is None


def test_the_month_is_that_of_the_collection_time() -> None:
    fault = Finding("10", "h4", "hdata", "11402")
    found = propose(fault, record({"h4": "11402"}), known())
    assert only(found) == (Evidence.COLLECTION_TIME, "h20", (0, "h4", "11403"))
    assert propose(fault, record({"h4": "11402", "h20": "11413020915"}), known()) is None


def test_the_report_type_is_that_of_the_official_list() -> None:
    found = propose(Finding("30", "h1", "hdata", "2"), record({"h1": "2"}), known())
    assert only(found) == (Evidence.OFFICIAL_LIST, "SPEC114 table 3", (0, "h1", "1"))
    unlisted = record({"h1": "2", "h15": "99999X"})
    assert propose(Finding("30", "h1", "hdata", "2"), unlisted, known()) is None


NO_RANGE = Finding("14", "r6-1", "rdata[1]")


def test_a_missing_range_is_the_profiles_default() -> None:
    profile = SourceProfile("lab", default_reference="70-100")
    found = propose(NO_RANGE, record(), known(profile=profile))
    assert found is not None
    assert found.evidence is Evidence.PROFILE
    assert found.may_be_accepted
    assert found.changes == (Change(1, "r6-1", "70"), Change(1, "r6-2", "100"))
    words = SourceProfile("lab", default_reference="無")
    assert only(propose(NO_RANGE, record(), known(profile=words)))[2] == (1, "r6-1", "無")


def test_a_default_in_another_unit_stays_text() -> None:
    profile = SourceProfile("lab", default_reference="3.9-5.6 mmol/L")
    found = propose(NO_RANGE, record(), known(profile=profile))
    assert only(found)[2] == (1, "r6-1", "3.9-5.6 mmol/L")


def test_an_earlier_range_is_shown_and_never_accepted_by_itself() -> None:
    asked: list[object] = []

    def ranges(key: tuple[str, str, str]) -> dict[tuple[str, str], str]:
        asked.append(key)
        return {("70", "100"): "record 7"}

    found = propose(NO_RANGE, record(), known(profile=SourceProfile("lab"), ranges=ranges))
    assert found is not None
    assert (found.evidence, found.source) == (Evidence.EARLIER_RANGE, "record 7")
    assert not found.may_be_accepted
    assert asked == [("09005C", "1", "mg/dl")] == [range_key("09005C", record().rows[0])]


def test_two_earlier_ranges_propose_nothing() -> None:
    both = {("70", "100"): "record 7", ("65", "99"): "record 9"}
    assert propose(NO_RANGE, record(), known(ranges=lambda key: both)) is None


def test_a_missing_default_of_the_source_is_filled_in() -> None:
    profile = SourceProfile("lab", default_unit="無", default_specimen="Serum")
    fault = Finding("01", "r5", "rdata[1]")
    found = propose(fault, record(row={"r5": ""}), known(profile=profile))
    assert only(found) == (Evidence.PROFILE, "profile.default_unit", (1, "r5", "無"))
    assert propose(replace(fault, value="x" * 99), record(), known(profile=profile)) is None
    none = known(profile=SourceProfile("lab"))
    assert propose(fault, record(row={"r5": ""}), none) is None


def test_an_unknown_code_is_the_listed_one_that_another_source_links() -> None:
    here = SourceProfile("lab", codes={"GLU": CodeLink("09005X"), "UA": CodeLink("09013C")})
    other = SourceProfile("two", codes={"GLU": CodeLink("09005C"), "X": CodeLink("09005B")})
    fault, wrong = Finding("37", "h15", "hdata", "09005X"), record({"h15": "09005X"})
    found = propose(fault, wrong, known(profile=here, profiles=(here, other)))
    assert only(found) == (Evidence.CODE_LINK, "profile.codes", (0, "h15", "09005C"))
    assert propose(fault, wrong, known(profile=here, profiles=(here,))) is None
    far = SourceProfile("two", codes={"GLU": CodeLink("12185C")})
    assert propose(fault, wrong, known(profile=here, profiles=(here, far))) is None


def test_a_code_of_the_list_that_is_not_in_force_is_left_to_a_person() -> None:
    here = SourceProfile("lab", codes={"GLU": CodeLink("09005C")})
    fault = Finding("37", "h15", "hdata", "09005C")
    assert propose(fault, record(), known(profile=here, profiles=(here,))) is None


def test_the_report_type_follows_the_code_that_is_proposed() -> None:
    here = SourceProfile("lab", codes={"CT": CodeLink("33070X")})
    other = SourceProfile("two", codes={"CT": CodeLink("33070B")})
    fault, wrong = Finding("37", "h15", "hdata", "33070X"), record({"h15": "33070X"})
    found = propose(fault, wrong, known(profile=here, profiles=(other,)))
    assert found is not None
    assert found.changes == (Change(0, "h15", "33070B"), Change(0, "h1", "2"))


@pytest.mark.parametrize("code", ["22", "27"])
def test_what_is_given_at_sealing_is_sent_again_unchanged(code: str) -> None:
    found = propose(Finding(code, "h16", "hdata"), record(), known())
    assert found is not None
    assert (found.evidence, found.changes) == (Evidence.SEALING, ())


@pytest.mark.parametrize("code", ["02", "06", "07", "08", "13", "15", "26", "28", "A1", "D3", "xx"])
def test_other_codes_have_no_proposal(code: str) -> None:
    for tag in ("h1", "h4", "h7", "h15", "r4", "r5", "r6-1"):
        assert propose(Finding(code, tag, "hdata", ""), record(), known()) is None


def test_a_row_that_is_not_there_has_no_proposal() -> None:
    profile = SourceProfile("lab", default_reference="70-100")
    assert propose(replace(NO_RANGE, place="rdata[9]"), record(), known(profile=profile)) is None
    assert propose(replace(NO_RANGE, place="hdata"), record(), known(profile=profile)) is None
    assert [row_number(place) for place in ("rdata[12]", "hdata", "", "rdata[x]")] == [12, 0, 0, 0]


def test_the_newborns_birth_date_is_the_visits_own_if_it_is_in_time() -> None:
    fault = Finding("13", "h23", "hdata", "1130101")
    wrong = record({"h23": "1130101", "h24": "1"})
    own = replace(visit("09005C"), newborn_birth_on=date(2025, 2, 20))
    found = propose(fault, wrong, known(visits=(own,)))
    assert only(found) == (Evidence.VISIT, "visit.newborn_birth_on", (0, "h23", "1140220"))
    late = replace(own, newborn_birth_on=date(2024, 12, 1))
    assert propose(fault, wrong, known(visits=(late,))) is None


def test_the_body_part_of_the_very_order_is_proposed_and_no_other() -> None:
    own = visit("33072B")
    (order,) = own.orders
    own = replace(own, orders=(replace(order, body_parts="A"),))
    bare = record({"h1": "2", "h15": "33072B"})
    for code, value in (("15", ""), ("16", "?")):
        fault = Finding(code, "h25", "hdata", value)
        found = propose(fault, bare, known(visits=(own,)))
        assert only(found) == (Evidence.VISIT, "order.body_parts", (0, "h25", "A"))
    fault = Finding("15", "h25", "hdata")
    assert propose(fault, bare, known(visits=())) is None
    assert propose(fault, record({"h15": "33070B"}), known(visits=(own,))) is None


def test_an_unknown_institution_is_proposed_from_the_visit_alone() -> None:
    fault = Finding("28", "h2", "hdata", "3501299999")
    own = visit("09005C").institution_code
    found = propose(fault, record({"h2": "3501299999"}), known())
    assert only(found) == (Evidence.VISIT, "visit.institution_code", (0, "h2", own))
    assert propose(fault, record({"h2": own}), known()) is None
    laboratory = record({"h2": "3501299999", "h3": "50", "h27": "3501288888"})
    assert propose(fault, laboratory, known()) is None, "which laboratory, nothing here says"
    prescribed = Finding("28", "h27", "hdata", "3501288888")
    assert only(propose(prescribed, laboratory, known()))[2] == (0, "h27", own)


def test_an_order_outside_the_claim_gets_the_visits_word_of_the_marked_field_alone() -> None:
    wrong = record({"h11": "1140301"})
    assert only(propose(Finding("26", "h11", "hdata"), wrong, known()))[2] == (0, "h11", "1140302")
    assert propose(Finding("26", "h15", "hdata"), wrong, known()) is None


def test_what_a_row_says_is_never_proposed_to_be_left_out() -> None:
    edition = edition_on(ON)
    assert not [rule for rule in edition.header if rule.blank], "code 07 is about rows alone"
    assert propose(Finding("07", "r5", "rdata[1]", "mg/dL"), record(), known()) is None
