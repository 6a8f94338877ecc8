"""Rows whose values have rules of their own: implants, DM/CKD care, HIV (SPEC114 tables 4-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mapping.catalogue.tables import ProgrammeItem, programme_item
from mapping.finding import Finding, Severity
from mapping.rocdate import is_roc_date

_NUMBER = re.compile(r"-?[0-9]+(?:\.([0-9]+))?")


def programme_findings(order_code: str, row: Mapping[str, str], place: str) -> Iterator[Finding]:
    """Codes 01, 03, 04, 05, 07 and 09 of a row that a special programme names."""
    item = programme_item(order_code, row.get("r1", ""))
    if item is None:
        return
    for tag in item.blank:
        if row.get(tag):
            yield Finding("07", tag, place, row[tag])
    if item.report_type == "4" and item.unit and not row.get("r5"):
        yield Finding("01", "r5", place)
    tag = "r7" if item.kind == "report-code" else "r4"
    value = row.get(tag, "")
    if value and (code := _value_code(item, value)):
        severity = Severity.WARNING if code == "result-word-not-listed" else Severity.ERROR
        yield Finding(code, tag, place, value, severity)


def _value_code(item: ProgrammeItem, value: str) -> str:
    if item.kind == "number":
        number = _NUMBER.fullmatch(value)
        if number is None:
            return "05"
        decimals = len(number.group(1) or "")
        return "09" if item.decimals is not None and decimals > item.decimals else ""
    if item.kind == "date":
        return "" if is_roc_date(value) else "04"
    if item.kind == "institution":
        return "" if len(value) == 10 and value.isascii() and value.isalnum() else "03"
    if item.kind in ("code", "report-code"):
        return "" if value in item.values else "03"
    if item.kind == "code-list":
        return "" if item.values.issuperset(value) else "03"
    if item.kind == "word":
        return "" if value in item.values else "result-word-not-listed"
    return ""
