"""The reader of the printed check report: ruler, pages, wrapped text, flags, codes."""

from __future__ import annotations

import pytest

from adapters.nhi.check_report import UnreadableCheckReport, open_verdict, read_check_report
from adapters.nhi.report_columns import Columns, Measure, is_ruler, likelier_measure
from adapters.nhi.report_layout import PUBLISHED_ROWS, SHAPES, rows_of_labels, tag_of
from broker.sandbox.printing import PrintedLayout, PrintedRecord, print_report

VALUES = {
    "h1": "1",
    "h2": "3501234567",
    "h3": "11",
    "h4": "11511",
    "h5": "1151122080000",
    "h6": "01",
    "h7": "002",
    "h8": "1",
    "h9": "A123456789",
    "h10": "0690101",
    "h15": "06012C",
    "h16": "1151122100000",
    "h20": "11511220900",
    "h22": "尿液",
    "r1": "3",
    "r2": "蛋白",
    "r4": "陰性 (-)",
    "r5": "無",
    "r6-1": "(-)",
    "r12": "0",
    "r14": "1151122095900",
    "h26": "4",
}
BAD = PrintedRecord(VALUES, frozenset(("h7",)), "01")


def printed(
    *records: PrintedRecord, correct: bool = False, layout: PrintedLayout | None = None
) -> str:
    return print_report("3501234567", "1151122", "1151122000017", records, correct, layout)


def values_of(text: str) -> list[dict[str, str]]:
    return [dict(record.values) for record in read_check_report(text).records]


def test_a_record_is_read_to_the_field() -> None:
    report = read_check_report(printed(BAD))
    (record,) = report.records
    assert dict(record.values) == VALUES
    assert record.flagged == ("h7",)
    assert (record.error_code, record.row_number) == ("01", "3")
    assert (report.institution_code, report.uploaded_on) == ("3501234567", "1151122")
    assert report.receipt_number == "1151122000017"
    assert report.unknown_lines == ()
    assert not report.accepted


def test_the_report_of_correct_records_has_no_codes() -> None:
    report = read_check_report(printed(PrintedRecord(VALUES), correct=True))
    assert report.accepted
    assert report.records[0].error_code == ""
    assert dict(report.records[0].values) == VALUES


def test_many_pages_and_records_cut_by_a_page_end_are_one_list() -> None:
    for length in (11, 12, 13, 29, 60):
        for split in (True, False):
            layout = PrintedLayout(page_length=length, split_records=split)
            text = printed(*[BAD] * 7, layout=layout)
            assert values_of(text) == [VALUES] * 7


def test_an_empty_line_after_the_form_feed_and_bare_line_feeds_are_let_pass() -> None:
    text = printed(*[BAD] * 9, layout=PrintedLayout(page_length=24))
    assert values_of(text.replace("\f", "\f\r\n")) == [VALUES] * 9
    assert values_of(text.replace("\r\n", "\n")) == [VALUES] * 9


def test_a_repeated_header_without_form_feed_is_no_data() -> None:
    text = printed(*[BAD] * 9, layout=PrintedLayout(page_length=17, split_records=True))
    assert values_of(text.replace("\f", "")) == [VALUES] * 9


def test_wrapped_text_is_joined_and_the_code_is_found_after_it() -> None:
    long = {**VALUES, "r2": "蛋白質" * 30, "r4": "x" * 90, "r11": "備註" * 40, "h22": "尿" * 10}
    (record,) = read_check_report(printed(PrintedRecord(long, frozenset(("r4",)), "01"))).records
    assert dict(record.values) == long
    assert record.flagged == ("r4",)
    assert record.error_code == "01"


def test_cut_values_come_back_cut() -> None:
    long = {**VALUES, "r2": "蛋白質" * 30}
    layout = PrintedLayout(wrap=False)
    (found,) = values_of(printed(PrintedRecord(long), layout=layout))
    assert found["r2"] == ("蛋白質" * 30)[:10]


def test_columns_counted_in_characters_are_read_too() -> None:
    layout = PrintedLayout(wide=False)
    assert values_of(printed(BAD, BAD, layout=layout)) == [VALUES] * 2


def test_a_flag_without_a_value_is_kept() -> None:
    values = {tag: value for tag, value in VALUES.items() if tag != "r6-1"}
    (record,) = read_check_report(
        printed(PrintedRecord(values, frozenset(("r6-1",)), "14"))
    ).records
    assert record.flagged == ("r6-1",)
    assert "r6-1" not in record.values


def test_a_star_in_the_gap_before_a_cell_counts_as_its_flag() -> None:
    line = next(line for line in printed(BAD).split("\r\n") if "*002" in line)
    moved = printed(BAD).replace(line, line.replace(" *002", "* 002"))
    assert read_check_report(moved).records[0].flagged == ("h7",)


def test_several_codes_of_a_record_are_one_record_each() -> None:
    text = printed(BAD).replace("\r\n   01\r\n", "\r\n   01 14\r\n")
    assert [record.error_code for record in read_check_report(text).records] == ["01", "14"]


def test_the_report_of_2019_with_eight_rows_and_unknown_labels_is_read() -> None:
    lines = printed(BAD).split("\r\n")
    gone = [n for n, line in enumerate(lines) if line.strip() == "4"]
    old = ["   ？" if "報告類別" in line else line for n, line in enumerate(lines) if n not in gone]
    assert len(old) == len(lines) - 1
    expected = {tag: value for tag, value in VALUES.items() if tag != "h26"}
    assert values_of("\r\n".join(old)) == [expected]


def test_printed_labels_decide_over_the_published_order() -> None:
    text = printed(BAD)
    first = next(line for line in text.split("\r\n") if "報告類別" in line)
    swapped = (
        first.replace("醫事類別", "＃").replace("就醫類別", "醫事類別").replace("＃", "就醫類別")
    )
    found = values_of(text.replace(first, swapped))[0]
    assert (found["h3"], found["h6"]) == ("01", "11")


def test_lines_that_belong_to_no_record_are_kept() -> None:
    report = read_check_report(printed(BAD) + "錯誤註記說明：\r\n01- 資料長度不正確\r\n")
    assert report.unknown_lines == ("錯誤註記說明：", "01- 資料長度不正確")
    assert len(report.records) == 1


def test_a_report_cut_off_in_a_record_keeps_the_rest_as_unknown() -> None:
    text = printed(BAD, BAD)
    torn = text[: text.rindex("*002")]
    report = read_check_report(torn)
    assert len(report.records) == 1
    assert report.unknown_lines


def test_a_record_with_lines_missing_keeps_its_key_and_its_code() -> None:
    lines = printed(BAD).split("\r\n")
    row = next(n for n, line in enumerate(lines) if "陰性 (-)" in line)
    report = read_check_report("\r\n".join(lines[:row] + lines[row + 3 :]))
    (record,) = report.records
    assert record.values["h9"] == "A123456789"
    assert record.values["h15"] == "06012C"
    assert record.error_code == "01"
    assert report.unknown_lines


@pytest.mark.parametrize(
    "text", ["", "\f\f", "no ruler here", "x" * 5000, "===\r\n", "  === ===\r\n\r\n" + "-" * 133]
)
def test_what_is_no_check_report_is_told_so(text: str) -> None:
    with pytest.raises(UnreadableCheckReport) as refusal:
        read_check_report(text)
    assert "14" in refusal.value.remedy()


def test_a_plain_text_file_is_a_verdict_too() -> None:
    (report,) = open_verdict(printed(BAD).encode("cp950"), "")
    assert dict(report.records[0].values) == VALUES


SECOND = PrintedRecord({**VALUES, "h9": "B123456780", "r1": "1"}, frozenset(("h7",)), "24")


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xff", b"\xfa\x40", b"\xa6 ", b"\x80\xa6"],
    ids=["no characters", "user-defined", "half a character", "both"],
)
def test_bytes_without_meaning_spoil_one_cell_and_no_other_record(raw: bytes) -> None:
    data = printed(BAD, SECOND).encode("cp950").replace("尿".encode("cp950"), raw, 1)
    (report,) = open_verdict(data, "")
    first, second = report.records
    assert dict(first.values) == {tag: text for tag, text in VALUES.items() if tag != "h22"}
    assert (first.flagged, first.error_code) == (("h7",), "01")
    assert dict(second.values) == dict(SECOND.values)
    assert second.error_code == "24"
    assert not report.accepted
    told = "\n".join(report.unknown_lines)
    assert "‹" in told
    told.encode("utf-8")


def test_a_report_without_its_byte_order_mark_may_be_utf_8() -> None:
    (report,) = open_verdict(printed(BAD).encode("utf-8"), "")
    assert dict(report.records[0].values) == VALUES


def test_every_field_of_the_layout_has_one_place_and_a_label() -> None:
    tags = [tag for row in PUBLISHED_ROWS for tag in row]
    assert len(tags) == len(set(tags)) == 52
    assert set(SHAPES) - set(tags) == {"h28", "h29", "h30"}
    assert tag_of("報告或病理發現（八）") == "r8-9"
    assert tag_of("檢驗(查)結果上傳日期") == "h16"
    assert tag_of("參考值") == "r6"
    assert tag_of("原開立處方醫事機構代") == "h27"
    assert tag_of("報告") == ""
    assert tag_of("別的欄位") == ""


def test_labels_that_are_not_all_known_decide_nothing() -> None:
    known = [["報告類別", "醫令代碼", "報告序號"], ["錯誤代碼", "", ""]]
    assert rows_of_labels(known) == (("h1", "h15", "r1"),)
    assert rows_of_labels([["報告類別", "醫令代碼", "別的"], known[1]]) is None
    assert rows_of_labels([["報告類別", "醫令代碼", "醫令代碼"], known[1]]) is None
    assert rows_of_labels(known[:1]) is None


def test_a_ruler_is_runs_of_equal_signs() -> None:
    assert is_ruler("  =================== === ===")
    assert not is_ruler("=====")
    assert not is_ruler("  === x ===")


def test_columns_are_cut_by_bytes_or_by_characters() -> None:
    columns = Columns.of_ruler("  ===== ===")
    assert columns.cut("   功能  xy", Measure.BYTES) == (" 功能", " xy")
    assert columns.cut("   功能    xy", Measure.CHARACTERS) == (" 功能  ", " xy")
    assert columns.cut("   功能功 xy", Measure.BYTES) is None
    assert columns.cut("x  功能  xy", Measure.BYTES) is None
    lines = ["   功能功功 xy"] * 2
    assert likelier_measure(lines, columns) is Measure.CHARACTERS
    assert likelier_measure(["   功能  xy"], columns) is Measure.BYTES
