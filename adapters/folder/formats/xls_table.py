"""The rows of a sheet of an old Excel workbook (BIFF), read by xlrd."""

from __future__ import annotations

import io

import xlrd

from adapters.folder.formats.errors import TableUnreadable
from adapters.folder.formats.number_formats import NumberFormat, number_format, number_text
from adapters.folder.formats.table_rows import CELL_ERROR, Rows
from mapping.file_profile import Place

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_xls(raw: bytes) -> bool:
    """Whether ``raw`` starts as such a workbook, or as the container of an encrypted newer one."""
    return raw.startswith(_OLE)


def xls_table(raw: bytes, sheet: Place) -> Rows:
    """The rows of the sheet named or numbered ``sheet``, or of the first that is shown, as
    ``xlsx_table`` gives them. Raises TableUnreadable."""
    book = _open(raw)
    try:
        page = _choose(book, sheet)
        found = False
        for index in range(page.nrows):
            cells, fault = _cells(book, page, index)
            found = found or any(cells)
            yield index + 1, cells, fault
    finally:
        book.release_resources()
    if not found:
        raise _unreadable("its sheet has no cells", "工作表沒有資料", "sheet")


def _open(raw: bytes) -> xlrd.book.Book:
    if raw.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in raw:
        raise _unreadable("it is encrypted", "檔案已加密", "workbook")
    try:
        # Its warnings quote cells: they go nowhere.
        return xlrd.open_workbook(
            file_contents=raw, formatting_info=True, logfile=io.StringIO(), on_demand=False
        )
    except Exception:  # noqa: BLE001 - xlrd answers damage with whatever it stumbles over
        raise _unreadable("it is damaged or encrypted", "檔案損毀或已加密", "workbook") from None


def _choose(book: xlrd.book.Book, sheet: Place) -> xlrd.sheet.Sheet:
    pages = book.sheets()
    if isinstance(sheet, int):
        if sheet <= len(pages):
            return pages[sheet - 1]
        raise _unreadable(f"it has no sheet {sheet}", f"沒有第 {sheet} 張工作表", "workbook")
    for page in pages:
        if page.name.strip() == sheet.strip() if sheet else page.visibility == 0:
            return page
    if sheet or not pages:
        raise _unreadable(
            f"it has no sheet “{sheet}”, which the profile names",
            f"缺少設定的工作表「{sheet}」",
            "workbook",
        )
    return pages[0]


def _cells(book: xlrd.book.Book, page: xlrd.sheet.Sheet, index: int) -> tuple[list[str], str]:
    cells: list[str] = []
    fault = ""
    for cell in page.row(index):
        text = ""
        if cell.ctype == xlrd.XL_CELL_TEXT:
            text = cell.value
        elif cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
            try:
                form = _format(book, cell.xf_index)
                text = number_text(repr(cell.value), form, from_1904=bool(book.datemode))
            except ValueError:
                fault = CELL_ERROR
        elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
            text = "TRUE" if cell.value else "FALSE"
        elif cell.ctype == xlrd.XL_CELL_ERROR:
            fault = CELL_ERROR
        cells.append(text)
    return cells, fault


def _format(book: xlrd.book.Book, index: int | None) -> NumberFormat:
    if index is None or index >= len(book.xf_list):
        return NumberFormat()
    key = book.xf_list[index].format_key
    known = book.format_map.get(key)
    return number_format(key, known.format_str if known is not None else "")


def _unreadable(reason: str, reason_zh: str, place: str) -> TableUnreadable:
    return TableUnreadable(reason=reason, reason_zh=reason_zh, place=place)
