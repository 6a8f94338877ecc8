"""Result files as CSV."""

from __future__ import annotations

from datetime import date

import pytest

from adapters.folder.formats.csv_layout import COLUMNS, HEADER_TEXTS, known_texts
from adapters.folder.formats.csv_results import read_csv
from mapping.errors import UnreadablePayload
from mapping.finding import Severity
from mapping.moment import Precision
from mapping.parsed import Content, ParsedPayload
from mapping.profile import CsvLayout, SourceProfile
from mapping.report import Coding, ObservationStatus, ReferenceRange, ReportStatus

PROFILE = SourceProfile("lab-a")
ID, OTHER_ID = "A123456789", "B223456786"
HEADER = "national_id,accession_number,order_code,item_code,value,status"


def read(text: str, profile: SourceProfile = PROFILE) -> ParsedPayload:
    return read_csv(text.encode(), profile)


def codes(parsed: ParsedPayload) -> list[str]:
    return [finding.code for finding in parsed.findings]


def test_all_columns_reach_their_places() -> None:
    cells = {
        "national_id": " a123456789 ",
        "birth_on": "0650401",
        "name": "測試　甲",
        "sex": "女",
        "clinic_code": "3501234567",
        "placer_order_number": "P-1",
        "accession_number": "0000123",
        "order_code": "09005C",
        "item_code": "GLU",
        "item_name": "Glucose (AC)",
        "value": "<0.50",
        "unit": "mg/dL",
        "reference": "70-100",
        "flag": "L",
        "status": "正式",
        "specimen": "Serum",
        "collected_at": "115/08/14 08:05",
        "received_at": "1150814100000",
        "reported_at": "2026-08-14T12:00:01+08:00",
        "method": "Hexokinase",
    }
    parsed = read(",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    assert (parsed.content, parsed.findings, parsed.kind) == (Content.REPORTS, (), "csv")
    (report,) = parsed.reports
    assert report.patient.national_id == ID
    assert report.patient.birth_on == date(1976, 4, 1)
    assert (report.patient.sex, report.patient.name) == ("F", "測試　甲")
    assert report.service == (Coding("09005C"),)
    assert (report.clinic_code, report.placer_order_number) == ("3501234567", "P-1")
    assert report.accession_number == "0000123"
    assert report.specimen.kind == "Serum"
    assert report.specimen.collected_at is not None
    assert report.specimen.collected_at.precision is Precision.MINUTE
    assert report.specimen.received_at is not None
    assert report.reported_at is not None
    assert report.reported_at.taipei.isoformat() == "2026-08-14T12:00:01+08:00"
    assert (report.status, report.place) == (ReportStatus.FINAL, "row 2")
    (line,) = report.observations
    assert line.codings == (Coding("GLU", "Glucose (AC)"),)
    assert (line.value, line.unit, line.method) == ("<0.50", "mg/dL", "Hexokinase")
    assert line.reference == ReferenceRange("70", "100", "", "70-100")
    assert (line.abnormal_flags, line.place) == (("L",), "row 2")


def test_chinese_headers_need_no_profile() -> None:
    parsed = read(
        "身分證號,生日,醫令代碼,檢驗項目,檢驗結果,單位,參考值下限,參考值上限,報告時間\n"
        f"{ID},0650401,09005C,飯前血糖,0095,mg/dL,70,100,1150814120000\n"
    )
    (report,) = parsed.reports
    (line,) = report.observations
    assert line.codings == (Coding("", "飯前血糖"),)
    assert (line.value, line.reference.low, line.reference.high) == ("0095", "70", "100")
    assert parsed.findings == ()


def test_every_default_header_text_means_one_column() -> None:
    texts = [text.casefold() for column in COLUMNS for text in (column, *HEADER_TEXTS[column])]
    assert len(texts) == len(set(texts))
    assert known_texts(texts) == len(texts)


def test_rows_that_share_patient_number_and_order_are_one_report() -> None:
    parsed = read(
        f"{HEADER}\n{ID},ACC0001,08011C,WBC,5.1,\n{OTHER_ID},ACC0002,09005C,,90,\n"
        f"{ID},ACC0001,08011C,RBC,4.4,\n{ID},ACC0001,09005C,,91,\n{ID},ACC0003,08011C,WBC,6,\n"
    )
    assert [(r.accession_number, r.place, len(r.observations)) for r in parsed.reports] == [
        ("ACC0001", "rows 2, 4", 2),
        ("ACC0002", "row 3", 1),
        ("ACC0001", "row 5", 1),
        ("ACC0003", "row 6", 1),
    ]


def test_rows_without_any_number_are_kept_apart_by_patient() -> None:
    parsed = read(f"national_id,order_code,value\n{ID},09005C,1\n{OTHER_ID},09005C,2\n")
    assert [report.patient.national_id for report in parsed.reports] == [ID, OTHER_ID]


def test_a_ragged_row_is_a_finding_and_the_others_go_on() -> None:
    parsed = read(f"{HEADER}\n{ID},ACC0001,09005C,,90\n{ID},ACC0001,09005C,,91,\n{ID}\n")
    assert [line.value for line in parsed.reports[0].observations] == ["91"]
    assert [(f.code, f.place) for f in parsed.findings] == [
        ("csv-ragged-row", "row 2"),
        ("csv-ragged-row", "row 4"),
    ]


def test_blank_rows_are_passed_over_and_rows_keep_their_numbers() -> None:
    parsed = read(f"{HEADER}\n\n,,,,,\n{ID},ACC0001,09005C,,90,\n\n")
    assert parsed.reports[0].place == "row 4"
    assert parsed.findings == ()


def test_a_line_end_inside_quotes_is_part_of_the_cell() -> None:
    parsed = read(f'{HEADER}\n{ID},ACC0001,09005C,,"a\r\nb",\n{ID},ACC0002,09005C,,2,\n')
    assert parsed.reports[0].observations[0].value == "a\r\nb"
    assert parsed.reports[1].place == "row 3"


@pytest.mark.parametrize(
    ("word", "status", "whole"),
    [
        ("", ObservationStatus.FINAL, ReportStatus.FINAL),
        ("F", ObservationStatus.FINAL, ReportStatus.FINAL),
        ("初步報告", ObservationStatus.PRELIMINARY, ReportStatus.PRELIMINARY),
        ("Preliminary", ObservationStatus.PRELIMINARY, ReportStatus.PRELIMINARY),
        ("更正", ObservationStatus.CORRECTED, ReportStatus.CORRECTED),
        ("取消", ObservationStatus.WITHDRAWN, ReportStatus.CANCELLED),
        ("X", ObservationStatus.NOT_DONE, ReportStatus.CANCELLED),
    ],
)
def test_status_words(word: str, status: ObservationStatus, whole: ReportStatus) -> None:
    (report,) = read(f"{HEADER}\n{ID},ACC0001,09005C,,90,{word}\n").reports
    assert (report.observations[0].status, report.status) == (status, whole)


def test_an_unknown_status_is_never_taken_as_final() -> None:
    parsed = read(f"{HEADER}\n{ID},ACC0001,09005C,,90,審核中\n")
    assert (parsed.content, parsed.reports) == (Content.NOTHING, ())
    assert codes(parsed) == ["csv-unknown-status"]


def test_one_preliminary_line_makes_the_report_preliminary() -> None:
    (report,) = read(f"{HEADER}\n{ID},ACC0001,08011C,A,1,F\n{ID},ACC0001,08011C,B,2,P\n").reports
    assert report.status is ReportStatus.PRELIMINARY


def test_a_date_that_cannot_be_read_is_a_finding_and_the_result_stays() -> None:
    parsed = read(f"national_id,order_code,value,reported_at\n{ID},09005C,90,14/08/26\n")
    assert parsed.reports[0].reported_at is None
    (finding,) = parsed.findings
    assert (finding.code, finding.value, finding.place) == ("csv-bad-date", "14/08/26", "row 2")
    assert "reported_at" in finding.message("zh")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("collected_at", "11/18/2026 09:10"),
        ("collected_at", "19000101"),
        ("birth_on", "2/1/1970"),
    ],
)
def test_an_unreadable_needed_time_is_an_error_at_the_place_of_its_report(
    column: str, text: str
) -> None:
    rows = [f"{ID},09005C,90,", f"{ID},08011C,1,{text}", f"{ID},08011C,2,{text}"]
    parsed = read("\n".join([f"national_id,order_code,value,{column}", *rows]) + "\n")
    assert [report.place for report in parsed.reports] == ["row 2", "rows 3-4"]
    (finding,) = parsed.findings
    assert (finding.code, finding.place) == ("csv-bad-date", "rows 3-4")
    assert finding.severity is Severity.ERROR
    assert parsed.reports[1].specimen.collected_at is None
    assert parsed.reports[1].patient.birth_on is None


def test_no_error_of_a_report_is_lost_among_many_findings() -> None:
    rows = [f"{ID},ACC{number:06},09005C,90,1970-01-02" for number in range(1500)]
    bad = [f"{row}x" for row in rows]
    text = "national_id,accession_number,order_code,value,birth_on,\n"
    parsed = read(text + "".join(f"{row},\n" for row in bad))
    places = {finding.place for finding in parsed.findings}
    assert len(parsed.reports) == 1500
    assert all(report.place in places for report in parsed.reports)


def test_a_malformed_national_id_is_left_out_and_said() -> None:
    parsed = read(f"{HEADER}\nA12345678,ACC0001,09005C,,90,\n")
    assert parsed.reports[0].patient.national_id == ""
    assert codes(parsed) == ["csv-bad-national-id"]


def test_malformed_ids_of_two_people_are_not_poured_together() -> None:
    parsed = read(f"{HEADER}\nA1,ACC0001,09005C,,90,\nB2,ACC0001,09005C,,91,\n")
    assert len(parsed.reports) == 2


def test_a_result_of_nobody_is_not_used() -> None:
    parsed = read(f"{HEADER}\n,,09005C,,90,\n")
    assert (parsed.reports, codes(parsed)) == ((), ["csv-no-patient"])


def test_a_number_shared_by_two_people_stops_the_results_of_both() -> None:
    parsed = read(
        f"{HEADER}\n{ID},ACC0001,09005C,,90,\n{OTHER_ID},ACC0001,09005C,,91,\n"
        f"{ID},ACC0002,09005C,,92,\n"
    )
    assert [report.accession_number for report in parsed.reports] == ["ACC0002"]
    assert codes(parsed) == ["csv-patient-conflict", "csv-patient-conflict"]


def test_a_short_daily_number_may_name_two_people() -> None:
    parsed = read(f"{HEADER}\n{ID},1,09005C,,90,\n{OTHER_ID},1,09005C,,91,\n")
    assert len(parsed.reports) == 2


def test_a_row_without_any_item_is_a_finding() -> None:
    assert codes(read(f"{HEADER}\n{ID},ACC0001,,,90,\n")) == ["csv-no-item"]


def test_a_formula_cell_is_not_read_as_a_value() -> None:
    parsed = read(f'{HEADER}\n{ID},ACC0001,09005C,,"=""0012""",\n')
    assert (parsed.reports, codes(parsed)) == ((), ["csv-formula-cell"])


def test_an_unknown_sex_is_left_out_with_a_warning() -> None:
    parsed = read(f"national_id,order_code,value,sex\n{ID},09005C,90,?\n")
    assert parsed.reports[0].patient.sex == ""
    assert [(f.code, f.severity) for f in parsed.findings] == [
        ("csv-unknown-sex", Severity.WARNING)
    ]


def test_a_column_without_meaning_is_told() -> None:
    parsed = read(f"national_id,order_code,value,審核者\n{ID},09005C,90,x\n")
    assert [(f.code, f.value, f.severity) for f in parsed.findings] == [
        ("csv-column-ignored", "審核者", Severity.INFORMATION)
    ]


def test_a_reference_by_sex_is_read_for_the_patients_sex() -> None:
    text = "national_id,order_code,value,sex,reference\n{},08003C,12,{},男:13-17 女:12-15\n"
    assert read(text.format(ID, "M")).reports[0].observations[0].reference.low == "13"
    assert read(text.format(ID, "F")).reports[0].observations[0].reference.low == "12"


def test_a_file_with_a_header_alone_says_so() -> None:
    parsed = read(f"{HEADER}\n")
    assert (parsed.content, codes(parsed)) == (Content.NOTHING, ["csv-no-rows"])


def test_findings_of_a_hopeless_file_are_bounded() -> None:
    parsed = read(f"{HEADER}\n" + "x\n" * 5000)
    assert len(parsed.findings) == 1001
    assert parsed.findings[-1].message() == "There are 4000 more findings of this file."


# The header


@pytest.mark.parametrize(
    "header",
    [
        "national_id,order_code,value,value",
        "national_id,order_code,value,VALUE ",
        "national_id,order_code,value,結果",
        "national_id,order_code,value,x,x",
        "national_id,order_code",
        "order_code,value",
        "national_id,value",
        "A123456789,09005C,90",
        "",
    ],
)
def test_an_unusable_header_is_refused_without_quoting_it(header: str) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        read(f"{header}\n{ID},09005C,90\n")
    for language in ("en", "zh"):
        text = caught.value.sentence(language) + caught.value.remedy(language)
        assert ID not in text
        assert "{" not in text


def test_two_empty_header_texts_are_no_duplicates() -> None:
    parsed = read(f"national_id,order_code,value,,\n{ID},09005C,90,,\n")
    assert (len(parsed.reports), parsed.findings) == (1, ())


# The profile


def test_a_profile_names_the_header_texts_of_a_source() -> None:
    columns = {"national_id": "PID", "item_code": "TEST", "value": "RES", "status": "單位"}
    profile = SourceProfile("lab-a", csv=CsvLayout(columns, "big5", ";"))
    raw = f"PID;TEST;RES;單位;醫令代碼\n{ID};GLU;90,5;初步;09005C\n".encode("cp950")
    (report,) = read_csv(raw, profile).reports
    assert report.observations[0].value == "90,5"
    assert report.observations[0].unit == ""
    assert report.status is ReportStatus.PRELIMINARY


def test_a_column_that_the_profile_names_must_be_there() -> None:
    profile = SourceProfile("lab-a", csv=CsvLayout({"status": "STATE"}))
    with pytest.raises(UnreadablePayload, match="status"):
        read("national_id,order_code,value,status\n", profile)


# The encoding

CHINESE = f"身分證號,醫令代碼,檢驗結果\n{ID},09005C,陰性\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp950"])
def test_an_encoding_is_proved_by_mark_by_utf_8_or_by_a_chinese_header(codec: str) -> None:
    (report,) = read_csv(CHINESE.encode(codec), PROFILE).reports
    assert report.observations[0].value == "陰性"


def test_big5_under_english_headers_must_be_declared() -> None:
    raw = f"national_id,order_code,value\n{ID},09005C,陰性\n".encode("cp950")
    with pytest.raises(UnreadablePayload) as caught:
        read_csv(raw, PROFILE)
    assert caught.value.parameters["place"] == "line 2"
    declared = SourceProfile("lab-a", csv=CsvLayout(encoding="Big5"))
    assert read_csv(raw, declared).reports[0].observations[0].value == "陰性"


def test_bytes_that_are_text_in_two_encodings_are_refused() -> None:
    # U+00B7 in UTF-8 is also one Big5 character.
    raw = f"national_id,order_code,value\n{ID},09005C,".encode() + b"\xc2\xb7\n"
    assert raw.decode("cp950") != raw.decode("utf-8")
    with pytest.raises(UnreadablePayload) as caught:
        read_csv(raw, SourceProfile("lab-a", csv=CsvLayout(encoding="big5")))
    assert caught.value.code == "text-undecodable"
    assert read_csv(raw, PROFILE).reports[0].observations[0].value == "·"


@pytest.mark.parametrize("broken", [b"\x81", b"\xff\xfe\x00", b"\xef\xbb\xbf\xff"])
def test_one_byte_that_is_no_text_refuses_the_file(broken: bytes) -> None:
    with pytest.raises(UnreadablePayload):
        read_csv(broken + CHINESE.encode(), PROFILE)


def test_an_unknown_encoding_in_the_profile_is_said() -> None:
    profile = SourceProfile("lab-a", csv=CsvLayout(encoding="klingon"))
    with pytest.raises(UnreadablePayload, match="unknown encoding"):
        read_csv(CHINESE.encode(), profile)


@pytest.mark.parametrize("text", ['a,"b', 'a,"b"c\n', f'{HEADER}\n"x'])
def test_broken_quoting_refuses_the_file_with_the_line(text: str) -> None:
    with pytest.raises(UnreadablePayload, match="line"):
        read(text)


def test_big5_trail_bytes_that_look_like_delimiters_stay_in_their_characters() -> None:
    value = "功|育\\回才許蓋"
    raw = f'身分證號|醫令代碼|檢驗結果\n{ID}|09005C|"{value}"\n'.encode("cp950")
    profile = SourceProfile("lab-a", csv=CsvLayout(encoding="cp950", delimiter="|"))
    assert read_csv(raw, profile).reports[0].observations[0].value == value
