"""Our own report of cases not uploaded (未上傳案件日報表), laid out as NHI's.

Source: seed 000, 未上傳案件日報表查詢作業: tabs 上傳概況, 檢查類別區分, 醫令類別區分 with the same
columns, and the list of cases (查詢方式-4) with the tags of the IC-card upload.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from mapping.rates.counted_order import CountedOrder, RateName
from mapping.rates.cuts import Cut, cut_rates
from mapping.rates.groups import Groups
from mapping.rates.plain_number import plain_number
from mapping.rates.rate import Rate, rate_of

OVERVIEW_HEADER = (
    "日期區間",
    "IC卡上傳件數(A)",
    "檢驗(查)上傳件數(B)",
    "上傳率(B/A)",
    "自行上傳",
    "交付上傳",
    "有影像無報告",
    "有報告無影像",
)
LIST_HEADER = (
    "身分證號或身分證明文件號碼(A12)",
    "出生日期(A13)",
    "新生兒出生日期(A20)",
    "新生兒胎胞註記(A21)",
    "新生兒就醫註記(A24)",
    "健保卡過卡日期(A17)",
    "就醫類別(A23)",
    "就醫序號(A18)",
    "診療項目代號(A73)",
    "總量(A77)",
    "交付處方註記(A78)",
    "補充說明(A91)",
    "未完整上傳註記(1:有影像無報告、2:有報告無影像)",
)
TABS = {Cut.DAY: "上傳概況", Cut.CATEGORY: "檢查類別區分", Cut.ORDER_CODE: "醫令類別區分"}
TOTAL = "合計"
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ReportTab:
    """``rows`` are texts under ``header``; the first one is the total."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def report_tabs(
    orders: Iterable[CountedOrder], from_on: date, until_on: date, data_on: date
) -> tuple[ReportTab, ...]:
    """The three tabs of the visits from ``from_on`` to ``until_on``, counted as NHI counts."""
    counted = list(orders)
    total = _cells(
        f"{TOTAL} {roc_day(from_on)}~{roc_day(until_on)}",
        rate_of(RateName.IC_CARD, counted, data_on),
    )
    tabs = []
    for cut, title in TABS.items():
        rows = [total]
        for row in cut_rates(counted, cut, (RateName.IC_CARD,), data_on):
            rate = row.rates[RateName.IC_CARD]
            if not rate.due:
                continue
            label = (
                roc_day(date.fromisoformat(row.key))
                if cut is Cut.DAY
                else row.label(cut, "zh", Groups())
            )
            rows.append(_cells(label, rate))
        header = OVERVIEW_HEADER if cut is Cut.DAY else (title[:4], *OVERVIEW_HEADER[1:])
        tabs.append(ReportTab(title, header, tuple(rows)))
    return tuple(tabs)


def roc_day(day: date) -> str:
    """``111/11/01``."""
    return f"{day.year - 1911:03d}/{day.month:02d}/{day.day:02d}"


def safe_cell(text: str) -> str:
    """``text`` as a spreadsheet shows it and never runs it: an apostrophe stands before what
    would begin a formula (OWASP CSV injection: = + - @ tab CR)."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _cells(label: str, rate: Rate) -> tuple[str, ...]:
    percent = "" if rate.percent is None else f"{rate.percent}%"
    parts = (rate.due, rate.uploaded)
    # Images are not ours to know: their two columns stay empty.
    own = (plain_number(rate.own), plain_number(rate.commissioned), "", "")
    return (label, *map(plain_number, parts), percent, *own)
