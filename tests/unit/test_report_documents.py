"""Results as CSV, workbook and PDF: the laboratory's own characters, and nothing that runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from adapters.document.faces import UNSURE, is_latin, is_sure
from adapters.document.report_pdf import write_pdf
from adapters.document.table import COLUMNS, as_text, write_csv
from adapters.document.workbook import UnwritableDocument, write_xlsx
from adapters.ports.report_view import ReportView, TrendPoint
from broker.demo.people import CLINIC, LAB, national_id
from mapping.moment import TAIPEI, Moment, Precision
from mapping.reference_range import parse_reference_range
from mapping.report import (
    Coding,
    LabReport,
    Observation,
    ObservationStatus,
    Patient,
    ReferenceRange,
    ReportStatus,
    Specimen,
)


def at(day: int) -> Moment:
    return Moment(datetime(2026, 11, day, 9, 30, tzinfo=TAIPEI), Precision.MINUTE)


LINES = (
    Observation(
        (Coding("09005C", "血液葡萄糖"),),
        "182.0",
        "NM",
        "mg/dL",
        parse_reference_range("70 - 100"),
        ("HH",),
        notes=("已電話通知",),
    ),
    Observation((Coding("GPT", "丙胺酸轉胺酶"),), "<5", "SN", "U/L", parse_reference_range("≦40")),
    Observation((Coding("25003C", "病理"),), "慢性發炎。\n無惡性細胞。", "TX"),
    Observation((Coding("X", "撤回項目"),), "5.5", status=ObservationStatus.WITHDRAWN),
)
REPORT = LabReport(
    Patient(national_id("A", 19900001), date(1958, 3, 14), "M", "許功蓋", "C-1"),
    (Coding("P", "生化檢查"),),
    LINES,
    ReportStatus.CORRECTED,
    filler_order_number="F-1",
    specimen=Specimen("血清", at(19)),
    reported_at=at(20),
    notes=("輕微脂血",),
)
VIEW = ReportView(
    REPORT,
    LINES,
    LAB,
    CLINIC,
    datetime(2026, 11, 20, 4, tzinfo=UTC),
    2,
    "安心醫事檢驗所",
    {0: (TrendPoint(at(1), "121"), TrendPoint(at(5), "133.5"))},
)


def pdf_text(view: ReportView) -> str:
    pages = PdfReader(io.BytesIO(write_pdf(view))).pages
    return "\n".join(page.extract_text() for page in pages)


def test_a_pdf_tells_names_values_units_ranges_flags_and_earlier_values() -> None:
    text = pdf_text(VIEW)
    for told in (
        *("安心醫事檢驗所", "更正報告（第 2 版）", "許功蓋", REPORT.patient.national_id),
        *("血液葡萄糖", "182.0", "mg/dL", "70 - 100", "HH", "已電話通知", "133.5", "26-11-05"),
        *("丙胺酸轉胺酶", "<5", "U/L", "≦40", "慢性發炎。", "無惡性細胞。", "撤回", "輕微脂血"),
        "第 1 頁，共 1 頁",
    ):
        assert told in text, told


def test_a_pdf_names_the_characters_of_traditional_chinese() -> None:
    raw = write_pdf(VIEW)
    assert b"/UniCNS-UTF16-H" in raw
    assert b"UniGB" not in raw


def test_every_page_says_whose_result_it_is() -> None:
    many = tuple(replace(LINES[0], value=str(number)) for number in range(60))
    name = "阿里巴巴・伊斯坦達・馬哈桑" * 4
    patient = replace(REPORT.patient, name=name)
    view = replace(VIEW, report=replace(REPORT, patient=patient), lines=many)
    pages = PdfReader(io.BytesIO(write_pdf(view))).pages
    assert len(pages) > 1
    for page in pages:
        text = page.extract_text()
        foot = next(line for line in text.splitlines() if "單號 F-1" in line)
        assert foot.startswith("阿里巴巴")
        assert f"{REPORT.patient.national_id}　1958-03-14　單號 F-1" in foot


def test_a_unit_and_a_number_are_never_broken_and_their_characters_are_there() -> None:
    units = ("mL/min/1.73m²", "10³/µL", "°C", "nmol/L BCE", "copies/mL±IU/mL")
    values = ("123456789012345.678901", ">100000000000000000", "<0.00001", "1:1280")
    lines = tuple(
        replace(LINES[0], value=value, unit=unit, reference=ReferenceRange(), notes=())
        for value in values
        for unit in units
    )
    told = pdf_text(replace(VIEW, lines=lines, trends={})).splitlines()
    for value in values:
        assert told.count(value) == len(units), value
    for unit in units:
        assert told.count(unit) == len(values), unit
    # Latin letters and signs are Helvetica's: the face of Han characters has no ² or µ.
    assert all(is_latin(each) for each in units)


def test_a_character_that_a_reader_may_lack_is_followed_by_its_number() -> None:
    patient = replace(REPORT.patient, name="𠮷堃喆")
    line = replace(LINES[0], codings=(Coding("C", "β₂微球蛋白"),))
    text = pdf_text(replace(VIEW, report=replace(REPORT, patient=patient), lines=(line,)))
    for told in ("𠮷[U+20BB7]堃喆", "β₂[U+2082]微球蛋白", UNSURE):
        assert told in text, told
    assert UNSURE not in pdf_text(VIEW)
    assert "[U+" not in pdf_text(VIEW)


def test_characters_of_big5_and_hkscs_are_sure_and_private_ones_are_not() -> None:
    for sure in "功許蓋堃喆～，。：≦≧μΩ℃±Ⅷ㎎":
        assert is_sure(sure), sure
    for unsure in "𠮷₂・\ue000\u02c9한":
        assert not is_sure(unsure), unsure


def test_every_number_of_a_record_stands_in_the_pdf_to_the_digit() -> None:
    values = tuple(f"{number * 7.31:.{number % 4}f}" for number in range(1, 61))
    lines = tuple(
        Observation((Coding(f"09{at:03}C", f"項目{at}"),), value, "NM", "mg/dL", trailing(at))
        for at, value in enumerate(values)
    )
    told = pdf_text(replace(VIEW, lines=lines, trends={})).splitlines()
    shown = [word for word in told if word in set(values)]
    assert shown == list(values)
    assert [at for at in range(60) if f"{at}.10 - {at}.50" not in told] == []


def trailing(at: int) -> ReferenceRange:
    return parse_reference_range(f"{at}.10 - {at}.50")


def test_the_same_view_gives_the_same_bytes() -> None:
    assert write_pdf(VIEW) == write_pdf(VIEW)
    assert write_xlsx(VIEW) == write_xlsx(VIEW)


def test_a_long_report_goes_on_over_pages_that_are_counted_and_have_the_head_again() -> None:
    many = tuple(replace(LINES[0], value=str(number)) for number in range(120))
    text = pdf_text(replace(VIEW, lines=many, trends={}))
    pages = text.count("前次結果\n")
    assert pages > 3
    assert [f"第 {page} 頁，共 {pages} 頁" in text for page in range(1, pages + 1)] == [
        True
    ] * pages
    assert [number for number in range(120) if f"\n{number}\n" not in text] == []


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_a_pdf(value: str, name: str, unit: str) -> None:
    line = Observation((Coding("C", name),), value, unit=unit, notes=(name,))
    assert write_pdf(replace(VIEW, lines=(line,), heading=name)).startswith(b"%PDF")


def test_a_text_longer_than_a_page_is_shown_whole() -> None:
    words = [f"字{number}號" for number in range(400)]
    text = pdf_text(replace(VIEW, lines=(replace(LINES[2], value="\n".join(words)),)))
    assert [word for word in words if word not in text] == []


def test_a_csv_holds_every_cell_as_it_was() -> None:
    text = write_csv(VIEW).decode("utf-8-sig")
    header, *rows = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(header) == COLUMNS
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["檢驗值"] for row in found] == [line.value for line in LINES]
    assert (found[0]["單位"], found[0]["參考值"], found[0]["異常註記"]) == (
        "mg/dL",
        "70 - 100",
        "HH",
    )


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        (" =A1", "' =A1"),
        ("\t=A1", "'\t=A1"),
        ("-5.2", "-5.2"),
        ("+", "+"),
        ("++", "++"),
        ("<0.1", "<0.1"),
    ],
    ids=["equals", "at", "plus", "blank", "tab", "negative", "sign", "signs", "below"],
)
def test_no_cell_is_a_formula(cell: str, written: str) -> None:
    assert as_text(cell) == written


def test_a_workbook_holds_texts_and_no_formulas() -> None:
    line = replace(LINES[0], value='=HYPERLINK("http://x")', unit="5.10")
    book = openpyxl.load_workbook(io.BytesIO(write_xlsx(replace(VIEW, lines=(line,)))))
    row = dict(zip(COLUMNS, next(iter(book.active.iter_rows(min_row=2))), strict=True))
    assert (row["檢驗值"].value, row["檢驗值"].data_type) == ('=HYPERLINK("http://x")', "s")
    assert (row["單位"].value, row["單位"].data_type) == ("5.10", "s")


def test_what_a_workbook_has_no_place_for_is_refused() -> None:
    with pytest.raises(UnwritableDocument):
        write_xlsx(replace(VIEW, lines=(replace(LINES[0], value="\x01"),)))


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [("-2", "2", "-2 - 2"), ("-3", "-1", "-3 - -1"), ("", "-1", "[][-1]"), ("70", "", "[70][]")],
    ids=["both", "below-zero", "high-alone", "low-alone"],
)
def test_bounds_that_were_sent_apart_keep_their_signs_and_sides(
    low: str, high: str, written: str
) -> None:
    line = replace(LINES[0], reference=ReferenceRange(low, high))
    _, row = csv.reader(io.StringIO(write_csv(replace(VIEW, lines=(line,))).decode("utf-8-sig")))
    assert row[COLUMNS.index("參考值")].removeprefix("'") == written
