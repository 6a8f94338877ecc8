from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from mapping.codes import OrderResult, split_orders
from mapping.convert import Conversion, convert, stamp_upload_time
from mapping.finding import Severity
from mapping.moment import Precision
from mapping.profile import Agreement, CodeLink, Commission, Route, SourceProfile
from mapping.record import Field, UploadRecord
from mapping.report import Coding, LabReport, Patient, Specimen
from mapping.rules import RuleContext, check_record
from mapping.visit import Order, Visit
from tests.unit.conversion_examples import (
    CBC,
    CLINIC,
    CLINIC_UPLOADS,
    LAB,
    LAB_UPLOADS,
    NATIONAL_ID,
    PHYSICIAN,
    PROFILE,
    RECEIVED,
    at,
    line,
    report,
    visit,
)


def converted(
    sent: LabReport,
    agreement: Agreement = CLINIC_UPLOADS,
    visited: Visit | None = None,
    profile: SourceProfile = PROFILE,
    order: Order | None = None,
) -> Conversion:
    (result,) = split_orders(sent, profile).orders
    visited = visited or visit(result.order_code)
    order = order or Order(result.order_code)
    return convert(sent, result, visited, order, agreement, profile, RECEIVED)


def glucose(**more: Any) -> LabReport:
    start = line("GLU", "105", "mg/dL", reference="70-100", abnormal_flags=("H",))
    return report(replace(start, **more), service="09005C")


def header(record: UploadRecord) -> dict[str, str]:
    return {tag: field.value for tag, field in record.header.items()}


def row(conversion: Conversion, index: int = 0) -> dict[str, str]:
    return {tag: field.value for tag, field in conversion.record.rows[index].items()}


def codes(conversion: Conversion) -> list[str]:
    return [finding.code for finding in conversion.findings]


def test_the_clinics_route_speaks_with_the_clinics_visit() -> None:
    conversion = converted(glucose())
    assert header(conversion.record) == {
        "h1": "1",
        "h2": CLINIC,
        "h3": "11",
        "h4": "11403",
        "h5": "1140302090000",
        "h6": "01",
        "h7": "0012",
        "h8": "1",
        "h9": NATIONAL_ID,
        "h10": "0640701",
        "h11": "1140302",
        "h15": "09005C",
        "h17": PHYSICIAN,
        "h18": LAB,
        "h20": "1140302091500",
        "h22": "Serum",
        "h26": "4",
    }
    assert row(conversion) == {
        "r1": "1",
        "r2": "飯前血糖 Glucose AC",
        "r4": "105",
        "r5": "mg/dL",
        "r6-1": "70",
        "r6-2": "100",
        "r9": LAB,
        "r10": "1140303102000",
        "r12": "1",
        "r14": "1140303103015",
    }
    assert conversion.findings == ()


def test_the_laboratorys_route_speaks_with_its_own_receipt_of_the_specimen() -> None:
    conversion = converted(glucose(), LAB_UPLOADS, visit("09005C", visit_identifier="V" * 20))
    found = header(conversion.record)
    assert {tag: found[tag] for tag in ("h2", "h3", "h5", "h7", "h8", "h26", "h27")} == {
        "h2": LAB,
        "h3": "50",
        "h5": "1140302153000",
        "h7": "0012",
        "h8": "1",
        "h26": "5",
        "h27": CLINIC,
    }
    assert found["h11"] == "1140302"
    assert not {"h12", "h28", "h29"} & found.keys()
    assert "r14" not in row(conversion)
    assert conversion.findings == ()


@pytest.mark.parametrize(
    ("route", "commission", "mode"),
    [
        (Route.CLINIC, Commission.PATIENT, "2"),
        (Route.LAB, Commission.PATIENT, "3"),
        (Route.CLINIC, Commission.SPECIMEN, "4"),
        (Route.LAB, Commission.SPECIMEN, "5"),
    ],
)
def test_the_agreement_decides_the_dispensing_mode(
    route: Route, commission: Commission, mode: str
) -> None:
    conversion = converted(glucose(), Agreement(LAB, CLINIC, route, commission))
    assert conversion.record.header["h26"] == Field(mode, "agreement")
    assert ("h27" in conversion.record.header) is (route is Route.LAB)


@pytest.mark.parametrize("agreement", [CLINIC_UPLOADS, LAB_UPLOADS])
def test_a_complete_report_gives_a_record_that_passes_the_checks(agreement: Agreement) -> None:
    record = converted(glucose(method="Hexokinase"), agreement).record
    sealed = stamp_upload_time(record, at(3, 11).at)
    context = RuleContext(today=date(2025, 3, 3), upload_on=date(2025, 3, 3), sealed=True)
    assert check_record(sealed, context) == ()


def test_each_field_says_where_it_came_from() -> None:
    conversion = converted(glucose())
    headers = {tag: field.origin for tag, field in conversion.record.header.items()}
    assert headers["h1"] == "order-codes"
    assert headers["h5"] == "visit.card_at"
    assert headers["h15"] == "OBR[1]-4"
    assert headers["h20"] == "OBR[1].specimen.collected_at"
    rows = {tag: field.origin for tag, field in conversion.record.rows[0].items()}
    assert rows["r2"] == "report-items"
    assert (rows["r4"], rows["r5"], rows["r6-1"], rows["r12"]) == (
        "OBX[1]-5",
        "OBX[1]-6",
        "OBX[1]-7",
        "OBX[1]-8",
    )
    assert rows["r14"] == "intake.received_at"


def test_an_unknown_serial_is_z000_on_the_laboratorys_route_and_told() -> None:
    conversion = converted(glucose(), LAB_UPLOADS, visit("09005C", visit_serial=""))
    assert conversion.record.header["h7"] == Field("Z000", "assumed:Z000")
    assert codes(conversion) == ["serial-unknown"]


def test_an_unknown_serial_stays_unknown_on_the_clinics_route() -> None:
    conversion = converted(glucose(), visited=visit("09005C", visit_serial=""))
    assert "h7" not in conversion.record.header


@pytest.mark.parametrize(
    ("precision", "expected"),
    [(Precision.DAY, "1140302000000"), (Precision.MINUTE, "1140302093000")],
)
def test_a_receipt_time_without_seconds_is_filled_up_and_told(
    precision: Precision, expected: str
) -> None:
    moment = at(2, 0 if precision is Precision.DAY else 9, 0 if precision is Precision.DAY else 30)
    sent = replace(
        glucose(), specimen=Specimen("Serum", at(2, 9), replace(moment, precision=precision))
    )
    conversion = converted(sent, LAB_UPLOADS)
    assert conversion.record.value("h5") == expected
    assert conversion.record.header["h5"].origin == "assumed:OBR[1].specimen.received_at"
    assert codes(conversion) == ["assumed-card-time"]


def test_without_a_receipt_time_the_collection_time_is_assumed() -> None:
    sent = replace(glucose(), specimen=Specimen("Serum", at(2, 9, 15)))
    conversion = converted(sent, LAB_UPLOADS)
    assert conversion.record.header["h5"] == Field(
        "1140302091500", "assumed:OBR[1].specimen.collected_at"
    )
    assert codes(conversion) == ["assumed-card-time"]


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (Precision.DAY, "11403020000"),
        (Precision.MINUTE, "11403020915"),
        (Precision.SECOND, "1140302091500"),
    ],
)
def test_the_collection_time_is_as_precise_as_the_lab_said(
    precision: Precision, expected: str
) -> None:
    sent = replace(glucose(), specimen=Specimen("", at(2, 9, 15, precision)))
    assert converted(sent).record.value("h20") == expected


def test_without_a_specimen_time_the_earliest_line_of_the_order_counts() -> None:
    sent = report(
        line("RBC", observed_at=at(2, 9), place="OBX[1]"),
        line("Hb", observed_at=at(2, 8), place="OBX[2]"),
        service="08011C",
        specimen=Specimen(),
    )
    assert converted(sent).record.header["h20"] == Field("1140302080000", "OBX[2].observed_at")


def test_without_any_collection_time_the_card_time_is_assumed_and_told() -> None:
    conversion = converted(replace(glucose(), specimen=Specimen()))
    assert conversion.record.header["h20"] == Field("1140302090000", "assumed:visit.card_at")
    assert conversion.record.header["h4"] == Field("11403", "assumed:visit.card_at")
    (finding,) = conversion.findings
    assert (finding.code, finding.field, finding.severity) == (
        "assumed-collection-time",
        "h20",
        Severity.WARNING,
    )


def test_a_time_of_no_year_of_the_republic_counts_as_missing() -> None:
    antique = replace(at(2), at=datetime(1, 1, 1, 12, tzinfo=UTC))
    sent = replace(
        glucose(), specimen=Specimen("", antique, antique), ordered_at=antique, reported_at=antique
    )
    conversion = converted(sent, LAB_UPLOADS)
    assert "r10" not in row(conversion)
    assert "h19" not in conversion.record.header
    assert codes(conversion) == ["assumed-collection-time", "assumed-card-time"]


def test_a_scheduled_examination_has_its_day_as_the_end_of_treatment() -> None:
    scheduled = converted(glucose(), visited=visit("09005C", visit_type="AG"))
    assert scheduled.record.value("h12") == "1140302"
    laboratory = converted(glucose(), LAB_UPLOADS, visit("09005C", visit_type="AG"))
    assert laboratory.record.value("h12") == ""


def test_an_inpatient_has_an_admission_day_and_no_visit_day() -> None:
    conversion = converted(glucose(), visited=visit("09005C", institution_kind="22"))
    assert conversion.record.value("h11") == ""
    assert conversion.record.header["h13"] == Field("1140302", "assumed:visit.visit_on")


@pytest.mark.parametrize(
    ("order_code", "parts", "uploaded"),
    [
        ("33070B", "NJ", "NJ"),
        ("33084B", "R", "R"),
        ("33070B", "", ""),
        ("32001C", "U", ""),
        ("32001C", "1112", ""),
    ],
)
def test_the_body_part_goes_with_the_orders_that_ask_for_it(
    order_code: str, parts: str, uploaded: str
) -> None:
    sent = report(line("TXT", "No lesion."), service=order_code)
    (result,) = split_orders(sent, PROFILE).orders
    order = Order(order_code, body_parts=parts)
    conversion = convert(sent, result, visit(order_code), order, CLINIC_UPLOADS, PROFILE, RECEIVED)
    assert conversion.record.value("h25") == uploaded


def test_the_clinics_order_time_goes_before_the_labs() -> None:
    sent = replace(glucose(), ordered_at=at(1, 7, precision=Precision.MINUTE))
    assert converted(sent).record.value("h19") == "11403010700"
    ordered = Order("09005C", ordered_at=at(2, 8, 45).at)
    assert converted(sent, order=ordered).record.value("h19") == "1140302084500"


def test_doctors_are_named_by_national_id_or_by_their_institution() -> None:
    sent = replace(glucose(), ordering_provider_id=NATIONAL_ID, reporting_physician_id="DR-WANG")
    conversion = converted(sent)
    assert conversion.record.value("h17") == NATIONAL_ID
    assert conversion.record.header["h18"] == Field(LAB, "agreement.lab_code")
    local = replace(glucose(), ordering_provider_id="0042", reporting_physician_id=NATIONAL_ID)
    unnamed = converted(local, visited=visit("09005C", provider_id=""))
    assert unnamed.record.header["h17"] == Field(CLINIC, "visit.institution_code")
    assert unnamed.record.value("h18") == NATIONAL_ID


def test_the_person_who_did_the_test_is_named_by_a_national_id_only() -> None:
    assert row(converted(glucose(performer_id=NATIONAL_ID)))["r9"] == NATIONAL_ID
    assert row(converted(glucose(performer_id="TECH7")))["r9"] == LAB


def test_a_newborn_on_the_parents_card_is_carried_over_with_its_case() -> None:
    visited = visit("09005C", newborn_birth_on=date(2025, 2, 20), newborn_mark="a")
    record = converted(glucose(), visited=visited).record
    assert (record.value("h23"), record.value("h24")) == ("1140220", "a")


def test_visit_identifiers_belong_to_the_clinics_route() -> None:
    visited = visit("09005C", visit_identifier="A" * 20, original_visit_identifier="B" * 20)
    record = converted(glucose(), visited=visited).record
    assert (record.value("h28"), record.value("h29")) == ("A" * 20, "B" * 20)


def test_a_code_outside_the_list_is_assumed_to_be_of_type_1() -> None:
    sent = report(line("x", codings=(Coding("99999C", "New", "NHI"),)))
    conversion = converted(sent)
    assert conversion.record.header["h1"] == Field("1", "assumed:report-type")
    assert codes(conversion) == ["assumed-report-type"]


@pytest.mark.parametrize("value", ["105.0", "0105", ".5", "1e3", "５.６", "5_6", "1:40", "  7"])
def test_a_value_is_never_reformatted(value: str) -> None:
    assert row(converted(glucose(value=value)))["r4"] == value


def test_the_five_xml_specials_go_full_width() -> None:
    conversion = converted(glucose(value='<0.1 & "x"', unit="a>b"))
    assert row(conversion)["r4"] == "＜0.1 ＆ ”x”"
    assert row(conversion)["r5"] == "a＞b"


def test_a_character_without_a_big5_code_is_a_finding_with_its_place() -> None:
    conversion = converted(glucose(value="陰性😀"))
    assert row(conversion)["r4"] == "陰性😀"
    (finding,) = conversion.findings
    assert (finding.code, finding.field, finding.place) == (
        "unencodable-character",
        "r4",
        "OBX[1]",
    )


def test_known_substitutes_are_applied_to_output() -> None:
    sent = report(line("LEU", "neg"), service="06012C")
    assert row(converted(sent))["r2"] == "白血球酯脢"


def with_range(text: str, **more: Any) -> dict[str, str]:
    observed = line("GLU", "105", "mg/dL", reference=text, **more)
    return row(converted(report(observed, service="09005C")))


def test_one_sided_bounds_keep_their_comparator_on_their_side() -> None:
    upper = with_range("< 200")
    assert upper["r6-2"] == "＜ 200"
    assert "r6-1" not in upper
    lower = with_range("≧60")
    assert lower["r6-1"] == "≧60"
    assert "r6-2" not in lower


def test_a_textual_reference_stands_in_r6_1_alone() -> None:
    text = with_range("Negative")
    assert text["r6-1"] == "Negative"
    assert "r6-2" not in text


def test_bounds_in_another_unit_than_the_value_stay_with_their_unit() -> None:
    other = with_range("3.9-5.6 mmol/L")
    assert other["r6-1"] == "3.9-5.6 mmol/L"
    assert "r6-2" not in other
    assert "r12" not in other
    same = with_range("70-100 MG/DL")
    assert (same["r6-1"], same["r6-2"]) == ("70", "100")


def test_a_missing_reference_is_left_out_unless_the_profile_has_one() -> None:
    assert not {"r6-1", "r6-2", "r12"} & with_range("").keys()
    profile = replace(PROFILE, default_reference="無")
    conversion = converted(report(line("GLU", "105", "mg/dL"), service="09005C"), profile=profile)
    assert conversion.record.rows[0]["r6-1"] == Field("無", "profile.default_reference")


def test_units_methods_and_specimens_come_from_the_lab_or_the_profile() -> None:
    profile = replace(PROFILE, default_unit="無", default_method="EIA", default_specimen="血液")
    bare = report(line("GLU", "105"), service="09005C", specimen=Specimen("", at(2, 9)))
    conversion = converted(bare, profile=profile)
    fields = conversion.record.rows[0]
    assert fields["r5"] == Field("無", "profile.default_unit")
    assert fields["r3"] == Field("EIA", "profile.default_method")
    assert conversion.record.header["h22"] == Field("血液", "profile.default_specimen")
    said = converted(glucose(method="Hexokinase"), profile=profile)
    assert (row(said)["r3"], row(said)["r5"]) == ("Hexokinase", "mg/dL")
    assert said.record.value("h22") == "Serum"


def test_the_mark_is_left_out_where_it_cannot_be_known() -> None:
    assert "r12" not in with_range("Negative")
    assert with_range("70-110")["r12"] == "0"
    assert with_range("70-100")["r12"] == "1"


@pytest.mark.parametrize(
    ("code", "value", "answer"),
    [
        ("14051C", "Reactive", "1"),
        ("14051C", "Equivocal", "U"),
        ("14051C", "0.05", None),
        ("14084C", "陰", "0"),
        ("14084C", "Equivocal", None),
        ("12215C", "陽", "1"),
        ("14032C", "Reactive", None),
    ],
)
def test_positivity_is_given_for_the_four_codes_that_need_it(
    code: str, value: str, answer: str | None
) -> None:
    sent = report(line("x", value, codings=(Coding(code, "x", "NHI"),)))
    assert row(converted(sent)).get("r4-1") == answer


def test_an_image_report_is_r7_alone() -> None:
    sent = report(line("x", "Normal chest.", codings=(Coding("32001C", "CXR", "NHI"),)))
    conversion = converted(sent)
    assert conversion.record.value("h1") == "2"
    assert row(conversion) == {
        "r1": "1",
        "r7": "Normal chest.",
        "r10": "1140303102000",
        "r14": "1140303103015",
    }


def test_a_pathology_report_is_r8_1() -> None:
    sent = report(line("x", "Benign.", codings=(Coding("25003C", "Pathology", "NHI"),)))
    conversion = converted(sent)
    assert conversion.record.value("h1") == "3"
    assert (row(conversion)["r8-1"], row(conversion)["r2"]) == ("Benign.", "Pathology")
    assert not {"r4", "r5", "r7"} & row(conversion).keys()


def test_remarks_are_carried_where_they_fit_and_never_hold_a_result() -> None:
    assert row(converted(glucose(notes=("Hemolysis", "see\nbelow"))))["r11"] == (
        "Hemolysis see below"
    )
    for note in ("😀", "x" * 4001):
        conversion = converted(glucose(notes=(note,)))
        assert "r11" not in row(conversion)
        assert [(f.code, f.severity) for f in conversion.findings] == [
            ("remark-left-out", Severity.WARNING)
        ]


def test_a_programme_row_keeps_its_number_and_its_report_type() -> None:
    profile = replace(PROFILE, codes={"EYE": CodeLink("23501C", 101)})
    conversion = converted(report(line("EYE", "1")), profile=profile)
    assert conversion.record.header["h1"] == Field("2", "programme-items")
    assert row(conversion)["r1"] == "101"


def test_rows_stand_in_the_order_of_r1_whatever_the_order_of_the_lines() -> None:
    codes = {name: CodeLink("08011C", number) for number, name in enumerate(CBC, start=1)}
    profile = replace(PROFILE, codes=codes)
    backwards = [line(name, f"{number}.0") for number, name in enumerate(CBC, start=1)][::-1]
    rows = converted(report(*backwards), profile=profile).record.rows
    assert [each["r1"].value for each in rows] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert [each["r4"].value for each in rows] == [f"{number}.0" for number in range(1, 9)]


def test_an_order_without_final_lines_gives_a_record_without_rows() -> None:
    empty = OrderResult("09005C", ())
    conversion = convert(
        report(), empty, visit("09005C"), Order("09005C"), CLINIC_UPLOADS, PROFILE, RECEIVED
    )
    assert conversion.record.rows == ()


def test_a_birth_date_that_the_format_cannot_write_is_left_out() -> None:
    old = visit("09005C", birth_on=date(1800, 1, 1))
    sent = replace(glucose(), patient=Patient(NATIONAL_ID))
    assert "h10" not in converted(sent, visited=old).record.header


def test_the_upload_time_is_stamped_at_sealing() -> None:
    record = converted(glucose()).record
    assert "h16" not in record.header
    stamped = stamp_upload_time(record, datetime(2025, 3, 3, 16, 0, 1, tzinfo=UTC))
    assert stamped.header["h16"] == Field("1140304000001", "seal")
    assert stamped.rows == record.rows
