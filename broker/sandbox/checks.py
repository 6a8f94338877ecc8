"""The checks that follow reception: each fault is a code of the published list at one field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.sandbox.calendar import is_moment, parse_day
from broker.sandbox.implants import implant_faults
from broker.sandbox.programmes import programme_faults
from broker.sandbox.settings import SandboxSettings
from broker.sandbox.tables import (
    TEXT_FIELDS,
    FieldForm,
    code_values,
    field_forms,
    report_types,
)
from broker.sandbox.upload_document import UploadedOrder

_OUTPATIENT = frozenset(("11", "12", "13", "14", "15", "19", "50"))
_INPATIENT = frozenset(("21", "22", "29"))
_POSITIVITY = frozenset(("14051C", "12185C", "12215C", "14084C"))
_STRICT_POSITIVITY = frozenset(("12215C", "14084C"))
_BODY_PART = frozenset(("33070B", "33071B", "33072B", "33084B", "33085B"))
_XML_SPECIALS = frozenset("<>&'\"")
_UPPER_ALPHANUMERIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NEWBORN_DAYS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """``row`` counts from 1; 0 is the header. ``tag`` is the field that is marked."""

    row: int
    tag: str
    code: str


def check_document(
    orders: Sequence[UploadedOrder], institution: str, upload_day: str, settings: SandboxSettings
) -> list[list[Fault]]:
    """The faults of each order, in the order of the file. ``upload_day`` is ``YYYMMDD``."""
    seen: set[tuple[str, ...]] = set()
    answer = []
    for order in orders:
        faults = [*_structure(order), *_header(order, institution, upload_day, settings)]
        if order.key in seen:
            faults.append(Fault(0, "h15", "25"))
        seen.add(order.key)
        for index, row in enumerate(order.rows, start=1):
            faults.extend(_row(index, row, order.header))
        if order.header.get("h1") == "4":
            month = order.header.get("h4", "")
            faults.extend(Fault(*found) for found in implant_faults(order.rows, month))
        answer.append(_once(faults))
    return answer


def _structure(order: UploadedOrder) -> Iterator[Fault]:
    for tag in order.repeated:
        yield Fault(0, tag, "02")
    if not order.rows:
        yield Fault(0, "h1", "02")
    for index, part, fields in (
        (0, "h", order.header),
        *((number, "r", row) for number, row in enumerate(order.rows, start=1)),
    ):
        last = -1
        for tag in fields:
            form = field_forms().get(tag)
            position = _POSITIONS.get(tag, -1)
            if form is None or form.part != part or position < last:
                yield Fault(index, tag, "02")
            last = max(last, position)


def _header(
    order: UploadedOrder, institution: str, upload_day: str, settings: SandboxSettings
) -> Iterator[Fault]:
    header = order.header
    kind, report_type, code = (header.get(tag, "") for tag in ("h3", "h1", "h15"))
    yield from _forms(0, "h", header, report_type, kind)
    if header.get("h2", "") != institution:
        yield Fault(0, "h2", "22")
    if header.get("h16", "")[:7] != upload_day:
        yield Fault(0, "h16", "22")
    if header.get("h4") and header.get("h20") and header["h4"] != header["h20"][:5]:
        yield Fault(0, "h4", "10")
    yield from _newborn(header)
    if code in _BODY_PART and not header.get("h25"):
        yield Fault(0, "h25", "15")
    if not set(header.get("h25", "")) <= code_values()["h25"]:
        yield Fault(0, "h25", "16")
    if header.get("h26") in ("3", "5") and not header.get("h27"):
        yield Fault(0, "h27", "01")
    if settings.institutions is not None:
        for tag in ("h2", "h27"):
            if header.get(tag) and header[tag] not in settings.institutions:
                yield Fault(0, tag, "28")
    listed = report_types().get(code)
    if listed is None and code and code not in settings.fee_schedule:
        yield Fault(0, "h15", "37")
    if listed is not None and report_type != listed:
        yield Fault(0, "h1", "30")


def _newborn(header: dict[str, str]) -> Iterator[Fault]:
    birth, mark = header.get("h23", ""), header.get("h24", "")
    if mark and not birth:
        yield Fault(0, "h23", "11")
    if birth and not mark:
        yield Fault(0, "h24", "12")
    if mark and not (len(mark) == 1 and mark.isascii() and mark.isalpha()):
        yield Fault(0, "h24", "03")
    born = parse_day(birth)
    visit = parse_day(header.get("h11", "") or header.get("h13", ""))
    if born and visit and not 0 <= (visit - born).days <= _NEWBORN_DAYS:
        yield Fault(0, "h23", "13")


def _row(index: int, row: dict[str, str], header: dict[str, str]) -> Iterator[Fault]:
    report_type, code = header.get("h1", ""), header.get("h15", "")
    yield from _forms(index, "r", row, report_type, header.get("h3", ""))
    if row.get("r1", "").isdecimal() and int(row["r1"]) <= 0:
        yield Fault(index, "r1", "06")
    if report_type == "1" and not row.get("r6-1") and not row.get("r6-2"):
        yield Fault(index, "r6-1", "14")
    judged = row.get("r4-1", "")
    if code in _POSITIVITY and not judged:
        yield Fault(index, "r4-1", "03")
    for tag, fault in programme_faults(code, row):
        yield Fault(index, tag, fault)
    if code in _STRICT_POSITIVITY and judged in ("U", "X"):
        yield Fault(index, "r4-1", "03")


def _forms(
    index: int, part: str, fields: dict[str, str], report_type: str, kind: str
) -> Iterator[Fault]:
    for form in field_forms().values():
        if form.part != part:
            continue
        value = fields.get(form.tag, "")
        if not value:
            if _is_required(form.required, report_type, kind):
                yield Fault(index, form.tag, form.missing)
        elif code := _wrong(form, value):
            yield Fault(index, form.tag, code)


def _is_required(rule: str, report_type: str, kind: str) -> bool:
    if rule in ("", "always"):
        return rule == "always"
    if rule == "outpatient":
        return kind in _OUTPATIENT
    if rule == "inpatient":
        return kind in _INPATIENT
    return report_type in rule.split("|")


def _wrong(form: FieldForm, value: str) -> str:
    """The code of what is wrong with ``value``, or ``""``."""
    if form.form in ("date", "month", "datetime", "moment"):
        return "" if _is_date(form.form, value) else form.wrong
    if form.form == "digits":
        good = value.isascii() and value.isdecimal() and len(value) <= form.length
        return "" if good else form.wrong
    if form.form == "fixed":
        allowed = code_values().get(form.tag)
        if allowed is not None:
            return "" if value in allowed else form.wrong
        if len(value) != form.length:
            return "01"
        return "" if form.tag == "h24" or set(value) <= _UPPER_ALPHANUMERIC else form.wrong
    if form.tag in TEXT_FIELDS and not _XML_SPECIALS.isdisjoint(value):
        return "02"
    try:
        # Full-width counts four bytes on paper (SPEC114 p. 2), yet official names exceed that.
        return "" if len(value.encode("cp950")) <= form.length else form.wrong
    except UnicodeEncodeError:
        return "02"  # came in as a numeric character reference


def _is_date(form: str, value: str) -> bool:
    if form == "month":
        return len(value) == 5 and parse_day(value + "01") is not None
    if form == "date":
        return parse_day(value) is not None
    return is_moment(value, (13,) if form == "datetime" else (11, 13))


def _once(faults: list[Fault]) -> list[Fault]:
    """Without repeats; by row, then as found."""
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.row)


_POSITIONS = {tag: position for position, tag in enumerate(field_forms())}
