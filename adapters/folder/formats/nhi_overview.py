"""NHI's report of cases not uploaded as a workbook: its tab 上傳概況, which is NHI's own figure.

Source: seed 000, 未上傳案件日報表查詢作業 (報表下載 xlsx). A heading names 醫事機構代碼 and
資料擷取日期; the header, in one row or in two, has 日期區間, IC卡上傳件數(A), 檢驗(查)上傳件數(B),
上傳率(B/A), 自行上傳, 交付上傳, 有影像無報告, 有報告無影像; below stand 檢驗(查)結果 with its total
(合計) and its days, then 醫療檢查影像, which is not ours to read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from adapters.folder.formats.cell_dates import read_day
from adapters.folder.formats.xlsx_table import sheet_names, xlsx_table
from mapping.errors import UnreadablePayload
from mapping.finding import Finding, Severity
from mapping.rates.nhi_overview import NhiOverview, OverviewDay
from mapping.values import parse_decimal

TAB = "上傳概況"
_DAY = r"[0-9]{3,4}[/-][0-9]{1,2}[/-][0-9]{1,2}"
_PERIOD = re.compile(rf"({_DAY})\s*[~～]\s*({_DAY})")
_ONE_DAY = re.compile(rf"(?:每日\s*)?({_DAY})")
_DATA_ON = re.compile(rf"資料擷取日期\s*[:：]\s*({_DAY})")
_INSTITUTION = re.compile(r"醫事機構代碼\s*[:：]\s*([0-9A-Z]{10})")
_IN_NAME = re.compile(r"(?<![0-9A-Z])([0-9A-Z]{10})(?![0-9A-Z])")
_DATE_COLUMN, _DUE, _UPLOADED = "日期區間", "IC卡上傳件數(A)", "檢驗(查)上傳件數(B)"
_OWN, _COMMISSIONED = "自行上傳", "交付上傳"
# Known, and not read: the rate is made of its two numbers, images are not ours.
_UNREAD = frozenset(
    {"上傳率(B/A)", "檢驗(查)上傳數", "未完整上傳數(影像)", "有影像無報告", "有報告無影像"}
)
_WORDS = frozenset({"合計", "每日", "檢驗(查)結果"})
_IMAGES = "醫療檢查影像"


class OverviewUnreadable(UnreadablePayload):
    code = "nhi-overview-unreadable"
    en = (
        "NHI's report of cases not uploaded cannot be read: {reason} (at {place}).",
        "Download it again from the VPN (未上傳案件日報表查詢作業, 報表下載 xlsx).",
    )
    zh = (
        "未上傳案件日報表無法讀取：{reason_zh}（位置：{place}）。",
        "請由 VPN 未上傳案件日報表查詢作業重新下載報表 (xlsx)。",
    )


def read_nhi_overview(
    raw: bytes,
    name: str,
    findings: list[Finding],
    institution_code: str = "",
    data_on: date | None = None,
) -> NhiOverview:
    """The overview of a workbook. ``institution_code`` and ``data_on`` are for files that do not
    say them. Columns that are not known go to ``findings``, as a sum that its days do not make.

    Raises OverviewUnreadable, TableUnreadable or ZipUnreadable.
    """
    tab = TAB if TAB in sheet_names(raw) else ""
    rows = [(number, [_plain(cell) for cell in cells]) for number, cells, _ in xlsx_table(raw, tab)]
    said = " ".join(cell for _, cells in rows for cell in cells if cell)
    institution_code = _first(_INSTITUTION, said) or institution_code or _first(_IN_NAME, name)
    if not institution_code:
        raise _unreadable("it does not say whose it is", "未載明醫事機構代碼", "sheet")
    if found := _first(_DATA_ON, said):
        data_on = _day(found, "資料擷取日期")
    if data_on is None:
        raise _unreadable("it does not say its 資料擷取日期", "未載明資料擷取日期", "sheet")
    header = next((at for at, (_, cells) in enumerate(rows) if _DATE_COLUMN in cells), None)
    if header is None:
        raise _unreadable(f"no row has {_DATE_COLUMN}", f"缺少 {_DATE_COLUMN} 欄", "sheet")
    places = _places(rows, header, findings)
    days: dict[date, OverviewDay] = {}
    total: tuple[date, date, OverviewDay] | None = None
    for number, cells in rows[header + 1 :]:
        if _IMAGES in cells:
            break
        when = " ".join(cell for cell in cells[: places[_DATE_COLUMN] + 1] if cell)
        if period := _PERIOD.search(when):
            first, last = (_day(text, f"row {number}") for text in period.groups())
            total = total or (first, last, _counted(first, cells, places, number))
        elif day := _ONE_DAY.search(when):
            visit_on = _day(day.group(1), f"row {number}")
            if visit_on in days:
                raise _unreadable(
                    f"{visit_on} stands twice", f"{visit_on} 重複出現", f"row {number}"
                )
            days[visit_on] = _counted(visit_on, cells, places, number)
    if total is None and not days:
        raise _unreadable("it has no day", "沒有任何日期", "sheet")
    first, last = (total[0], total[1]) if total else (min(days), max(days))
    if days and not first <= min(days) <= max(days) <= last:
        raise _unreadable("a day is outside its period", "有日期不在區間內", "sheet")
    if total is not None:
        _compare(total[2], days, findings)
    return NhiOverview(
        institution_code, first, last, data_on, tuple(days[day] for day in sorted(days))
    )


def _places(
    rows: Sequence[tuple[int, list[str]]], header: int, findings: list[Finding]
) -> dict[str, int]:
    """Where each column stands; the names of parts of a column may be in the row below."""
    places: dict[str, int] = {}
    for number, cells in rows[header : header + 2]:
        if number != rows[header][0] and any(map(_ONE_DAY.search, cells)):
            break
        for index, text in enumerate(cells):
            if text in (_DATE_COLUMN, _DUE, _UPLOADED, _OWN, _COMMISSIONED):
                places.setdefault(text, index)
            elif text and text not in _UNREAD and text not in _WORDS:
                where = f"row {number}, column {index + 1}"
                findings.append(
                    Finding("nhi-overview-column", "", where, text[:40], Severity.WARNING)
                )
    for name in (_DUE, _UPLOADED):
        if name not in places:
            raise _unreadable(
                f"its header lacks {name}", f"標題列缺少 {name}", f"row {rows[header][0]}"
            )
    return places


def _counted(
    visit_on: date, cells: Sequence[str], places: dict[str, int], number: int
) -> OverviewDay:
    def count(name: str) -> Decimal:
        index = places.get(name)
        text = cells[index].replace(",", "") if index is not None and index < len(cells) else ""
        if not text and name in (_OWN, _COMMISSIONED):
            return Decimal(0)
        value = parse_decimal(text)
        if value is None or value < 0:
            raise _unreadable(f"{name} is no number", f"{name} 不是數字", f"row {number}")
        return value

    return OverviewDay(visit_on, count(_DUE), count(_UPLOADED), count(_OWN), count(_COMMISSIONED))


def _compare(total: OverviewDay, days: dict[date, OverviewDay], findings: list[Finding]) -> None:
    """The total and its days are both as NHI says; that they differ is told."""
    sums = [sum((getattr(each, name) for each in days.values()), Decimal(0)) for name in _SUMMED]
    if sums != [getattr(total, name) for name in _SUMMED]:
        findings.append(Finding("nhi-overview-sum", "", "合計", severity=Severity.WARNING))


_SUMMED = ("due", "uploaded")


def _plain(cell: str) -> str:
    """Brackets and blanks of full and half width are one to a reader."""
    text = cell.strip().lstrip("'").replace("（", "(").replace("）", ")").replace("　", " ")
    return " ".join(text.split()).replace("IC 卡", "IC卡")


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""


def _day(text: str, place: str) -> date:
    try:
        return read_day(text)
    except ValueError:
        raise _unreadable("a day does not exist", "日期不存在", place) from None


def _unreadable(reason: str, reason_zh: str, place: str) -> OverviewUnreadable:
    return OverviewUnreadable(reason=reason, reason_zh=reason_zh, place=place)
