"""Imaging and pathology reports: all lines of an order are one text over nine fields."""

from __future__ import annotations

from typing import Any

import pytest

from mapping.codes import split_orders
from mapping.convert import Conversion, convert
from mapping.finding import Severity
from mapping.merge import merge_order
from mapping.profile import CodeLink, SourceProfile
from mapping.report import Coding, LabReport, Observation, ObservationStatus
from mapping.report_text import joined_text, text_tags
from mapping.visit import Order
from tests.unit.conversion_examples import (
    CLINIC_UPLOADS,
    PROFILE,
    RECEIVED,
    line,
    report,
    visit,
)

X_RAY, PATHOLOGY, PD_L1, NGS = "32001C", "25003C", "30103B", "30301B"


def converted(sent: LabReport, profile: SourceProfile = PROFILE) -> Conversion:
    (result,) = split_orders(sent, profile).orders
    code = result.order_code
    return convert(sent, result, visit(code), Order(code), CLINIC_UPLOADS, profile, RECEIVED)


def rows(conversion: Conversion) -> list[dict[str, str]]:
    return [{tag: field.value for tag, field in row.items()} for row in conversion.record.rows]


def texts(*values: str, service: str = X_RAY, name: str = "TXT", **more: Any) -> LabReport:
    lines = (line(name, value, **more, place=f"OBX[{n}]") for n, value in enumerate(values, 1))
    return report(*lines, service=service)


def row_of(sent: LabReport, profile: SourceProfile = PROFILE) -> dict[str, str]:
    (row,) = rows(converted(sent, profile))
    return row


def test_all_lines_of_an_order_are_one_row() -> None:
    row = row_of(texts("The heart is normal.", "", "No effusion."))
    assert row == {
        "r1": "1",
        "r7": "The heart is normal.\n\nNo effusion.",
        "r10": "1140303102000",
        "r14": "1140303103015",
    }


def test_lines_of_several_names_begin_with_their_own() -> None:
    sent = report(
        line("GROSS", "Two pieces.", codings=(Coding("1", "Gross"),)),
        line("GROSS", "Firm.", codings=(Coding("1", "Gross"),)),
        line("KI67", "30", "%", codings=(Coding("2", "Ki-67"),)),
        line("DX", "A\nB", codings=(Coding("3", "Diagnosis"),)),
        service=PATHOLOGY,
    )
    row = row_of(sent)
    assert row["r8-1"] == "Gross: Two pieces.\nFirm.\nKi-67: 30 %\nDiagnosis:\nA\nB"
    assert row["r2"] == "第三級外科病理"
    assert row["r1"] == "1"


def test_line_breaks_of_every_kind_become_line_feeds() -> None:
    assert row_of(texts("a\r\nb\rc"))["r7"] == "a\nb\nc"


@pytest.mark.parametrize(("service", "first"), [(X_RAY, "r7"), (PATHOLOGY, "r8-1")])
def test_a_long_text_goes_on_in_the_following_fields(service: str, first: str) -> None:
    row = row_of(texts("檢" * 1001, service=service))
    assert (row[first], row["r8-2"]) == ("檢" * 1000, "檢")
    assert "r8-3" not in row


def test_a_text_that_exceeds_the_official_count_is_split_by_the_bytes_of_the_file() -> None:
    conversion = converted(texts("檢" * 17_999))
    assert conversion.findings == ()
    (row,) = rows(conversion)
    assert [len(row[tag]) for tag in text_tags("2")] == [2000] * 8 + [1999]


def test_a_text_that_fits_by_neither_count_is_refused_in_words() -> None:
    (finding,) = converted(texts("檢" * 18_001)).findings
    assert (finding.code, finding.field, finding.severity) == (
        "report-text-too-long",
        "r7",
        Severity.ERROR,
    )
    assert "36002" in finding.message()
    assert "36000" in finding.message("zh")


def test_a_character_without_a_code_is_named_wherever_the_text_stands() -> None:
    (finding,) = converted(texts("x" * 5000 + "😀")).findings
    assert (finding.code, finding.place) == ("unencodable-character", "OBX[1]-5")


def test_the_radiation_dose_has_its_own_field() -> None:
    dose = line("DOSE", "6.2", "mSv", place="OBX[2]")
    row = row_of(report(line("TXT", "Normal."), dose, service=X_RAY))
    assert (row["r7"], row["r13"]) == ("Normal.", "6.2")


@pytest.mark.parametrize("unit", ["mGy", ""])
def test_a_number_in_another_unit_stays_in_the_text(unit: str) -> None:
    row = row_of(report(line("TXT", "Normal."), line("DOSE", "6.2", unit), service=X_RAY))
    assert "6.2" in row["r7"]
    assert "r13" not in row


def test_two_doses_stay_in_the_text() -> None:
    lines = (line("A", "6.2", "mSv"), line("B", "7", "mSv"))
    row = row_of(report(*lines, service=X_RAY))
    assert row["r7"] == "A: 6.2 mSv\nB: 7 mSv"
    assert "r13" not in row


def test_a_report_waits_whole_until_its_last_line_is_final() -> None:
    last = line("TXT", "Impression.", status=ObservationStatus.PRELIMINARY, place="OBX[2]")
    sent = report(line("TXT", "Findings."), last, service=X_RAY)
    (result,) = split_orders(sent, PROFILE).orders
    assert result.lines == ()
    assert [each.observation.value for each in result.awaited] == ["Findings.", "Impression."]


def test_a_correction_replaces_the_whole_text() -> None:
    first = converted(texts("One.", "Two.", service=PATHOLOGY)).record
    named = line("DX", "Three.", codings=(Coding("9", "Final diagnosis"),))
    second = converted(report(named, service=PATHOLOGY)).record
    merged = merge_order(first, second)
    assert [row["r8-1"].value for row in merged.rows] == ["Three."]


def test_the_profile_may_give_the_row_number() -> None:
    linked = {"TXT": CodeLink(PD_L1, 2)}
    sent = report(line("TXT", "TPS 60 %"), line("TXT", "Adequate."))
    row = row_of(sent, SourceProfile("lab", codes=linked, lab_code=PROFILE.lab_code))
    assert (row["r1"], row["r8-1"]) == ("2", "TPS 60 %\nAdequate.")


@pytest.mark.parametrize(
    ("name", "method", "value", "number"),
    [
        ("PD-L1 (Dako 22C3)", "", "TPS 60 %", "1"),
        ("PD-L1", "Ventana SP 263", "TC 50 %", "2"),
        ("PD-L1", "", "Clone 28-8: 10 %", "3"),
        ("PD-L1", "sp142", "IC 5 %", "4"),
    ],
)
def test_the_row_number_of_pd_l1_is_the_reagent_that_the_report_names(
    name: str, method: str, value: str, number: str
) -> None:
    said = Observation((Coding("1", name),), value, "TX", method=method, place="OBX[1]")
    conversion = converted(report(said, service=PD_L1))
    assert rows(conversion)[0]["r1"] == number
    assert conversion.findings == ()


@pytest.mark.parametrize("value", ["TPS 60 %", "22C3 60 %, SP263 55 %"])
def test_a_reagent_that_is_not_named_clearly_is_never_assumed(value: str) -> None:
    conversion = converted(texts(value, service=PD_L1))
    assert "r1" not in rows(conversion)[0]
    (finding,) = conversion.findings
    assert (finding.code, finding.severity) == ("reagent-unknown", Severity.ERROR)
    assert "Ventana SP142" in finding.message()


def test_the_name_of_an_ngs_report_is_the_official_one() -> None:
    row = row_of(texts("#診斷: x", service="30302B"))
    assert row["r2"] == "實體腫瘤次世代基因定序 小套組(＜=100個基因)"
    assert joined_text(row) == "#診斷: x"


def test_an_item_of_eye_care_has_the_number_of_its_programme() -> None:
    row = row_of(texts("1", service="23501C"))
    assert (row["r1"], row["r7"]) == ("101", "1")
