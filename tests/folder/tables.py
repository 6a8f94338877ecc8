"""The same table of results as each kind of file, made by other programs than ours where there are
any. Everyone in it is made up."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import openpyxl
import xlwt

NATIONAL_ID = "A123456789"
OTHER_ID = "B223456786"

_TITLES = "身分證號,生日,院所代碼,項目代碼,檢驗項目,結果,單位,參考值,報告時間"
HEADER = tuple(_TITLES.split(","))
ROWS = tuple(
    tuple(row.split("|"))
    for row in (
        f"{NATIONAL_ID}|0650401|3501234567|GLU|飯前血糖|92|mg/dL|70-100|1150814 1405",
        f"{NATIONAL_ID}|0650401|3501234567|CHO|總膽固醇|5.40|mmol/L|<5.2|1150814 1405",
        f"{OTHER_ID}|0730512|3501234567|GLU|飯前血糖|101|mg/dL|70-100|1150814 1410",
    )
)


def csv_file(rows: Sequence[Sequence[str]], codec: str = "cp950", delimiter: str = ",") -> bytes:
    return "".join(delimiter.join(row) + "\r\n" for row in rows).encode(codec)


def xlsx_file(rows: Sequence[Sequence[object]], title: str = "報告") -> bytes:
    """Texts that are numbers are kept as numbers, as people type them."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xls_file(rows: Sequence[Sequence[object]]) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("報告")
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            sheet.write(y, x, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def dbf_file(
    fields: Sequence[tuple[str, str, int]],
    records: Sequence[Sequence[bytes]],
    deleted: Sequence[int] = (),
    code_page: int = 0x78,
) -> bytes:
    """dBASE III. ``fields``: name, type and width; values are padded behind."""
    header = bytearray()
    for name, kind, width in fields:
        header += name.encode("cp950").ljust(11, b"\0") + kind.encode() + bytes(4)
        header += bytes([width & 255, width >> 8 if kind == "C" else 0]) + bytes(14)
    record_bytes = 1 + sum(width for _, _, width in fields)
    start = struct.pack("<4BIHH", 3, 126, 8, 14, len(records), 33 + len(header), record_bytes)
    raw = bytearray(start + bytes(17) + bytes([code_page]) + bytes(2) + header + b"\r")
    for number, record in enumerate(records):
        raw += b"*" if number in deleted else b" "
        for (_, _, width), value in zip(fields, record, strict=True):
            raw += value.ljust(width, b" ")[:width]
    return bytes(raw + b"\x1a")


def fixed_file(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> bytes:
    """Lines of Big5; widths count bytes."""
    lines = []
    for row in rows:
        line = b""
        for cell, width in zip(row, widths, strict=True):
            line += cell.encode("cp950").ljust(width, b" ")
        lines.append(line + b"\r\n")
    return b"".join(lines)
