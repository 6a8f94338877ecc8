from __future__ import annotations

import pytest

from adapters.hl7.identity import is_institution_code, national_form
from mapping.profile import Hl7Dialect
from mapping.report import Patient
from tests.hl7_samples import (
    CLINIC,
    LAB,
    MSH,
    NATIONAL_ID,
    OBR,
    OBX,
    ORC,
    PID,
    codes,
    message,
    profile,
    read,
    read_report,
    with_fields,
)


def patient(pid: str, dialect: Hl7Dialect | None = None) -> Patient:
    return read_report(message(MSH, pid, OBR, OBX), profile(dialect=dialect)).patient


@pytest.mark.parametrize(
    "field",
    [
        "A123456789^^^MOI^NNTWN",
        "A123456789^^^MOI^NI",
        "000123^^^LAB^MR~A123456789^^^MOI^NNTWN",
        "a123456789",
        " A123456789 ",
        "A123456789^^^LAB^MR",
        "H987654321^^^LAB^MR~A123456789^^^MOI^NI",
    ],
)
def test_the_national_id_is_found_among_the_identifiers(field: str) -> None:
    assert patient(with_fields(PID, f3=field)).national_id == NATIONAL_ID


@pytest.mark.parametrize("permit", ["AD12345671", "A800000014"])
def test_residence_permits_are_found_in_both_forms(permit: str) -> None:
    assert patient(with_fields(PID, f3=f"{permit}^^^NIA^PRC")).national_id == permit


@pytest.mark.parametrize("number", [2, 4, 19])
def test_the_national_id_is_found_where_old_senders_put_it(number: int) -> None:
    pid = with_fields(PID, f3="000123^^^LAB^MR", **{f"f{number}": NATIONAL_ID})
    assert patient(pid).national_id == NATIONAL_ID
    assert patient(pid).chart_number == "000123"


def test_a_chart_number_in_the_form_of_an_id_needs_its_checksum() -> None:
    pid = with_fields(PID, f3="A100000000^^^LAB^MR")
    assert patient(pid).national_id == ""
    assert patient(pid).chart_number == "A100000000"


def test_a_failed_checksum_under_a_national_type_is_not_ours_to_judge() -> None:
    assert patient(with_fields(PID, f3="A100000000^^^MOI^NNTWN")).national_id == "A100000000"


def test_a_missing_national_id_is_told() -> None:
    parsed = read(message(MSH, with_fields(PID, f3="000123^^^LAB^MR"), OBR, OBX))
    assert codes(parsed) == {"hl7-no-national-id": "PID[1]-3"}


def test_a_dialect_names_another_place() -> None:
    pid = with_fields(PID, f3="", f27="A123456789")
    assert patient(pid).national_id == ""
    assert patient(pid, Hl7Dialect(national_id=("PID-27",))).national_id == NATIONAL_ID


@pytest.mark.parametrize("place", ["", "PID", "PID-", "pid-3", "PID-3-4", "ZZZ-1", "PID-999.99"])
def test_a_place_that_is_none_is_no_fault(place: str) -> None:
    assert patient(PID, Hl7Dialect(national_id=(place,))).national_id == NATIONAL_ID


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("王^小明", "王小明"),
        ("王小明", "王小明"),
        ("WANG^XIAO-MING", "WANG XIAO-MING"),
        ("WANG&van&WANG^X", "WANG X"),
        ("王^小明~WANG^XIAO-MING", "王小明"),
        ("^小明", "小明"),
        ("Müller^Jörg", "Müller Jörg"),
        ("", ""),
    ],
)
def test_names_are_written_as_people_write_them(field: str, name: str) -> None:
    assert patient(with_fields(PID, f5=field)).name == name


@pytest.mark.parametrize(
    ("field", "sex"),
    [("M", "M"), ("f", "F"), ("男", "M"), ("女", "F"), ("U", ""), ("1", ""), ("", "")],
)
def test_sex_is_male_female_or_unsaid(field: str, sex: str) -> None:
    assert patient(with_fields(PID, f8=field)).sex == sex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3501200000", True),
        ("JY12345678", True),
        ("012345A678", True),
        ("LABBROKER1", False),
        ("350120000", False),
        ("３５０１２０００００", False),
        ("jy12345678", False),
    ],
)
def test_institution_codes_are_told_by_their_form(text: str, expected: bool) -> None:
    assert is_institution_code(text) is expected


def test_national_form_is_upper_case_or_nothing() -> None:
    assert national_form(" a123456789 ") == NATIONAL_ID
    assert national_form("A12345678") == ""
    assert national_form("Ａ123456789") == ""
    assert national_form("ABC1234567") == ""


ORC_21 = with_fields(ORC, f21="光明診所^^^^^^^^^3501200111")


@pytest.mark.parametrize(
    ("segments", "clinic"),
    [
        ((MSH, PID, ORC_21, OBR, OBX), "3501200111"),
        ((MSH, PID, with_fields(ORC, f21="光明診所^^C-7"), OBR, OBX), "3501200222"),
        ((MSH, PID, with_fields(ORC, f21="光明診所^^C-8"), OBR, OBX), "C-8"),
        ((MSH, PID, with_fields(ORC, f21="光明診所"), OBR, OBX), CLINIC),
        ((with_fields(MSH, f6="3501200333"), PID, ORC, OBR, OBX), "3501200333"),
        ((with_fields(MSH, f5="CLINIC7"), PID, ORC, OBR, OBX), "3501200444"),
        ((MSH, PID, "PV1|1|O|^^^3501200555", ORC, OBR, OBX), "3501200555"),
        ((MSH, PID, "PV1|1|O|^^^WARD 5", ORC, OBR, OBX), CLINIC),
    ],
)
def test_the_ordering_clinic_is_the_surest_that_is_named(
    segments: tuple[str, ...], clinic: str
) -> None:
    known = {"C-7": "3501200222", "CLINIC7": "3501200444"}
    assert read_report(message(*segments), profile(clinics=known)).clinic_code == clinic


def test_a_dialect_names_the_place_of_clinic_and_lab() -> None:
    dialect = Hl7Dialect(clinic_code=("OBR-18",), lab_code=("OBR-20",))
    obr = with_fields(OBR, f18="C-7", f20="9400000001")
    report = read_report(
        message(MSH, PID, ORC_21, obr, OBX), profile(clinics={"C-7": CLINIC}, dialect=dialect)
    )
    assert (report.clinic_code, report.lab_code) == (CLINIC, "9400000001")


@pytest.mark.parametrize(
    ("header", "obx", "lab"),
    [
        (MSH, with_fields(OBX, f23="大安檢驗所^^^^^^^^^9400000002"), "9400000002"),
        (MSH, with_fields(OBX, f15="9400000003"), "9400000003"),
        (with_fields(MSH, f4="9400000004^x"), OBX, "9400000004"),
        (with_fields(MSH, f4="大安檢驗所"), OBX, LAB),
    ],
)
def test_the_laboratory_is_named_by_code_or_by_the_profile(header: str, obx: str, lab: str) -> None:
    assert read_report(message(header, PID, OBR, obx)).lab_code == lab


def test_the_ordering_physician_is_the_one_with_a_national_id() -> None:
    obr = with_fields(OBR, f16="D007^李~F123456783^李", f32="E123456781&陳")
    report = read_report(message(MSH, PID, with_fields(ORC, f12="X1"), obr, OBX))
    assert report.ordering_provider_id == "F123456783"
    assert report.reporting_physician_id == "E123456781"
    only_orc = read_report(message(MSH, PID, with_fields(ORC, f12="D007^李"), OBR, OBX))
    assert only_orc.ordering_provider_id == "D007"
