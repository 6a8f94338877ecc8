from __future__ import annotations

import pytest

from mapping.report import Coding, ReferenceRange
from tests.hl7_samples import (
    OBX,
    codes,
    observation_segment,
    read,
    read_observation,
    read_report,
    result,
    with_fields,
)


@pytest.mark.parametrize(
    ("value_type", "field", "value"),
    [
        ("NM", "007.50", "007.50"),
        ("NM", " 5.4 ", "5.4"),
        ("NM", "1e3", "1e3"),
        ("ST", "<0.1", "<0.1"),
        ("ST", "3~5", "3~5"),
        ("ST", "10^3", "10^3"),
        ("ST", "A & B", "A & B"),
        ("ST", r"10\S\3", "10^3"),
        ("ST", '""', ""),
        ("", "陰性", "陰性"),
        ("SN", "^182", "182"),
        ("SN", "=^0.5", "0.5"),
        ("SN", "<^0.10", "<0.10"),
        ("SN", ">=^32", ">=32"),
        ("SN", "^1^:^128", "1:128"),
        ("SN", "^10^-^20", "10-20"),
        ("SN", "^2^+", "2+"),
        ("SN", "<5", "<5"),
        ("SN", "=", "="),
        ("TX", "line one~line two", "line one\nline two"),
        ("TX", "3~5 /HPF", "3~5 /HPF"),
        ("FT", r"one\.br\two", "one\ntwo"),
        ("CE", "260415000^Not detected^SCT", "Not detected"),
        ("CWE", "POS^^L", "POS"),
        ("CWE", "^^^NEG^Negative^L", "Negative"),
        ("CWE", "^^^^^^^^seen by eye", "seen by eye"),
        ("CWE^^HL70125", "A^Positive", "Positive"),
        ("ce", "A^Positive", "Positive"),
        ("DT", "20260321", "20260321"),
        ("TM", "0830", "0830"),
        ("TS", "20260321083000^S", "20260321083000"),
        ("CQ", "5^mg", "5"),
        ("XCN", "1^Wang", "1^Wang"),
    ],
)
def test_values_are_texts_as_the_lab_wrote_them(value_type: str, field: str, value: str) -> None:
    assert read_observation(f2=value_type, f5=field).value == value


def test_the_value_type_is_told_without_its_decoration() -> None:
    assert read_observation(f2="CWE^^HL70125", f5="A").value_type == "CWE"


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("mg/dL", "mg/dL"),
        (" umol/L ", "umol/L"),
        ("^umol/L", "umol/L"),
        ("mg/dL^milligram per decilitre^UCUM", "mg/dL"),
        ("266016^mmHg^MDC", "mmHg"),
        (r"10\S\3/uL", "10^3/uL"),
        ("%", "%"),
        ("", ""),
        ('""', ""),
    ],
)
def test_units_are_found_in_either_component(field: str, unit: str) -> None:
    assert read_observation(f6=field).unit == unit


def test_the_unit_of_a_composite_quantity_is_its_own() -> None:
    assert read_observation(f2="CQ", f5="5^mg", f6="").unit == "mg"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("70-100", ReferenceRange("70", "100", "", "70-100")),
        ("35-150^35^150", ReferenceRange("35", "150", "", "35-150")),
        ("Negative", ReferenceRange(text="Negative", raw="Negative")),
        ("", ReferenceRange()),
        ('""', ReferenceRange()),
    ],
)
def test_reference_ranges_are_read_from_the_first_component(
    field: str, expected: ReferenceRange
) -> None:
    assert read_observation(f7=field).reference == expected


def test_an_endless_reference_text_stays_text() -> None:
    long = "輕：31-49，" * 100
    assert read_observation(f7=long).reference == ReferenceRange(text=long, raw=long)


@pytest.mark.parametrize(
    ("field", "flags"),
    [
        ("H", ("H",)),
        ("H~N", ("H", "N")),
        ("A^Abnormal^HL70078", ("A",)),
        ("^^^^^^2.7", ()),
        ('""', ()),
        ("", ()),
    ],
)
def test_abnormal_flags_are_codes(field: str, flags: tuple[str, ...]) -> None:
    assert read_observation(f8=field).abnormal_flags == flags


def test_codes_names_and_alternates_are_kept() -> None:
    observation = read_observation(f3="1^名稱^L^2345-7^Glucose^LN")
    assert observation.codings == (Coding("1", "名稱", "L"), Coding("2345-7", "Glucose", "LN"))
    assert read_observation(f3="^name only").codings == (Coding("", "name only"),)


def test_sub_id_method_and_times_are_read() -> None:
    observation = read_observation(
        f4="1.2", f14="20260321080000", f17="02^Hexokinase^L", f19="202603210900"
    )
    assert (observation.sub_id, observation.method) == ("1.2", "Hexokinase")
    assert observation.observed_at is not None
    assert observation.analysed_at is not None


@pytest.mark.parametrize(
    ("field", "performer"),
    [
        ("A123456789^王^大同", "A123456789"),
        ("007~a123456789", "A123456789"),
        ("AD12345678", "AD12345678"),
        ("C^0^AAA^low^high", ""),
        ("007", ""),
    ],
)
def test_the_performer_is_a_national_id_or_nothing(field: str, performer: str) -> None:
    assert read_observation(f16=field).performer_id == performer


def test_rows_of_one_running_text_are_one_observation() -> None:
    text = with_fields(OBX, f2="TX", f6="", f7="", f8="")
    report = read_report(
        result(
            with_fields(text, f5="Smear:"), with_fields(text, f5=""),
            with_fields(text, f5="normal"), "NTE|1||checked",
        )
    )  # fmt: skip
    (observation,) = report.observations
    assert observation.value == "Smear:\n\nnormal"
    assert observation.notes == ("checked",)
    assert observation.place == "OBX[1]"


@pytest.mark.parametrize(
    "other",
    [{"f3": "X^other"}, {"f4": "2"}, {"f11": "C"}, {"f2": "FT"}, {"f6": "mg"}],
)
def test_rows_that_differ_stay_apart(other: dict[str, str]) -> None:
    text = with_fields(OBX, f2="TX", f6="")
    assert len(read_report(result(text, with_fields(text, **other))).observations) == 2


def test_numbers_of_the_same_code_stay_apart() -> None:
    assert len(read_report(result(OBX, OBX)).observations) == 2


@pytest.mark.parametrize(
    ("fields", "code", "place"),
    [
        ({"f2": "MED"}, "hl7-value-type", "OBX[1]-2"),
        ({"f5": ""}, "hl7-no-value", "OBX[1]-5"),
        ({"f5": "1~2"}, "hl7-repeated-value", "OBX[1]-5"),
        ({"f2": "CE", "f5": "A^a~B^b"}, "hl7-repeated-value", "OBX[1]-5"),
        ({"f11": "1"}, "hl7-status", "OBX[1]-11"),
        ({"f19": "morning"}, "hl7-time", "OBX[1]-19"),
    ],
)
def test_what_is_odd_is_told_and_the_line_is_kept(
    fields: dict[str, str], code: str, place: str
) -> None:
    parsed = read(result(observation_segment(**fields)))
    assert codes(parsed) == {code: place}
    assert len(parsed.reports[0].observations) == 1


def test_several_coded_values_are_one_text() -> None:
    assert read_observation(f2="CE", f5="A^Amoxicillin~B^Penicillin").value == (
        "Amoxicillin~Penicillin"
    )


def test_a_document_is_no_value() -> None:
    parsed = read(result(OBX, with_fields(OBX, f2="ED", f5="^AP^PDF^Base64^JVBERi0=")))
    assert codes(parsed) == {"hl7-attachment": "OBX[2]-5"}
    assert len(parsed.reports[0].observations) == 1


def test_a_line_without_a_value_is_no_surprise_where_nothing_was_done() -> None:
    assert codes(read(result(with_fields(OBX, f5="", f11="X")))) == {}
