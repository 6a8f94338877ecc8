"""The clinic's own IC-card upload file (健保卡資料上傳) → its visits and orders.

``RECS / REC / MSH + MB``; ``MB`` holds one ``MB1`` and any number of ``MB2`` (IC10). Big5. A
clinic's system writes it anyway: it tells every visit and order at once, without a card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from lxml import etree

from adapters.folder.formats.errors import NhiFileUnreadable, TextUndecodable
from adapters.folder.formats.ic_card_fields import (
    CANCELLING_VISIT_TYPES,
    FORMAT_1_0,
    FORMAT_2_0,
    CardFormat,
)
from adapters.folder.formats.safe_xml import decode_xml, elements, peek_root, xml_encoding
from mapping.finding import Finding, Severity
from mapping.moment import Moment, Precision
from mapping.parsed import Content, ParsedPayload
from mapping.profile import SourceProfile
from mapping.rocdate import parse_roc_date, parse_roc_moment
from mapping.values import parse_decimal
from mapping.visit import Order, Visit

_RECORD = re.compile(rb"<REC>.*?</REC>", re.DOTALL)
_UNDECODABLE = "UNDECODABLE"
_VACCINATION = "2"


class _BadRecord(Exception):
    """A record that cannot be used; it never leaves this module."""

    def __init__(self, code: str, tag: str, value: str = "") -> None:
        self.finding = (code, tag, value)


@dataclass(slots=True)
class _File:
    visits: list[Visit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    count: int = 0


def read_ic_card(raw: bytes, profile: SourceProfile) -> ParsedPayload:
    """Read an IC-card upload file of format 1.0 or 2.0.

    One visit for each usable record, vaccinations left out. A ZA or ZB event is a visit of that
    type without orders, ``cancelled``: which earlier visits it takes back is for those who know
    them. An order that is taken back, and not placed again in its record, is ``cancelled``.

    In format 1.0 ``card_mark`` is A78 and ``dispensing_code`` stays empty; in 2.0 it is D05.
    ``body_parts`` is A74 or D07 as it stands there: for orders other than CT and MRI it may be a
    tooth or a side. A record that cannot be used is a finding and the others go on. Raises
    UnreadablePayload where the whole is no such file.
    """
    root = peek_root(raw)
    if root is None or root.name != "RECS":
        raise NhiFileUnreadable(
            reason="IC-card upload file: its root is not RECS",
            reason_zh="健保卡資料上傳格式：根元素不是 RECS",
            place="root",
        )
    file = _File()
    for record in elements(_text(raw, profile.charset), "REC"):
        file.count += 1
        _add(file, record)
    content = Content.VISITS if file.visits else Content.NOTHING
    kind = "ic-card" + "".join(f" {version}" for version in sorted(file.versions))
    return ParsedPayload(
        content, visits=tuple(file.visits), findings=tuple(file.findings), kind=kind
    )


def _text(raw: bytes, charset: str) -> str:
    """The decoded file. A record with a character that nobody can decode (造字) is emptied, so
    that it alone is lost, and said."""
    try:
        return decode_xml(raw, charset)
    except TextUndecodable:
        codec = xml_encoding(raw, charset)
        if codec != "cp950":
            raise

    def keep(match: re.Match[bytes]) -> bytes:
        try:
            match.group().decode(codec)
        except UnicodeDecodeError:
            # "<" is no trail byte in Big5, so the cut is between characters.
            lines = b"\n" * match.group().count(b"\n")
            return b"<REC><%s/>%s</REC>" % (_UNDECODABLE.encode(), lines)
        return match.group()

    return decode_xml(_RECORD.sub(keep, raw), charset)


def _add(file: _File, record: etree._Element) -> None:
    place = f"REC[{file.count}]"
    if record.find(_UNDECODABLE) is not None:
        file.findings.append(Finding("ic-card-undecodable", place=place))
        return
    header = record.find("MSH")
    bodies = record.findall("MB/MB1")
    if header is None or len(bodies) != 1:
        missing = "MSH" if header is None else "MB1"
        file.findings.append(_finding("ic-card-missing", missing, "", place))
        return
    try:
        head, body = _fields(header), _fields(bodies[0])
        form = FORMAT_2_0 if "H00" in head or "M03" in body else FORMAT_1_0
        file.versions.add(form.version)
        if head.get("A00" if form is FORMAT_1_0 else "H00") == _VACCINATION:
            return
        if body.get(form.visit_type) in CANCELLING_VISIT_TYPES:
            file.visits.append(replace(_visit(body, form, (), place), cancelled=True))
            finding = "ic-card-cancellation", form.visit_type, body[form.visit_type]
            file.findings.append(_finding(*finding, place, Severity.INFORMATION))
            return
        orders = _orders(file, record, form, place)
        file.visits.append(_visit(body, form, orders, place))
    except _BadRecord as bad:
        file.findings.append(_finding(*bad.finding, place))


def _fields(element: etree._Element) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for child in element:
        tag = str(child.tag)
        if tag in fields or len(child):
            raise _BadRecord("ic-card-repeated", tag)
        fields[tag] = (child.text or "").strip()
    return fields


def _visit(
    body: Mapping[str, str], form: CardFormat, orders: tuple[Order, ...], place: str
) -> Visit:
    card_at = _time(body, form.card_at)
    if card_at is None:
        raise _BadRecord("ic-card-missing", form.card_at)
    birth_on = _day(body, form.birth_on)
    if birth_on is None:
        raise _BadRecord("ic-card-missing", form.birth_on)
    actual_on = _day(body, form.actual_visit_on)
    return Visit(
        institution_code=_required(body, form.institution_code, 10),
        national_id=_required(body, form.national_id, 10).upper(),
        birth_on=birth_on,
        card_at=card_at.at,
        visit_type=_required(body, form.visit_type, 2),
        visit_serial=body.get(form.visit_serial, ""),
        visit_on=actual_on or card_at.day,
        makeup_code=body.get(form.makeup_code) or "1",
        institution_kind=body.get(form.institution_kind) or "11",
        provider_id=body.get(form.provider_id, ""),
        newborn_birth_on=_day(body, form.newborn_birth_on),
        newborn_mark=body.get(form.newborn_mark, ""),
        visit_identifier=body.get(form.visit_identifier, ""),
        original_visit_identifier=body.get(form.original_visit_identifier, ""),
        orders=orders,
        place=place,
    )


def _orders(file: _File, record: etree._Element, form: CardFormat, place: str) -> tuple[Order, ...]:
    orders: list[Order] = []
    for number, element in enumerate(record.findall("MB/MB2"), start=1):
        line_place = f"{place}/MB2[{number}]"
        try:
            fields = _fields(element)
            kind = fields.get(form.order_kind, "")
            if kind in form.deleting_kinds:
                code = _required(fields, form.order_code).upper()
                if not _take_back(orders, code):
                    finding = "ic-card-order-deleted", form.order_code, code
                    file.findings.append(_finding(*finding, line_place, Severity.INFORMATION))
            elif kind in form.order_kinds:
                order = _order(fields, form)
                # Placed again after it was taken back: it stands.
                orders[:] = [each for each in orders if not _is_taken_back(each, order.order_code)]
                orders.append(order)
        except _BadRecord as bad:
            file.findings.append(_finding(*bad.finding, line_place))
    return tuple(orders)


def _take_back(orders: list[Order], code: str) -> bool:
    """Take back the newest order of that code in the record. Where none is left, it is known as
    cancelled: an earlier file may have placed it. True where the record itself had placed it."""
    placed = [each for each in orders if each.order_code == code and not each.cancelled]
    if placed:
        orders.remove(placed[-1])
    if len(placed) < 2 and not any(_is_taken_back(each, code) for each in orders):
        orders.append(Order(code, cancelled=True))
    return bool(placed)


def _is_taken_back(order: Order, code: str) -> bool:
    return order.cancelled and order.order_code == code


def _order(fields: Mapping[str, str], form: CardFormat) -> Order:
    ordered_at = _time(fields, form.ordered_at)
    text = fields.get(form.quantity, "")
    quantity = parse_decimal(text) if text else Decimal(1)
    if quantity is None or quantity < 0:
        raise _BadRecord("ic-card-bad-number", form.quantity, text)
    return Order(
        order_code=_required(fields, form.order_code).upper(),
        quantity=quantity,
        dispensing_code=fields.get(form.dispensing_code, ""),
        card_mark=fields.get(form.card_mark, ""),
        ordered_at=ordered_at.at if ordered_at else None,
        body_parts=fields.get(form.body_part, ""),
    )


def _required(fields: Mapping[str, str], tag: str, length: int = 0) -> str:
    text = fields.get(tag, "")
    if not text:
        raise _BadRecord("ic-card-missing", tag)
    if length and not (len(text) == length and text.isascii() and text.isalnum()):
        raise _BadRecord("ic-card-bad-code", tag, text)
    return text


def _time(fields: Mapping[str, str], tag: str) -> Moment | None:
    text = fields.get(tag, "")
    if not text:
        return None
    try:
        moment = parse_roc_moment(text)
    except ValueError:
        raise _BadRecord("ic-card-bad-date", tag, text) from None
    if moment.precision is not Precision.SECOND:
        raise _BadRecord("ic-card-bad-date", tag, text)
    return moment


def _day(fields: Mapping[str, str], tag: str) -> date | None:
    """The day of a 7-character date, or of a time that 2.0 has in its place."""
    text = fields.get(tag, "")
    if not text:
        return None
    try:
        return parse_roc_date(text) if len(text) == 7 else parse_roc_moment(text).day
    except ValueError:
        raise _BadRecord("ic-card-bad-date", tag, text) from None


def _finding(
    code: str, tag: str, value: str, place: str, severity: Severity = Severity.ERROR
) -> Finding:
    return Finding(code, "", f"{place}/{tag}", value, severity, (("tag", tag),))
