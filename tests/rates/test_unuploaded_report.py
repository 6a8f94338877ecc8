"""Our report of cases not uploaded reads like NHI's, and no cell of it is ever a formula."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest

from adapters.folder.formats.unuploaded_list import open_unuploaded, read_unuploaded
from broker.cli.main import main
from broker.rates.nhi_list_export import EXPORT_HEADER, list_csv
from broker.rates.unuploaded_report import (
    CsvEncoding,
    ReportUnwritable,
    UnuploadedReport,
    newest_days,
    report_of,
)
from mapping.finding import Finding
from mapping.rates.unuploaded_report import LIST_HEADER, OVERVIEW_HEADER, safe_cell
from mapping.unuploaded import Outcome, UnuploadedRow
from tests.rates.rate_store import CLINIC, LAB, RateStore, open_rate_store, order

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 18)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RateStore]:
    opened = open_rate_store(tmp_path / "store")
    done = opened.add_visit(date(2026, 11, 3), order("09005C", "2"))
    opened.add_record(done, "09005C", uploader=LAB)
    own = opened.add_visit(date(2026, 11, 3), order("08011C"))
    opened.add_record(own, "08011C")
    opened.add_visit(date(2026, 11, 3), order("09015C", "1.5", card_mark="03"))
    opened.add_visit(date(2026, 11, 4), order("32002C"))
    opened.add_visit(date(2026, 11, 19), order("09015C"))
    yield opened
    opened.engine.dispose()


def report(store: RateStore, institutions: frozenset[str] | None = None) -> UnuploadedReport:
    with store.engine.connect() as connection:
        return report_of(connection, CLINIC, FIRST, date(2026, 11, 30), NOW, institutions)


def test_the_overview_counts_quantities_by_day_like_nhis(store: RateStore) -> None:
    tab = report(store).tabs[0]
    assert (tab.title, tab.header) == ("上傳概況", OVERVIEW_HEADER)
    assert tab.rows == (
        ("合計 115/11/01~115/11/18", "5.5", "3", "54.55%", "1", "2", "", ""),
        ("115/11/03", "4.5", "3", "66.67%", "1", "2", "", ""),
        ("115/11/04", "1", "0", "0.00%", "0", "0", "", ""),
    )


def test_the_other_tabs_cut_the_same_total_by_class_and_order_code(store: RateStore) -> None:
    _, classes, codes = report(store).tabs
    assert [row[0] for row in classes.rows[1:]] == ["08 血液學檢查", "09 生化學檢查", "32 X 光檢查"]
    assert [row[0] for row in codes.rows[1:]] == ["08011C", "09005C", "09015C", "32002C"]
    for tab in (classes, codes):
        assert tab.rows[0] == report(store).tabs[0].rows[0]
        for column in (1, 2, 4, 5):
            parts = [float(row[column]) for row in tab.rows[1:]]
            assert sum(parts) == float(tab.rows[0][column])


@pytest.mark.parametrize("encoding", ["utf-8", "big5"])
def test_our_list_is_read_by_the_reader_of_nhis_list(store: RateStore, encoding: str) -> None:
    found = report(store)
    raw = found.as_csv("utf-8" if encoding == "utf-8" else "big5")
    assert raw.startswith(b"\xef\xbb\xbf") == (encoding == "utf-8")
    opened = open_unuploaded(raw, f"{found.stem}.csv")
    assert (opened.institution_code, opened.from_on, opened.until_on) == (CLINIC, FIRST, LAST)
    findings: list[Finding] = []
    rows = list(read_unuploaded(opened.raw, findings))
    assert findings == []
    assert [(row.order_code, row.quantity, row.card_mark, row.card_on.day) for row in rows] == [
        ("09015C", "1.5", "03", 3),
        ("32002C", "1", "", 4),
    ]


def test_the_workbook_has_the_tabs_the_dates_and_the_list(store: RateStore) -> None:
    book = openpyxl.load_workbook(io.BytesIO(report(store).as_xlsx()))
    assert book.sheetnames == ["上傳概況", "檢查類別區分", "醫令類別區分", "未上傳明細"]
    overview = [[cell.value for cell in row] for row in book["上傳概況"].iter_rows()]
    assert overview[2][0] == "資料擷取日期：115/11/20"
    assert tuple(overview[4]) == OVERVIEW_HEADER
    cases = [[cell.value for cell in row] for row in book["未上傳明細"].iter_rows()]
    assert tuple(cases[0]) == LIST_HEADER
    assert len(cases) == 3
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    # "n" are the empty ones, "f" would be a formula.
    assert kinds <= {"s", "inlineStr", "n"}


NASTY = ("=1+1", "+cmd|' /C calc'!A0", "-1", "@SUM(A1)", "\t=1", "\r=1", "\x01x")


@pytest.mark.parametrize(
    "text", NASTY, ids=["equals", "plus", "minus", "at", "tab", "cr", "control"]
)
def test_no_cell_begins_a_formula(text: str) -> None:
    row = (text, *[""] * 12)
    found = UnuploadedReport(CLINIC, FIRST, LAST, LAST, (), (row,))
    cell = found.as_csv().decode("utf-8-sig").split("\r\n", 1)[1]
    assert not cell.lstrip('"').startswith(("=", "+", "-", "@", "\t", "\r"))
    book = openpyxl.load_workbook(io.BytesIO(found.as_xlsx()))
    shown = book["未上傳明細"]["A2"]
    assert shown.data_type == "s"
    assert not str(shown.value).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_workbook_keeps_full_width_blanks_and_names_control_characters() -> None:
    row = ("王\u3000小明", "\x01x", "a\u00a0b", *[""] * 10)
    found = UnuploadedReport(CLINIC, FIRST, LAST, LAST, (), (row,))
    sheet = openpyxl.load_workbook(io.BytesIO(found.as_xlsx()))["未上傳明細"]
    assert [sheet.cell(2, each).value for each in (1, 2, 3)] == [
        "王\u3000小明",
        "\\x01x",
        "a\u00a0b",
    ]


def test_what_is_harmless_stays_as_it_is() -> None:
    assert [safe_cell(text) for text in ("", "A123456789", "0001", "1.5")] == [
        "",
        "A123456789",
        "0001",
        "1.5",
    ]


def test_what_big5_does_not_have_is_said_and_not_replaced() -> None:
    found = UnuploadedReport(CLINIC, FIRST, LAST, LAST, (), (("𠮷", *[""] * 12),))
    with pytest.raises(ReportUnwritable):
        found.as_csv("big5")
    assert "𠮷" in found.as_csv().decode("utf-8-sig")


DANGEROUS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


@pytest.mark.parametrize("encoding", ["utf-8", "big5"])
def test_no_form_of_nhi_s_list_holds_a_formula(encoding: CsvEncoding) -> None:
    rows = [
        (Outcome.HELD, UnuploadedRow(text, FIRST, "1151101100000", "01", "0001", "09005C", "1"))
        for text in DANGEROUS
    ]
    text = list_csv(rows, encoding).decode("utf-8-sig" if encoding == "utf-8" else "cp950")
    found = [row[0] for row in csv.reader(io.StringIO(text, newline=""))]
    assert found == [EXPORT_HEADER[0], *(f"'{each}" for each in DANGEROUS)]


@pytest.mark.parametrize("name", ["𠮷", "ñ", "µ"], ids=["rare", "latin", "micro"])
def test_a_list_with_what_big5_does_not_have_is_refused_and_never_gets_a_question_mark(
    name: str,
) -> None:
    rows = [(Outcome.HELD, UnuploadedRow("A1", FIRST, "", "01", "0001", "09005C", "1", name))]
    assert name in list_csv(rows, "utf-8").decode("utf-8-sig")
    with pytest.raises(ReportUnwritable) as refused:
        list_csv(rows, "big5")
    assert "Big5" in refused.value.sentence("en")
    assert name not in refused.value.sentence("en") + refused.value.sentence("zh")


def test_the_report_of_an_institution_that_may_not_be_seen_is_empty(store: RateStore) -> None:
    hidden = report(store, frozenset({"3599999999"}))
    assert hidden.rows == ()
    assert hidden.tabs[0].rows == (("合計 115/11/01~115/11/18", "0", "0", "", "0", "0", "", ""),)
    assert report(store, frozenset({CLINIC})).rows == report(store).rows


def test_the_newest_thirty_days_end_two_days_ago() -> None:
    assert newest_days(NOW) == (date(2026, 10, 20), LAST)


@pytest.fixture
def command(store: RateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    (tmp_path / "labbroker.toml").write_text('data_dir = "store"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABBROKER_LANG", "en")
    return ("rates", "--config", "labbroker.toml", "--from", "115/11/01", "--until", "2026-11-18")


@pytest.mark.parametrize("name", ["report.xlsx", "report.csv"])
def test_the_command_writes_a_file_for_its_owner_alone(
    command: tuple[str, ...], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (*command, "--institution", CLINIC, "--unuploaded", name)
    assert main(options) == 0
    assert "2 cases not uploaded" in capsys.readouterr().out
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    before = Path(name).read_bytes()
    assert main(options) == 2
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ("--unuploaded", "a.csv"),
        ("--unuploaded", "a.txt", "--institution", CLINIC),
        ("--unuploaded", "none/a.csv", "--institution", CLINIC),
        ("--unuploaded", "a.csv", "--institution", CLINIC, "--from", "32"),
    ],
    ids=["nobody", "ending", "folder", "day"],
)
def test_what_cannot_be_written_is_said(command: tuple[str, ...], options: tuple[str, ...]) -> None:
    assert main([*command, *options]) == 2
    assert not Path("a.csv").exists()
