"""The columns of a result CSV: our names, the header texts that mean them, dialects by profile.

A laboratory whose header uses these texts needs no profile. A profile's ``csv.columns`` names the
header text of a column; the column then answers to that text alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.folder.formats.errors import CsvUnreadable

HEADER_TEXTS: Mapping[str, tuple[str, ...]] = {
    "national_id": ("身分證號", "身份證號", "身分證字號", "身份證字號", "身分證統一編號"),
    "birth_on": ("出生日期", "生日", "出生年月日"),
    "name": ("姓名", "病人姓名", "病患姓名"),
    "sex": ("性別",),
    "clinic_code": (
        "院所代碼",
        "院所代號",
        "醫事機構代碼",
        "醫事機構代號",
        "送檢院所代碼",
        "送檢單位代碼",
    ),
    "placer_order_number": ("申請單號", "醫令單號", "檢驗單號"),
    "accession_number": ("檢體編號", "檢體號碼", "檢驗編號"),
    "order_code": ("醫令代碼", "健保代碼", "健保碼", "支付代碼", "診療項目代號"),
    "item_code": ("項目代碼", "檢驗代碼", "檢驗項目代碼"),
    "item_name": ("檢驗項目", "項目名稱", "檢驗項目名稱", "檢驗名稱"),
    "value": ("檢驗結果", "結果", "結果值", "檢驗值", "檢驗結果值"),
    "unit": ("單位",),
    "reference": ("參考值", "參考範圍", "參考區間", "正常值"),
    "low": ("參考值下限", "參考下限", "下限"),
    "high": ("參考值上限", "參考上限", "上限"),
    "flag": ("異常註記", "異常"),
    "status": ("報告狀態", "結果狀態", "狀態"),
    "specimen": ("檢體", "檢體類別", "檢體種類", "檢體名稱"),
    "collected_at": ("採檢時間", "採檢日期", "採檢日期時間", "採集時間", "採集日期"),
    "received_at": ("收件時間", "收件日期", "收件日期時間", "收檢時間", "收檢日期"),
    "reported_at": ("報告時間", "報告日期", "報告日期時間"),
    "method": ("檢驗方法", "方法"),
}
"""Our column names are header texts too. Case and blanks around a text do not matter."""

COLUMNS = tuple(HEADER_TEXTS)
_BY_TEXT = {
    text.casefold(): column for column, texts in HEADER_TEXTS.items() for text in (column, *texts)
}


@dataclass(frozen=True, slots=True)
class Header:
    """``position`` of each column that the file has; ``ignored`` are positions of unknown texts."""

    position: Mapping[str, int]
    ignored: tuple[int, ...]
    width: int


def known_texts(cells: Sequence[str]) -> int:
    """How many cells are header texts of the default layout."""
    return sum(1 for cell in cells if cell.strip().casefold() in _BY_TEXT)


def read_header(cells: Sequence[str], named: Mapping[str, str]) -> Header:
    """Find the columns. ``named`` is the profile's ``csv.columns``.

    Raises CsvUnreadable: a text twice, two texts for one column, a column that the profile names
    but the file lacks, or no way to tell whose result it is or what it is. Header texts are never
    in the error: where a header is missing they are a patient's data.
    """
    meaning = {text: column for text, column in _BY_TEXT.items() if column not in named}
    meaning |= {text.strip().casefold(): column for column, text in named.items()}
    position: dict[str, int] = {}
    ignored: list[int] = []
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        text = cell.strip().casefold()
        if text and text in seen:
            raise refuse_table(
                "a header text stands there twice", "標題重複", f"column {index + 1}"
            )
        seen.add(text)
        column = meaning.get(text)
        if column is None:
            ignored.append(index)
        elif column in position:
            raise refuse_table(
                f"two headers mean {column}",
                f"兩個標題都代表 {column}",
                f"columns {position[column] + 1} and {index + 1}",
            )
        else:
            position[column] = index
    _require(position, named)
    return Header(position, tuple(ignored), len(cells))


def _require(position: Mapping[str, int], named: Mapping[str, str]) -> None:
    for column in named:
        if column in COLUMNS and column not in position:
            raise refuse_table(
                f"the header that the profile names for {column} is missing",
                f"缺少來源設定中 {column} 的標題",
                "row 1",
            )
    for alternatives in (
        ("value",),
        ("national_id", "accession_number", "placer_order_number"),
        ("order_code", "item_code", "item_name"),
    ):
        if not any(column in position for column in alternatives):
            names = " / ".join(alternatives)
            raise refuse_table(f"it has no column {names}", f"缺少欄位 {names}", "row 1")


def refuse_table(reason: str, reason_zh: str, place: str) -> CsvUnreadable:
    """The error for a table whose layout cannot be used; the texts are ours, never the file's."""
    return CsvUnreadable(reason=reason, reason_zh=reason_zh, place=place)
