"""Rows whose values have rules of their own: implants, DM/CKD care, PD-L1, HIV, SARS-CoV-2, NGS
(SPEC114 tables 4, 5, 8, 10-14)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from mapping.catalogue.programmes import (
    ProgrammeItem,
    closed_numbers,
    companions,
    has_programme,
    programme_item,
)
from mapping.finding import Finding, Severity
from mapping.rocdate import is_roc_date
from mapping.rules.order import fold_name, fold_unit

_NUMBER = re.compile(r"-?[0-9]+(?:\.([0-9]+))?")
_IMPLANT = "4"
_POSITIVITY_OF_WORD = {"陽": "1", "陰": "0"}


def programme_findings(order_code: str, row: Mapping[str, str], place: str) -> Iterator[Finding]:
    """Codes 01, 03, 04, 05, 06, 07, 08 and 09 of a row that a special programme names.

    Code 08 stands for a number outside its interval: r1 of an order code whose row numbers are
    fixed (PD-L1 1-4, implants 1-5, the virtual codes), and the ASA class.
    """
    number = row.get("r1", "").lstrip("0")
    item = programme_item(order_code, number)
    if item is None:
        allowed = closed_numbers(order_code)
        if allowed and number.isascii() and number.isdigit():
            listed = (("allowed", f": {', '.join(sorted(allowed, key=int))}"),)
            yield Finding("08", "r1", place, row["r1"], parameters=listed)
        return
    for tag in item.blank:
        if row.get(tag):
            yield Finding("07", tag, place, row[tag])
    unit = row.get("r5", "")
    if item.report_type == _IMPLANT and item.unit and not unit:
        yield Finding("01", "r5", place)
    tag = "r7" if item.kind == "report-code" else "r4"
    value = row.get(tag, "")
    if value and (code := _value_code(item, value)):
        severity = Severity.WARNING if code == "result-word-not-listed" else Severity.ERROR
        yield Finding(code, tag, place, value, severity, _allowed(item, code))
    name = row.get("r2", "")
    if name and item.name and fold_name(name) != fold_name(item.name):
        about = (("allowed", f": {item.name}"),)
        yield Finding("item-name-differs", "r2", place, name, Severity.WARNING, about)
    if unit and item.unit and fold_unit(unit) != fold_unit(item.unit):
        about = (("allowed", f": {item.unit}"),)
        yield Finding("unit-not-listed", "r5", place, unit, Severity.WARNING, about)
    judged = row.get("r4-1", "")
    if (
        item.kind == "word"
        and judged in ("0", "1")
        and _POSITIVITY_OF_WORD.get(value, judged) != judged
    ):
        yield Finding("positivity-differs", "r4-1", place, judged, Severity.WARNING)


def is_of_programme(order_code: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether any of the checks of this module looks at values of these rows."""
    if not has_programme(order_code):
        return False
    if companions(order_code) or closed_numbers(order_code):
        return True
    numbers = (row.get("r1", "").lstrip("0") for row in rows)
    return any(programme_item(order_code, number) is not None for number in numbers)


def companion_findings(order_code: str, rows: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    """A warning where the value of one row asks for another row (Y00009, Y00010, 14074C)."""
    needed = companions(order_code)
    if not needed:
        return
    numbers = {row.get("r1", "").lstrip("0") for row in rows}
    for index, row in enumerate(rows, start=1):
        for each in needed:
            if row.get("r1", "").lstrip("0") != each.number or each.needs in numbers:
                continue
            value = row.get("r4", "")
            item = programme_item(order_code, each.number)
            several = item is not None and item.kind == "code-list"
            if value == each.value or (several and each.value in value):
                parameters = (("needs", each.needs),)
                place = f"rdata[{index}]"
                yield Finding(
                    "companion-row-missing", "r1", place, value, Severity.WARNING, parameters
                )


def _allowed(item: ProgrammeItem, code: str) -> tuple[tuple[str, str], ...]:
    """What the row may say, for the finding of ``code``."""
    told = ""
    if code in ("03", "result-word-not-listed"):
        told = ", ".join(sorted(item.values))
    elif code == "08" and item.interval:
        told = f"{item.interval[0]}-{item.interval[1]}"
    elif code == "09":
        told = f"≤ {item.decimals}"
    return (("allowed", f": {told}"),) if told else ()


def _value_code(item: ProgrammeItem, value: str) -> str:
    if item.kind == "number":
        return _number_code(item, value)
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


def _number_code(item: ProgrammeItem, value: str) -> str:
    number = _NUMBER.fullmatch(value)
    if number is None:
        return "05"
    if len(number.group(1) or "") > (len(value) if item.decimals is None else item.decimals):
        return "09"
    if item.positive and (value.startswith("-") or not value.strip("0.")):
        return "06"
    if item.interval and not item.interval[0] <= int(value[:9]) <= item.interval[1]:
        return "08"
    return ""
