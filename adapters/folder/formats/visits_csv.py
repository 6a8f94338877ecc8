"""A clinic's visits and orders as a plain table, for clinics whose system writes no IC-card upload.

One row for each order; the rows of one card event repeat what they share. A row without an order
code is a visit without orders, or, marked as deleted, a visit that is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from adapters.folder.formats.cell_dates import read_day, read_moment
from adapters.folder.formats.csv_layout import refuse_table
from adapters.folder.formats.csv_text import DELIMITERS, codec_of, csv_rows, csv_text
from adapters.folder.formats.errors import TextUndecodable
from mapping.finding import Finding
from mapping.moment import Moment, Precision
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.values import parse_decimal
from mapping.visit import Order, Visit

VISIT_HEADERS: Mapping[str, tuple[str, ...]] = {
    "institution_code": ("醫事機構代碼", "醫事機構代號", "院所代碼", "院所代號"),
    "institution_kind": ("醫事類別",),
    "national_id": ("身分證號", "身份證號", "身分證字號", "身份證字號"),
    "birth_on": ("出生日期", "生日", "出生年月日"),
    "card_at": ("健保卡過卡日期時間", "過卡日期時間", "就診日期時間"),
    "visit_type": ("就醫類別",),
    "visit_serial": ("就醫序號",),
    "visit_on": ("就醫日期",),
    "makeup_code": ("補卡註記",),
    "provider_id": ("醫師身分證號", "醫囑醫師身分證號"),
    "newborn_birth_on": ("新生兒出生日期",),
    "newborn_mark": ("新生兒胎胞註記",),
    "visit_identifier": ("就醫識別碼",),
    "original_visit_identifier": ("原就醫識別碼",),
    "order_code": ("醫令代碼", "診療項目代號"),
    "quantity": ("總量",),
    "dispensing_code": ("醫令調劑方式",),
    "ordered_at": ("開立日期時間", "醫囑日期時間"),
    "placer_order_number": ("申請單號", "醫令單號"),
    "upload_opted_out": ("不上傳註記",),
    "body_parts": ("診療部位",),
    "cancelled": ("刪除註記", "取消註記"),
}
"""Our names are header texts too."""

_BY_TEXT = {text: name for name, texts in VISIT_HEADERS.items() for text in (name, *texts)}
_NEEDED = ("national_id", "birth_on", "card_at", "visit_type", "visit_serial")
_TELLING = ("card_at", "visit_type", "visit_serial")
_YES = frozenset({"y", "yes", "1", "true", "是", "v", "d", "刪除", "取消"})
_NO = frozenset({"", "n", "no", "0", "false", "否"})


class _BadRow(Exception):
    """A row that cannot be used; it never leaves this module."""

    def __init__(self, column: str, value: str = "") -> None:
        self.column, self.value = column, value


def is_visit_header(cells: Sequence[str]) -> bool:
    """Whether a header tells of card events and not of results."""
    names = {_BY_TEXT.get(cell.strip().lower(), "") for cell in cells}
    return names.issuperset(_TELLING)


def read_visits_csv(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read visits and orders. A row that cannot be used is a finding and the others go on.

    Raises TextUndecodable or CsvUnreadable where the whole is no such table.
    """
    layout = profile.file_layout
    text = _text(raw, layout.encoding)
    delimiter = max(DELIMITERS, key=lambda each: text[: text.find("\n")].count(each))
    rows = csv_rows(text, delimiter)
    position = _position(next(rows, []))
    findings: list[Finding] = []
    visits: dict[tuple[object, ...], Visit] = {}
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = {name: row[at].strip() for name, at in position.items() if at < len(row)}
        try:
            _add(visits, cells, profile, f"row {number}")
        except _BadRow as bad:
            parameters = (("column", bad.column),)
            findings.append(
                Finding("visits-bad-cell", "", f"row {number}", bad.value, parameters=parameters)
            )
    content = Content.VISITS if visits else Content.NOTHING
    found = tuple(visits.values())
    return ParsedPayload(content, visits=found, findings=tuple(findings), kind="visits")


def _text(raw: bytes, encoding: str) -> str:
    """As the profile says, else UTF-8 or Big5, whichever is possible."""
    try:
        return csv_text(raw, encoding)
    except TextUndecodable:
        if codec_of(encoding) == "cp950":
            raise
        return csv_text(raw, "big5")


def _position(header: Sequence[str]) -> dict[str, int]:
    position: dict[str, int] = {}
    for index, cell in enumerate(header):
        name = _BY_TEXT.get(cell.strip().lower(), "")
        if name in position:
            place = f"columns {position[name] + 1} and {index + 1}"
            raise refuse_table(f"two headers mean {name}", f"兩個標題都代表 {name}", place)
        if name:
            position[name] = index
    for name in _NEEDED:
        if name not in position:
            zh = VISIT_HEADERS[name][0]
            raise refuse_table(f"it has no column {name} ({zh})", f"缺少欄位 {zh}", "row 1")
    return position


def _add(
    visits: dict[tuple[object, ...], Visit],
    cells: Mapping[str, str],
    profile: SourceProfile,
    place: str,
) -> None:
    cancelled = _flag(cells, "cancelled")
    code = cells.get("order_code", "").upper()
    read = _visit(cells, profile, place)
    key = (
        *(read.institution_code, read.national_id, read.birth_on, read.card_at, read.visit_type),
        *(read.visit_serial, read.newborn_birth_on, read.newborn_mark),
    )
    known = visits.get(key, read)
    if not code:
        visits[key] = replace(known, cancelled=known.cancelled or cancelled)
        return
    order = _order(cells, code, cancelled)
    visits[key] = replace(known, orders=(*known.orders, order))


def _visit(cells: Mapping[str, str], profile: SourceProfile, place: str) -> Visit:
    institution = cells.get("institution_code") or profile.clinic_code
    card_at = _moment(cells, "card_at")
    if card_at is None or card_at.precision is not Precision.SECOND:
        # A part of the key by which NHI knows the visit: seconds are not made up.
        raise _BadRow("card_at", cells.get("card_at", ""))
    birth_on = _day(cells, "birth_on")
    if birth_on is None:
        raise _BadRow("birth_on")
    return Visit(
        institution_code=_code(institution, 10, "institution_code"),
        national_id=_code(cells["national_id"].upper(), 10, "national_id"),
        birth_on=birth_on,
        card_at=card_at.at,
        visit_type=_code(cells["visit_type"], 2, "visit_type"),
        visit_serial=cells["visit_serial"],
        visit_on=_day(cells, "visit_on") or card_at.day,
        makeup_code=cells.get("makeup_code") or "1",
        institution_kind=cells.get("institution_kind") or "11",
        provider_id=cells.get("provider_id", "").upper(),
        newborn_birth_on=_day(cells, "newborn_birth_on"),
        newborn_mark=cells.get("newborn_mark", ""),
        visit_identifier=cells.get("visit_identifier", ""),
        original_visit_identifier=cells.get("original_visit_identifier", ""),
        place=place,
    )


def _order(cells: Mapping[str, str], code: str, cancelled: bool) -> Order:
    text = cells.get("quantity", "") or "1"
    quantity = parse_decimal(text)
    if quantity is None or quantity < 0:
        raise _BadRow("quantity", text)
    ordered_at = _moment(cells, "ordered_at")
    return Order(
        order_code=code,
        quantity=quantity,
        dispensing_code=cells.get("dispensing_code", ""),
        ordered_at=ordered_at.at if ordered_at else None,
        placer_order_number=cells.get("placer_order_number", ""),
        upload_opted_out=_flag(cells, "upload_opted_out"),
        body_parts=cells.get("body_parts", "").upper(),
        cancelled=cancelled,
    )


def _flag(cells: Mapping[str, str], column: str) -> bool:
    """A wish not to upload must not be lost to a word that is not known."""
    text = cells.get(column, "").lower()
    if text in _NO:
        return False
    if text in _YES:
        return True
    raise _BadRow(column, text)


def _code(text: str, length: int, column: str) -> str:
    if len(text) != length or not (text.isascii() and text.isalnum()):
        raise _BadRow(column, text)
    return text


def _day(cells: Mapping[str, str], column: str) -> date | None:
    text = cells.get(column, "")
    try:
        return read_day(text) if text else None
    except ValueError:
        raise _BadRow(column, text) from None


def _moment(cells: Mapping[str, str], column: str) -> Moment | None:
    text = cells.get(column, "")
    try:
        return read_moment(text) if text else None
    except ValueError:
        raise _BadRow(column, text) from None
