"""What an unknown code may mean: measured on names as Taiwanese laboratories write them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from mapping.catalogue.tables import has_programme, order_code, read_table
from mapping.code_suggestions import CodeEvidence, KnownLink, Suggestion, suggest_codes
from mapping.name_likeness import likeness

# code, name, unit and specimen as a laboratory sends them, and the order at the visit for panels.
LABELLED = Path(__file__).with_name("local_test_names.csv")
HBSAG = CodeEvidence("HBS", ("HBsAg (CMIA)",), lab_code="L", units=("S/CO",), specimens=("Serum",))


def rows() -> list[dict[str, str]]:
    with LABELLED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def suggested(row: dict[str, str], name: str) -> list[tuple[str, int | None]]:
    evidence = CodeEvidence(
        row["code"],
        (name,),
        units=(row["unit"],) if row["unit"] else (),
        specimens=(row["specimen"],) if row["specimen"] else (),
        ordered={row["ordered"]: 1} if row["ordered"] else {},
        reports=1,
    )
    return [(each.order_code, each.item_number) for each in suggest_codes(evidence)]


def shares(mangle: int = 0) -> tuple[float, float]:
    """How often the right meaning stands first, and among the first three; with every n-th
    character of the name lost where ``mangle`` is n."""
    first = among = 0
    labelled = rows()
    for row in labelled:
        name = row["name"]
        if mangle:
            name = "".join(c for place, c in enumerate(name, 1) if place % mangle)
        right = (row["order_code"], int(row["item"]) if row["item"] else None)
        found = suggested(row, name)
        first += found[:1] == [right]
        among += right in found[:3]
    return first / len(labelled), among / len(labelled)


def test_of_names_as_laboratories_write_them_nearly_all_are_found() -> None:
    first, among = shares()
    assert len(rows()) >= 150
    assert first >= 0.95
    assert among >= 0.98


def test_of_names_that_lack_every_fifth_character_most_are_found() -> None:
    first, among = shares(mangle=5)
    assert first >= 0.85
    assert among >= 0.9


def test_the_table_of_names_has_orders_that_nhi_takes_results_for_and_no_other() -> None:
    codes = [row["order_code"] for row in read_table("order-names")]
    assert len(codes) == len(set(codes))
    assert [code for code in codes if not (order_code(code) or has_programme(code))] == []


def only(evidence: CodeEvidence, order: str) -> Suggestion:
    (found,) = [each for each in suggest_codes(evidence, 50) if each.order_code == order]
    return found


def test_each_suggestion_says_what_it_rests_on_and_the_score_is_their_sum() -> None:
    best = suggest_codes(HBSAG)[0]
    assert (best.order_code, best.item_number) == ("14032C", None)
    assert {reason.kind for reason in best.reasons} == {"name", "unit", "specimen", "usual"}
    assert best.score == pytest.approx(sum(reason.weight for reason in best.reasons), abs=0.01)


def test_a_unit_or_specimen_that_does_not_fit_speaks_against_a_meaning() -> None:
    plain = CodeEvidence("X", ("Creatinine",))
    assert suggest_codes(plain)[0].order_code == "09015C"
    urine = CodeEvidence("X", ("Creatinine",), specimens=("Urine",))
    assert suggest_codes(urine)[0].order_code == "09016C"
    wrong_unit = CodeEvidence("X", ("Albumin",), units=("mg/L",))
    assert suggest_codes(wrong_unit)[0].order_code == "12111C"


def test_an_order_of_the_visit_without_a_result_speaks_for_itself() -> None:
    nameless = CodeEvidence("1234", ordered={"09013C": 5}, reports=5)
    best = suggest_codes(nameless)[0]
    assert best.order_code == "09013C"
    assert best.reasons[0].kind == "ordered"


def test_another_line_of_the_report_that_is_the_test_already_speaks_against_it() -> None:
    glucose = CodeEvidence("G2", ("Glucose",))
    with_it = CodeEvidence("G2", ("Glucose",), together=frozenset({"09005C"}))
    assert only(with_it, "09005C").score < only(glucose, "09005C").score


def test_what_another_laboratory_linked_raises_a_meaning() -> None:
    link = KnownLink("other", "HBS", "14030C", name="HBsAg (CMIA)", confirmed=True)
    alone = suggest_codes(CodeEvidence("HBS", ("HBsAg (CMIA)",)), 50)
    found = only(CodeEvidence("HBS", ("HBsAg (CMIA)",), known=(link,)), "14030C")
    assert "14030C" not in {each.order_code for each in alone}
    assert ("elsewhere", "other: HBS") in {reason[:2] for reason in found.reasons}
    assert found.identical == ""


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, "other"),
        ({"code": "HBS2"}, ""),
        ({"name": "HBsAg"}, ""),
        ({"unit": "COI"}, ""),
        ({"specimen": ""}, ""),
        ({"specimen": "", "sent_specimen": "serum"}, "other"),
        ({"unit": "", "sent_unit": "s/co"}, "other"),
        ({"unit": ""}, ""),
        ({"lab_code": "M"}, ""),
        ({"lab_code": ""}, ""),
        ({"confirmed": False}, ""),
    ],
)
def test_only_the_same_code_name_unit_and_specimen_of_the_same_laboratory_is_identical(
    change: dict[str, object], same: str
) -> None:
    told: dict[str, object] = {
        "source_id": "other",
        "code": "HBS",
        "order_code": "14032C",
        "lab_code": "L",
        "name": "HBsAg (CMIA)",
        "unit": "S/CO",
        "specimen": "Serum",
        "confirmed": True,
    }
    link = KnownLink(**{**told, **change})  # type: ignore[arg-type]
    known = CodeEvidence(
        "HBS",
        HBSAG.names,
        lab_code=HBSAG.lab_code,
        units=HBSAG.units,
        specimens=HBSAG.specimens,
        known=(link,),
    )
    best = next(each for each in suggest_codes(known) if each.order_code == "14032C")
    assert best.identical == same


def test_nothing_is_suggested_where_nothing_speaks_for_anything() -> None:
    assert suggest_codes(CodeEvidence("9Q7", ("zzzz",))) == ()


def test_a_row_is_looked_for_in_its_order_only_where_the_order_is_known() -> None:
    found = suggest_codes(CodeEvidence("W", ("WBC",), order_code="08011C"))
    assert {each.order_code for each in found} == {"08011C"}
    assert found[0].item_number == 4


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("GLU-AC", "Glu AC", 1.0, 1.0),
        ("Serum Albumin", "albumin", 0.95, 1.0),
        ("γ-GT", "gamma GT", 0.95, 1.0),
        ("總膽固醇檢查", "總膽固醇", 0.95, 1.0),
        ("Free T4", "T4", 0.5, 0.8),
        ("sodium", "potassium", 0.0, 0.6),
        ("", "Na", 0.0, 0.0),
    ],
)
def test_names_are_compared_as_a_person_would(
    one: str, other: str, least: float, most: float
) -> None:
    assert least <= likeness(one, other) <= most
    assert likeness(one, other) == likeness(other, one)


def test_the_same_range_and_unit_as_a_linked_code_speak_for_its_order() -> None:
    link = KnownLink("other", "ZZ", "09013C", ranges=("2.6-6.0",), sent_unit="mg/dL")
    said = CodeEvidence("U1", ("Uric acid",), units=("mg/dL",), ranges=("2.6-6.0",), known=(link,))
    assert ("range", "other ZZ: 2.6-6.0") in {reason[:2] for reason in only(said, "09013C").reasons}
    for other in (replace(link, sent_unit="umol/L"), replace(link, ranges=("3-7",))):
        found = only(replace(said, known=(other,)), "09013C")
        assert "range" not in {reason.kind for reason in found.reasons}
