"""An institution's claim as its own system exports it: the claims XML, or a table of its lines.

門診 ``outpatient`` and 住院 ``inpatient``: ``tdata``, then ``ddata`` with ``dhead``, ``dbody`` and
a ``pdata`` for each order (門診／住院醫療費用點數申報格式; tags as public programs write them).
A table is CSV in Big5 or UTF-8 with the official field names as its header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from lxml import etree

from adapters.folder.formats.list_table import ListUnreadable, table_rows
from adapters.folder.formats.safe_xml import decode_xml, elements, peek_root
from mapping.claim import ClaimLine
from mapping.monthly import ClaimKeys
from mapping.rocdate import is_roc_time, parse_roc_date

_ROOTS = ("outpatient", "inpatient")


@dataclass(frozen=True, slots=True)
class _Tags:
    """The tags of one kind of claim, by what they mean here."""

    birth_on: str
    day: str
    last_day: str
    period: tuple[str, str]
    visit_serial: str
    order_code: str
    order_serial: str
    started: str = "p14"


_OUTPATIENT = _Tags("d11", "d9", "d10", ("", ""), "d29", "p4", "p13")
_INPATIENT = _Tags("d6", "d10", "d11", ("d12", "d13"), "d17", "p3", "p1")

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "institution_code": ("醫事機構代碼", "服務機構代號", "服務機構代碼", "醫事機構代號"),
    "fee_month": ("費用年月",),
    "kind": ("申報類別",),
    "claimed_on": ("申報日期",),
    "case_type": ("案件分類",),
    "case_serial": ("流水編號", "流水號"),
    "national_id": ("身分證統一編號", "身分證號", "身分證字號"),
    "birth_on": ("出生年月日", "出生日期"),
    "day": ("就醫日期", "入院年月日"),
    "last_day": ("治療結束日期", "出院年月日"),
    "period_from": ("申報期間-起",),
    "period_to": ("申報期間-迄",),
    "visit_serial": ("就醫序號",),
    "order_serial": ("醫令序",),
    "order_code": ("醫令代碼", "藥品(項目)代號", "項目代號"),
    "started": ("執行時間-起",),
}
_NEEDED = ("institution_code", "fee_month", "national_id", "day", "order_code")


def is_claim_xml(raw: bytes) -> bool:
    """Whether the root is that of a claim."""
    root = peek_root(raw)
    return root is not None and root.name in _ROOTS


def read_claim_list(raw: bytes) -> tuple[ClaimLine, ...]:
    """Every order line of a claim.

    A line that cannot be read makes the whole unreadable: a claim with a hole would make good
    records look as if they were not claimed. Raises UnreadablePayload.
    """
    return tuple(_from_xml(raw) if is_claim_xml(raw) else _from_table(raw))


def _from_xml(raw: bytes) -> Iterator[ClaimLine]:
    root = peek_root(raw)
    tags = _INPATIENT if root is not None and root.name == "inpatient" else _OUTPATIENT
    text = decode_xml(raw, "big5")
    totals = [_values(each) for each in elements(text, "tdata")]
    if len(totals) != 1:
        raise ListUnreadable.of("tdata must be there once", "tdata 應有一筆", "tdata")
    for number, case in enumerate(elements(text, "ddata"), start=1):
        head, body = case.find("dhead"), case.find("dbody")
        if body is None:
            raise ListUnreadable.of("dbody is missing", "缺少 dbody", f"ddata[{number}]")
        visit = _values(body)
        if head is not None:
            visit |= _values(head)
        for index, order in enumerate(body.findall("pdata"), start=1):
            place = f"ddata[{number}]/pdata[{index}]"
            values = _values(order)
            if not values.get(tags.order_code):
                continue
            yield _line(_named(totals[0], visit, values, tags), place)


def _named(
    total: Mapping[str, str], visit: Mapping[str, str], order: Mapping[str, str], tags: _Tags
) -> dict[str, str]:
    return {
        "institution_code": total.get("t2", ""),
        "fee_month": total.get("t3", ""),
        "kind": total.get("t5", ""),
        "claimed_on": total.get("t6", ""),
        "case_type": visit.get("d1", ""),
        "case_serial": visit.get("d2", ""),
        "national_id": visit.get("d3", ""),
        "birth_on": visit.get(tags.birth_on, ""),
        "day": visit.get(tags.day, ""),
        "last_day": visit.get(tags.last_day, ""),
        "period_from": visit.get(tags.period[0], ""),
        "period_to": visit.get(tags.period[1], ""),
        "visit_serial": visit.get(tags.visit_serial, ""),
        "order_serial": order.get(tags.order_serial, ""),
        "order_code": order.get(tags.order_code, ""),
        "started": order.get(tags.started, ""),
    }


def _values(element: etree._Element) -> dict[str, str]:
    return {
        str(child.tag): child.text.strip()
        for child in element
        if not len(child) and child.text and child.text.strip()
    }


def _from_table(raw: bytes) -> Iterator[ClaimLine]:
    for place, row in table_rows(raw, _COLUMNS, _NEEDED):
        if row.get("order_code"):
            yield _line(row, place)


def _line(row: Mapping[str, str], place: str) -> ClaimLine:
    for name in _NEEDED:
        if not row.get(name):
            column = _COLUMNS[name][0]
            raise ListUnreadable.of(f"{column} is empty", f"{column}空白", place)
    started = row.get("started", "")
    day = _day(row, "day", place)
    fee_month = _date(f"{row['fee_month']}01", "fee_month", place)
    return ClaimLine(
        institution_code=row["institution_code"],
        national_id=row["national_id"].upper(),
        birth_on=_day(row, "birth_on", place),
        day=day or fee_month,
        last_day=_day(row, "last_day", place),
        order_code=row["order_code"].upper(),
        fee_month=fee_month,
        kind=row.get("kind") or "1",
        # Orders of other kinds write nothing or zeros here.
        started=started if is_roc_time(started) else "",
        keys=_keys(row, fee_month, place),
    )


def _keys(row: Mapping[str, str], fee_month: date, place: str) -> ClaimKeys | None:
    names = ("kind", "claimed_on", "case_type", "case_serial", "order_serial")
    if not all(row.get(name) for name in names):
        return None
    claimed_on = _day(row, "claimed_on", place)
    first, last = _day(row, "period_from", place), _day(row, "period_to", place)
    return ClaimKeys(
        fee_month=fee_month,
        kind=row["kind"],
        claimed_on=claimed_on or fee_month,
        case_type=row["case_type"],
        case_serial=_number(row, "case_serial", place),
        order_serial=_number(row, "order_serial", place),
        period=(first, last) if first and last else None,
        visit_serial=row.get("visit_serial", ""),
        treated_until=_day(row, "last_day", place) if not first else None,
    )


def _day(row: Mapping[str, str], name: str, place: str) -> date | None:
    text = row.get(name, "")
    return _date(text, name, place) if text else None


def _date(text: str, name: str, place: str) -> date:
    try:
        return parse_roc_date(text)
    except ValueError:
        column = _COLUMNS[name][0]
        raise ListUnreadable.of(
            f"{column} is no date in years of the Republic", f"{column}不是民國日期", place
        ) from None


def _number(row: Mapping[str, str], name: str, place: str) -> int:
    text = row[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        column = _COLUMNS[name][0]
        raise ListUnreadable.of(f"{column} is no number", f"{column}不是數字", place)
    return int(text)
