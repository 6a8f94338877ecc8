"""Each NHI code: a record that passes, and the smallest change that raises just that code."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mapping.finding import Severity
from mapping.record import Fields, UploadRecord
from mapping.rules import RuleContext, check_record
from tests.unit.upload_samples import CONTEXT, record_of, valid_record

IMAGING = {"h1": "2", "h15": "33070B", "h22": "", "h25": "H"}
IMAGING_ROW = dict.fromkeys(("r2", "r3", "r4", "r5", "r6-1", "r6-2", "r9", "r12"), "") | {
    "r1": "1",
    "r7": "無異常",
}
PATHOLOGY = {"h1": "3", "h15": "25004C"}
PATHOLOGY_ROW = dict.fromkeys(("r4", "r5", "r6-1", "r6-2", "r9", "r12"), "") | {
    "r1": "1",
    "r2": "組織病理",
    "r8-1": "良性",
}
HCV = {"h15": "14051C"}
HCV_ROW = {"r1": "1", "r2": "Ｃ型肝炎病毒抗體檢查", "r4": "(-)", "r4-1": "0", "r5": "S/CO"}
HEIGHT = {"h15": "Y00004"}
HEIGHT_ROW = {"r1": "1", "r2": "身高", "r4": "167.5", "r5": "cm", "r6-1": "無", "r6-2": ""}
RETINA = {"h1": "2", "h15": "23501C", "h22": ""}
RETINA_ROW = IMAGING_ROW | {"r1": "101", "r7": "1"}
IMPLANT = {"h1": "4", "h15": "64164B", "h22": ""}
IMPLANT_ROW = {"r1": "3", "r2": "ASA", "r3": "", "r4": "2", "r5": "", "r6-1": "", "r6-2": ""}
NEWBORN = {"h23": "1140101", "h24": "a"}
LAB_ROUTE = {"h2": "JY01234567", "h3": "50", "h26": "5", "h27": "3501234567", "h7": "Z000"}

Values = dict[str, str]


def errors(header: Values, row: Values, context: RuleContext = CONTEXT) -> list[tuple[str, ...]]:
    """All but D3: an order of implants is never whole with one row."""
    return [
        (finding.code, finding.field, finding.place)
        for finding in check_record(valid_record(header, row), context)
        if finding.severity is Severity.ERROR and finding.code != "D3"
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ({}, {}),
        (IMAGING, IMAGING_ROW),
        (PATHOLOGY, PATHOLOGY_ROW),
        (HCV, HCV_ROW),
        (HEIGHT, HEIGHT_ROW),
        (RETINA, RETINA_ROW),
        (IMPLANT, IMPLANT_ROW),
        (NEWBORN, {}),
        (LAB_ROUTE, {}),
        ({"h3": "21", "h11": "", "h26": "", "h13": "1140201"}, {}),
        ({"h7": "Z000", "h6": "AG"}, {}),
        ({"h7": "IC03"}, {}),
        ({"h7": "C001"}, {}),
        ({"h10": "-050304"}, {}),
        ({"h20": "11402030000"}, {"r10": "11402031511", "r14": "11402031512"}),
        ({"h16": "1140204090000"}, {}),
        ({}, {"r6-2": ""}),
        ({}, {"r6-1": "", "r6-2": "＜5"}),
        ({}, {"r1": "101"}),
    ],
)
def test_a_right_record_has_no_error(header: Values, row: Values) -> None:
    assert errors(header, row) == []


CHANGES: list[tuple[str, str, Values, Values, Values, Values]] = [
    # code, field, right header, right row, change of the header, change of the row
    ("01", "h7", {}, {}, {"h7": "002"}, {}),
    ("01", "h9", {}, {}, {"h9": ""}, {}),
    ("01", "h15", {}, {}, {"h15": "0801100000000"}, {}),
    ("01", "h11", {}, {}, {"h11": "11402031"}, {}),
    ("01", "h13", {"h3": "21", "h13": "1140201"}, {}, {"h13": ""}, {}),
    ("01", "h26", {}, {}, {"h26": ""}, {}),
    ("01", "h27", {"h26": "5", "h27": "3501234567"}, {}, {"h27": ""}, {}),
    ("01", "h22", {}, {}, {"h22": "血" * 101}, {}),
    ("01", "r2", {}, {}, {}, {"r2": ""}),
    ("01", "r4", {}, {}, {}, {"r4": ""}),
    ("01", "r5", {}, {}, {}, {"r5": ""}),
    ("01", "r3", {}, {}, {}, {"r3": "x" * 101}),
    ("01", "r7", IMAGING, IMAGING_ROW, {}, {"r7": ""}),
    ("01", "r8-1", PATHOLOGY, PATHOLOGY_ROW, {}, {"r8-1": ""}),
    ("01", "r4-1", HCV, HCV_ROW, {}, {"r4-1": ""}),
    ("02", "h1", {"h15": "Y99999"}, {}, {"h1": "5"}, {}),
    ("03", "h3", {}, {}, {"h3": "99"}, {}),
    ("03", "h9", {}, {}, {"h9": "a123456789"}, {}),
    ("03", "h24", NEWBORN, {}, {"h24": "1"}, {}),
    ("03", "h26", {}, {}, {"h26": "6"}, {}),
    ("03", "r9", {}, {}, {}, {"r9": "b123456780"}),
    ("03", "r4-1", HCV, HCV_ROW, {}, {"r4-1": "N"}),
    ("03", "r4-1", HCV | {"h15": "14084C"}, HCV_ROW | {"r4": "陰"}, {}, {"r4-1": "U"}),
    ("03", "r12", {}, {}, {}, {"r12": "2"}),
    ("03", "r7", RETINA, RETINA_ROW, {}, {"r7": "正常"}),
    ("04", "h5", {}, {}, {"h5": "11402031011"}, {}),
    ("04", "h10", {}, {}, {"h10": "1140230"}, {}),
    ("04", "h20", {}, {}, {"h20": "1140203251500"}, {}),
    ("04", "r10", {}, {}, {}, {"r10": "1140203"}),
    ("04", "h16", {}, {}, {"h16": "11402040900"}, {}),
    ("05", "r1", {}, {}, {}, {"r1": "A"}),
    ("05", "r12", {}, {}, {}, {"r12": "H"}),
    ("05", "r4", HEIGHT, HEIGHT_ROW, {}, {"r4": "＞200"}),
    ("06", "r1", {}, {}, {}, {"r1": "0"}),
    ("07", "r8-2", RETINA, RETINA_ROW, {}, {"r8-2": "續"}),
    ("07", "r5", IMPLANT, IMPLANT_ROW, {}, {"r5": "無"}),
    ("07", "r3", IMPLANT, IMPLANT_ROW, {}, {"r3": "L11"}),
    ("01", "r5", IMPLANT, IMPLANT_ROW | {"r1": "1", "r2": "BH", "r5": "cm"}, {}, {"r5": ""}),
    ("09", "r4", HEIGHT, HEIGHT_ROW, {}, {"r4": "167.53"}),
    ("10", "h4", {}, {}, {"h4": "11401"}, {}),
    ("11", "h23", NEWBORN, {}, {"h23": ""}, {}),
    ("12", "h24", NEWBORN, {}, {"h24": ""}, {}),
    ("13", "h23", NEWBORN, {}, {"h23": "1131204"}, {}),
    ("14", "r6-1", {}, {}, {}, {"r6-1": "", "r6-2": ""}),
    ("15", "h25", IMAGING, IMAGING_ROW, {"h25": ""}, {}),
    ("16", "h25", IMAGING, IMAGING_ROW, {"h25": "HZ"}, {}),
    ("21", "h6", {}, {}, {"h6": "XX"}, {}),
    ("23", "h7", {}, {}, {"h7": "12A4"}, {}),
    ("23", "h7", {}, {}, {"h7": "Z000"}, {}),
    ("24", "h8", {}, {}, {"h8": "3"}, {}),
    ("28", "h2", {}, {}, {"h2": "350123456-"}, {}),
    ("28", "h27", LAB_ROUTE, {}, {"h27": "350123456a"}, {}),
    ("30", "h1", PATHOLOGY, PATHOLOGY_ROW | {"r4": "x", "r5": "無", "r6-1": "無"}, {"h1": "1"}, {}),
    ("37", "h15", {}, {}, {"h15": "08011c"}, {}),
    ("half-width-special", "r4", {}, {}, {}, {"r4": "<5"}),
    ("unencodable-character", "r2", {}, {}, {}, {"r2": "酶"}),
    ("unencodable-character", "r11", {}, {}, {}, {"r11": "a\x07"}),
    ("unknown-field", "r6", {}, {}, {}, {"r6": "1-2"}),
    ("unknown-field", "h31", {}, {}, {"h31": "1"}, {}),
]


@pytest.mark.parametrize(("code", "field", "header", "row", "bad_header", "bad_row"), CHANGES)
def test_one_change_raises_just_its_code_on_just_its_field(
    code: str, field: str, header: Values, row: Values, bad_header: Values, bad_row: Values
) -> None:
    assert errors(header, row) == []
    place = "hdata" if field.startswith("h") else "rdata[1]"
    assert errors(header | bad_header, row | bad_row) == [(code, field, place)]


def test_the_second_row_is_named() -> None:
    record = valid_record()
    second = dict(record.rows[0])
    second["r1"] = replace(second["r1"], value="0")
    found = check_record(record_of_rows(record.rows[0], second), CONTEXT)
    assert [(finding.code, finding.place) for finding in found] == [("06", "rdata[2]")]


def record_of_rows(*rows: Fields) -> UploadRecord:
    return replace(valid_record(), rows=rows)


def test_h16_is_required_only_once_the_record_is_sealed() -> None:
    sealed = RuleContext(today=CONTEXT.today, sealed=True)
    assert errors({}, {}, sealed) == [("01", "h16", "hdata")]


def test_h16_must_be_the_upload_date() -> None:
    context = RuleContext(today=CONTEXT.today, upload_on=date(2025, 2, 4), sealed=True)
    assert errors({"h16": "1140204235959"}, {}, context) == []
    assert errors({"h16": "1140203235959"}, {}, context) == [("22", "h16", "hdata")]


def test_institutions_are_looked_up_only_in_an_imported_list() -> None:
    known = RuleContext(today=CONTEXT.today, institutions=frozenset(("3501234567",)))
    assert errors({}, {}, known) == []
    assert errors({"h2": "3501234568"}, {}, known) == [("28", "h2", "hdata")]
    assert errors({"h26": "3", "h27": "3501234568"}, {}, known) == [("28", "h27", "hdata")]


@pytest.mark.parametrize(
    ("validity", "found"),
    [
        ((date(2020, 1, 1), None), []),
        ((date(2020, 1, 1), date(2025, 2, 3)), []),
        ((date(2020, 1, 1), date(2025, 2, 2)), [("37", "h15", "hdata")]),
        ((date(2025, 2, 4), None), [("37", "h15", "hdata")]),
    ],
)
def test_an_imported_fee_schedule_decides_on_the_day_of_collection(
    validity: tuple[date, date | None], found: list[tuple[str, ...]]
) -> None:
    context = RuleContext(today=CONTEXT.today, order_codes={"08011C": validity})
    assert errors({}, {}, context) == found
    assert errors({"h15": "08012C"}, {}, context) == [("37", "h15", "hdata")]
    assert errors(HEIGHT, HEIGHT_ROW, context) == [], "virtual codes are not in a fee schedule"


@pytest.mark.parametrize(
    ("code", "field", "header", "row"),
    [
        ("national-id-checksum", "h9", {"h9": "A123456788"}, {}),
        ("order-code-not-listed", "h15", {"h15": "06999C"}, {}),
        ("expected-field-empty", "h22", {"h22": ""}, {}),
        ("expected-field-empty", "r9", {}, {"r9": ""}),
        ("future-date", "h20", {"h20": "1140205101500"}, {}),
        ("future-date", "r10", {}, {"r10": "1140205101500"}),
        ("length-between-counts", "r3", {}, {"r3": "法" * 26}),
        ("item-name-differs", "r2", {}, {"r2": "WBC"}),
        ("unit-not-listed", "r5", {}, {"r5": "g/L"}),
    ],
)
def test_what_is_only_worth_a_look_is_a_warning(
    code: str, field: str, header: Values, row: Values
) -> None:
    found = check_record(valid_record(header, row), CONTEXT)
    assert [(finding.code, finding.field, finding.severity) for finding in found] == [
        (code, field, Severity.WARNING)
    ]


def test_units_are_compared_without_case_spaces_and_width() -> None:
    row = {"r1": "3", "r2": "platelet血小板", "r4": "250", "r5": "10^3/μl"}
    assert check_record(valid_record({}, row), CONTEXT) == ()


def test_an_official_word_is_expected_where_the_table_names_words() -> None:
    header = {"h15": "14065C"}
    row = {"r1": "1", "r2": "流行感冒A型病毒抗原", "r4": "Negative", "r5": "無", "r6-1": "無"}
    found = check_record(valid_record(header, row), CONTEXT)
    assert [finding.code for finding in found] == ["result-word-not-listed"]


def test_a_field_that_is_expected_in_many_rows_is_one_finding() -> None:
    record = valid_record({}, {"r3": ""})
    other = {**record.rows[0], "r1": replace(record.rows[0]["r1"], value="3")}
    found = [
        finding
        for finding in check_record(record_of_rows(record.rows[0], other), CONTEXT)
        if finding.code == "expected-field-empty"
    ]
    assert [(finding.place, dict(finding.parameters)) for finding in found] == [
        ("rdata[1]", {"count": "2"})
    ]


def test_a_repeated_row_number_is_an_error_since_one_row_could_replace_another() -> None:
    row = valid_record().rows[0]
    found = check_record(record_of_rows(row, row), CONTEXT)
    assert [(finding.code, finding.place, finding.severity) for finding in found] == [
        ("repeated-row-number", "rdata[2]", Severity.ERROR)
    ]


def test_a_record_without_rows_is_an_error() -> None:
    assert [f.code for f in check_record(record_of_rows(), CONTEXT)] == ["no-rows"]


def test_an_empty_record_is_answered_with_findings() -> None:
    found = check_record(record_of({}, {}), CONTEXT)
    required = {finding.field for finding in found if finding.code == "01"}
    assert required == {
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "h7",
        "h8",
        "h9",
        "h10",
        "h15",
        "h20",
        "r1",
    }


def test_every_finding_has_a_sentence_in_both_languages() -> None:
    for *_, header, row, bad_header, bad_row in CHANGES:
        for finding in check_record(valid_record(header | bad_header, row | bad_row), CONTEXT):
            for text in (finding.message("en"), finding.message("zh"), finding.remedy("zh")):
                assert text
                assert "{" not in text
