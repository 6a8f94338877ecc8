"""Prints the check report (``*.assaychk.txt``) in the layout that is publicly known.

Known: pages with a header block, a ruler of six runs, a flag character before each value, nine
lines of cells and one of the error code, a separator of 133 hyphens (feedback parser of 2019,
labels of the NHI's slides of 2023). Column widths are not public: here they are a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from broker.sandbox.checks import Fault
from broker.sandbox.upload_document import UploadedOrder

_ROWS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("h1", "報告類別"),
        ("h2", "醫事機構代碼"),
        ("h3", "醫事類別"),
        ("h4", "執行年月"),
        ("h5", "健保卡過卡日期時間"),
        ("h6", "就醫類別"),
    ),
    (
        ("h7", "就醫序號"),
        ("h8", "補卡註記"),
        ("h9", "身分證統一編號"),
        ("h10", "出生日期"),
        ("h11", "就醫日期"),
        ("h12", "治療結束日期"),
    ),
    (
        ("h13", "入院年月日"),
        ("h14", "出院年月日"),
        ("h15", "醫令代碼"),
        ("h16", "檢驗(查)結果上傳日期時間"),
        ("h17", "醫囑醫師身分證號"),
        ("h18", "報告/病理醫師身分證號"),
    ),
    (
        ("h19", "醫囑日期時間"),
        ("h20", "採檢/實際檢查/手術時間"),
        ("h21", "醫師確認報告時間"),
        ("h22", "檢體採檢方法/來源/類別"),
        ("r1", "報告序號"),
        ("r2", "檢驗項目名稱"),
    ),
    (
        ("r3", "檢驗方法"),
        ("r4", "檢驗報告結果值"),
        ("r5", "單位"),
        ("r6", "參考值"),
        ("r7", "報告結果"),
        ("r8-1", "病理發現及診斷"),
    ),
    (
        ("r8-2", "報告或病理發現(一)"),
        ("r8-3", "報告或病理發現(二)"),
        ("r9", "醫事人員身分證號"),
        ("r10", "報告日期時間"),
        ("r11", "備註"),
        ("r12", "檢驗(查)結果值註記"),
    ),
    (
        ("h23", "新生兒出生日期"),
        ("h24", "新生兒胞胎註記"),
        ("r6-1", "參考值下限"),
        ("r6-2", "參考值上限"),
        ("r13", "輻射劑量"),
        ("r8-4", "報告或病理發現(三)"),
    ),
    (
        ("r8-5", "報告或病理發現(四)"),
        ("r8-6", "報告或病理發現(五)"),
        ("r8-7", "報告或病理發現(六)"),
        ("r8-8", "報告或病理發現(七)"),
        ("r8-9", "報告或病理發現(八)"),
        ("r14", "實際收到報告日期時間"),
    ),
    (
        ("h25", "診療部位"),
        ("r4-1", "檢驗結果陽陰性判斷"),
        ("h26", "醫令調劑方式"),
        ("h27", "原開立處方醫事機構代碼"),
    ),
)
_SEPARATOR = "-" * 133
_CONTROLS = dict.fromkeys((*range(32), 127), " ")


@dataclass(frozen=True, slots=True)
class PrintedLayout:
    """``wide`` counts a full-width character as two columns, as CP950 bytes do.

    ``wrap`` continues a long value on further lines; without it the value is cut.
    ``split_records`` lets a page end within a record.
    """

    widths: tuple[int, ...] = (19, 21, 21, 21, 22, 22)
    page_length: int = 60
    wide: bool = True
    wrap: bool = True
    split_records: bool = False

    def length(self, text: str) -> int:
        """Columns that ``text`` takes."""
        return len(text) if text.isascii() or not self.wide else len(text.encode("cp950"))

    def pieces(self, value: str, width: int) -> list[str]:
        """``value`` cut into columns of ``width``; one empty piece when it is empty."""
        if self.length(value) <= width:
            return [value]
        pieces, start, taken = [], 0, 0
        for index, character in enumerate(value):
            length = self.length(character)
            if taken + length > width:
                pieces.append(value[start:index])
                start, taken = index, 0
            taken += length
        return [*pieces, value[start:]] if self.wrap else [(pieces or [value])[0]]

    def pad(self, text: str, width: int) -> str:
        """``text`` filled with blanks to ``width`` columns."""
        return text + " " * (width - self.length(text))


@dataclass(frozen=True, slots=True)
class PrintedRecord:
    """One printed record: fields by tag, the tags to flag, and the code (``""`` if correct)."""

    values: Mapping[str, str]
    flagged: frozenset[str] = field(default_factory=frozenset)
    error_code: str = ""


def error_records(order: UploadedOrder, faults: Sequence[Fault]) -> Iterator[PrintedRecord]:
    """One record for each row and code; faults of the header are printed with the first row."""
    for row in sorted({fault.row for fault in faults}):
        fields = order.rows[max(row, 1) - 1] if order.rows else {}
        codes = dict.fromkeys(fault.code for fault in faults if fault.row == row)
        for code in codes:
            flagged = {fault.tag for fault in faults if (fault.row, fault.code) == (row, code)}
            yield PrintedRecord({**order.header, **fields}, frozenset(flagged), code)


def correct_records(order: UploadedOrder) -> Iterator[PrintedRecord]:
    """One record for each row."""
    for fields in order.rows:
        yield PrintedRecord({**order.header, **fields})


def print_report(
    institution: str,
    upload_day: str,
    receipt_number: str,
    records: Sequence[PrintedRecord],
    correct: bool,
    layout: PrintedLayout | None = None,
    note: str = "",
) -> str:
    """The text of one report. ``upload_day`` is ``YYYMMDD``; ``note`` is printed at the end."""
    layout = layout or PrintedLayout()
    blocks = [_block(record, layout) for record in records]
    if note:
        blocks.append([note])
    page: list[str] = []
    pages = [page]
    for block in blocks:
        if not layout.split_records and page and len(page) + len(block) > layout.page_length:
            page = []
            pages.append(page)
        for line in block:
            if layout.split_records and len(page) >= layout.page_length:
                page = []
                pages.append(page)
            page.append(line)
    printed = []
    for number, lines in enumerate(pages, start=1):
        header = _page_header(institution, upload_day, receipt_number, correct, number, layout)
        printed.append("\r\n".join([*header, *lines, ""]))
    return "\f".join(printed)


def _page_header(
    institution: str,
    upload_day: str,
    receipt_number: str,
    correct: bool,
    page: int,
    layout: PrintedLayout,
) -> list[str]:
    title = "檢驗(查)結果上傳檢核正確報告" if correct else "檢驗(查)結果上傳檢核錯誤報告"
    day = f"{upload_day[:3]}/{upload_day[3:5]}/{upload_day[5:]}"
    return [
        f"  程式代號:SANDBOX-IAU    {title}    頁次:{page:5d}",
        "  特約醫事服務機構          上傳日期    web收件序號     資料來源   登入方式",
        "  (代碼)        (簡稱)",
        f"  {institution}    預演機構    {day}   {receipt_number}   5-web      7-VPN",
        *_label_lines(layout),
        "   錯誤代碼",
        "  " + " ".join("=" * width for width in layout.widths),
        "",
    ]


@lru_cache(maxsize=8)
def _label_lines(layout: PrintedLayout) -> tuple[str, ...]:
    return tuple(
        _line(
            [
                [" " + layout.pieces(label, width - 1)[0]]
                for (_, label), width in zip(row, layout.widths, strict=False)
            ],
            layout,
            0,
        )
        for row in _ROWS
    )


def _block(record: PrintedRecord, layout: PrintedLayout) -> list[str]:
    lines: list[str] = []
    for row in _ROWS:
        cells = []
        for (tag, _), width in zip(row, layout.widths, strict=False):
            pieces = layout.pieces(_printable(record.values.get(tag, "")), width - 1)
            flag = "*" if tag in record.flagged else " "
            cells.append([flag + pieces[0], *(" " + piece for piece in pieces[1:])])
        depth = max(len(cell) for cell in cells)
        lines.extend(_line(cells, layout, number) for number in range(depth))
    return [*lines, f"   {record.error_code}", _SEPARATOR]


def _printable(value: str) -> str:
    """On one line, and what Big5 lacks (a numeric reference in the XML) as that reference."""
    if value.isascii() and value.isprintable():
        return value
    return value.translate(_CONTROLS).encode("cp950", "xmlcharrefreplace").decode("cp950")


def _line(cells: Sequence[Sequence[str]], layout: PrintedLayout, number: int) -> str:
    texts = (cell[number] if number < len(cell) else "" for cell in cells)
    padded = [layout.pad(text, width) for text, width in zip(texts, layout.widths, strict=False)]
    return ("  " + " ".join(padded)).rstrip()
