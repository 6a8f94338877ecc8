"""A result as a workbook: every cell is text, so that no spreadsheet rounds or runs anything."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from adapters.document.table import COLUMNS, rows_of
from adapters.ports.report_view import ReportView
from mapping.errors import LabbrokerError

_WIDTHS = {"檢驗項目": 22, "項目名稱": 26, "檢驗值": 18, "參考值": 18, "備註": 30}
# What XML 1.0 has no place for (openpyxl refuses it).
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FIXED = (1980, 1, 1, 0, 0, 0)


class UnwritableDocument(LabbrokerError):
    code = "document-unwritable"
    en = (
        "The report cannot be written as this document: {reason}.",
        "Deliver it another way, or ask the laboratory for a corrected one.",
    )
    zh = ("報告無法寫成此文件：{reason}。", "請改以其他方式交付，或請檢驗所更正後重送。")


def write_xlsx(view: ReportView) -> bytes:
    """The workbook; the same view gives the same bytes. Raises :class:`UnwritableDocument`."""
    rows = (COLUMNS, *rows_of(view))
    if any(_NO_XML.search(text) for row in rows for text in row):
        raise UnwritableDocument(reason="it holds a character that XML has no place for")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("檢驗報告")
    for number, name in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, 14)
    sheet.freeze_panes = "A2"
    for at, row in enumerate(rows):
        cells = []
        for text in row:
            cell = WriteOnlyCell(sheet, value=text)
            cell.data_type, cell.number_format, cell.quotePrefix = "s", "@", True
            if at == 0:
                cell.font = Font(bold=True)
            cells.append(cell)
        sheet.append(cells)
    book.properties.creator = "labbroker"
    book.properties.created = book.properties.modified = datetime(1980, 1, 1)  # noqa: DTZ001
    made = io.BytesIO()
    book.save(made)
    return _without_times(made.getvalue(), view.stored_at)


def _without_times(raw: bytes, stored_at: datetime) -> bytes:
    """The same workbook with the time of the report in the place of the clock's."""
    told = stored_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)
            if entry.filename == "docProps/core.xml":
                body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told, body)
            new.writestr(zipfile.ZipInfo(entry.filename, _FIXED), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()
