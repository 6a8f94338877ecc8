"""The report of cases not uploaded, ours, as NHI's: three tabs and the list, as xlsx and csv."""

from __future__ import annotations

import csv
import io
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from broker.store.rate_details import unuploaded_rows
from broker.store.rate_orders import counted_orders
from mapping.errors import LabbrokerError
from mapping.moment import TAIPEI
from mapping.rates.counted_order import CARD_DATA_LAG, CountedOrder, Part, RateName, part_in
from mapping.rates.unuploaded_report import (
    LIST_HEADER,
    ReportTab,
    report_tabs,
    roc_day,
    safe_cell,
)


class ReportUnwritable(LabbrokerError):
    """No value is quoted: it may be a patient's."""

    code = "report-unwritable"
    en = (
        "The list holds a character that Big5 does not have.",
        "Write it in UTF-8, which spreadsheets read as well.",
    )
    zh = ("明細含有 Big5 沒有的字元。", "請改以 UTF-8 匯出，試算表軟體亦可讀取。")


CsvEncoding = Literal["utf-8", "big5"]
LIST_TITLE = "未上傳明細"
REMARKS = (
    "本表由 labbroker 依 IC 卡資料統計，供監測每日上傳及未上傳案件，與獎勵金無關。",
    "件數依醫令總量加總；X 光同一部位第一張與第二張之醫令一起比對；僅有影像之醫令不列入。",
    "有影像無報告、有報告無影像：本系統不處理影像，故不列數。",
)
_DAYS = timedelta(days=29)


@dataclass(frozen=True, slots=True)
class UnuploadedReport:
    """``rows`` are the cases under ``LIST_HEADER``, with national ids in clear, as in NHI's."""

    institution_code: str
    from_on: date
    until_on: date
    data_on: date
    tabs: tuple[ReportTab, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def stem(self) -> str:
        """The name of its files, without the ending, as NHI names its list."""
        return (
            f"未上傳案件明細_{self.institution_code}_{self.from_on:%Y%m%d}_{self.until_on:%Y%m%d}"
        )

    def as_csv(self, encoding: CsvEncoding = "utf-8") -> bytes:
        """The list as CSV: UTF-8 with a byte order mark, or Big5 (CP950). Raises
        :class:`ReportUnwritable`."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(LIST_HEADER)
        writer.writerows([safe_cell(cell) for cell in row] for row in self.rows)
        try:
            return out.getvalue().encode("utf-8-sig" if encoding == "utf-8" else "cp950")
        except UnicodeEncodeError:
            raise ReportUnwritable from None

    def as_xlsx(self) -> bytes:
        """The tabs and the list as a workbook; every cell is a text, so none is a formula."""
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        for tab in self.tabs:
            sheet = book.create_sheet(tab.title)
            for line in self._heading():
                sheet.append([line])
            sheet.append([])
            for row in (tab.header, *tab.rows):
                sheet.append([_shown(cell) for cell in row])
            sheet.append([])
            for remark in REMARKS:
                sheet.append([remark])
        sheet = book.create_sheet(LIST_TITLE)
        for row in (LIST_HEADER, *self.rows):
            sheet.append([_shown(cell) for cell in row])
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()

    def _heading(self) -> tuple[str, ...]:
        return (
            f"醫事機構代碼：{self.institution_code}",
            f"就診日期：{roc_day(self.from_on)} ~ {roc_day(self.until_on)}",
            f"資料擷取日期：{roc_day(self.data_on)}",
        )


def newest_days(now: datetime) -> tuple[date, date]:
    """The thirty days that NHI's page shows by itself: up to two days ago."""
    until_on = now.astimezone(TAIPEI).date() - CARD_DATA_LAG
    return until_on - _DAYS, until_on


def report_of(
    connection: Connection,
    institution_code: str,
    from_on: date,
    until_on: date,
    now: datetime,
    institutions: frozenset[str] | None = None,
) -> UnuploadedReport:
    """The report of one institution for visits from ``from_on`` to ``until_on``, of which those of
    the last two days are left out. ``institutions`` is what the person may see (None: everywhere);
    an institution outside it has an empty report."""
    data_on = now.astimezone(TAIPEI).date()
    until_on = min(until_on, data_on - CARD_DATA_LAG)
    orders: list[CountedOrder] = []
    if institutions is None or institution_code in institutions:
        orders = counted_orders(connection, frozenset({institution_code}), from_on, until_on)
    missing = [
        order for order in orders if part_in(RateName.IC_CARD, order, data_on) is Part.MISSING
    ]
    return UnuploadedReport(
        institution_code,
        from_on,
        until_on,
        data_on,
        report_tabs(orders, from_on, until_on, data_on),
        tuple(unuploaded_rows(connection, missing)),
    )


def _shown(text: str) -> str:
    """A cell of a workbook, which has no way to hold control characters: their code stands for
    them."""
    if text.isprintable():
        return safe_cell(text)
    return safe_cell("".join(f"\\x{ord(each):02x}" if _is_control(each) else each for each in text))


def _is_control(character: str) -> bool:
    # Every blank but one is not printable to Python: the full-width one of Chinese texts, too.
    return unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff"
