"""Joint implants (report type 4): the rows that must be there, and their bar codes.

Written from SPEC114 pp. 9-11 and 46, GS1 and HIBC; knows nothing of the checks before upload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

_GS1 = re.compile(r"\(01\)([0-9]{14})((?:\((?:10|17|20|21)\)[A-Za-z0-9]{1,20})+)")
_GS1_SHAPE = re.compile(r"(?:\([0-9]+\)[^()]*)+")
_GS1_SIGN = re.compile(r"[!-/:-@\[-`{-~ ]")
_HIBC = re.compile(r"\+[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9]/([^/]*)(?:/.*)?.", re.DOTALL)
_HIBC_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
_YEAR_DAY = re.compile(r"([0-9]{2})([0-9]{3})[A-Z0-9]{0,18}")
_MAKER = re.compile(r"[A-Za-z0-9._/-]+")
_MAKER_PARTS = re.compile(r".+?[0-9]{2}(?:0[1-9]|1[0-2]).+", re.DOTALL)


def implant_faults(rows: Sequence[Mapping[str, str]], month: str) -> Iterator[tuple[int, str, str]]:
    """``(row, tag, code)``; ``month`` is h4 and stands for the fee month of A5 and B5."""
    numbers = {row.get("r1", "").lstrip("0") for row in rows}
    if not numbers >= {"1", "2", "3", "4"}:
        yield 0, "r1", "D3"
    earliest = f"{int(month[:3]) + 1911}{month[3:]}" if re.fullmatch("[0-9]{5}", month) else ""
    for index, row in enumerate(rows, start=1):
        text = row.get("r4", "")
        if text and row.get("r1", "").lstrip("0") in ("4", "5"):
            items = text.split(";")
            if len(items) > 20:
                yield index, "r4", "D2"
            for code in filter(None, (bar_code_fault(item, earliest) for item in items)):
                yield index, "r4", code


def bar_code_fault(item: str, earliest: str) -> str:
    """The check code of one bar code, or ``""``; ``earliest`` is ``YYYYMM``."""
    if re.match(r"\(", item):
        return _gs1(item, earliest)
    if re.match(r"\+", item):
        return _hibc(item, earliest)
    if not re.match("[A-Za-z0-9]", item):
        return "D1"
    if not _MAKER.fullmatch(item):
        return "C2"
    if not 6 <= len(item) <= 100:
        return "C1"
    return "" if _MAKER_PARTS.fullmatch(item) else "C3"


def _gs1(item: str, earliest: str) -> str:
    if not _GS1_SHAPE.fullmatch(item):
        return "A6"
    if not re.fullmatch(r"\(01\)[^()]*(?:\((?:10|17|20|21)\)[^()]*)*", item):
        return "D1"
    elements = re.findall(r"\((..)\)([^()]*)", item)
    values = dict(elements)
    if len(values) < len(elements) or not values.keys() >= {"01", "10", "17"}:
        return "A1"
    for name, value in elements:
        if _GS1_SIGN.search(value):
            return "A6"
        size = {"01": 14, "17": 6, "20": 2}.get(name)
        if (len(value) != size) if size else not 1 <= len(value) <= 20:
            return "A1"
        if name == "17":
            if late := _day_fault(value, "%y%m%d", earliest, "A"):
                return late
        elif not re.fullmatch("[0-9]*" if size else "[A-Za-z0-9]*", value):
            return "A2" if size else "A3"
        elif name == "01" and not _adds_up(value):
            return "A2"
    return "" if _GS1.fullmatch(item) else "A1"


def _adds_up(gtin: str) -> bool:
    """All fourteen digits, every other one three times, make a multiple of ten."""
    return (3 * sum(map(int, gtin[::2])) + sum(map(int, gtin[1::2]))) % 10 == 0


def _hibc(item: str, earliest: str) -> str:
    if any(character not in _HIBC_ALPHABET for character in item):
        return "B3"
    product, slash, second = item[1:-1].partition("/")
    if not slash or not second or re.match(r"\$(?!\$)|\$\$7", second):
        return "B6"
    if not 6 <= len(product) <= 23:
        return "B1"
    if not re.fullmatch("[A-Z][A-Z0-9]+", product):
        return "B3"
    if not product[-1].isdigit():
        return "B2"
    fault = ""
    if second[0] != "$":
        fault = _year_day(second.partition("/")[0], earliest)
    elif re.match(r"\$\$[01][0-9]{3}", second):
        fault = _day_fault(f"{second[4:6]}{second[2:4]}00", "%y%m%d", earliest, "B")
    if fault:
        return fault
    if not _HIBC.fullmatch(item):
        return "B1"
    values = {character: value for value, character in enumerate(_HIBC_ALPHABET)}
    total = sum(values[character] for character in item[:-1])
    return "" if total % 43 == values[item[-1]] else "B7"


def _year_day(second: str, earliest: str) -> str:
    if len(second) < 5 or len(second) > 23:
        return "B1"
    if not second[:5].isdigit():
        return "B2"
    if not _YEAR_DAY.fullmatch(second):
        return "B3"
    return _day_fault(second[:5], "%y%j", earliest, "B")


def _day_fault(digits: str, form: str, earliest: str, kind: str) -> str:
    """Code 4 or 5 of ``kind``. Day 00 of a month is its end, so any day of it will do."""
    if form == "%y%m%d" and digits.endswith("00"):
        digits = digits[:-2] + "01"
    if not digits.isascii() or not digits.isdigit():
        return f"{kind}4"
    try:
        # strptime takes 69-99 for 1969-1999; implants are of this century.
        day = datetime.strptime(f"20{digits}", form.replace("%y", "%Y"))  # noqa: DTZ007
    except ValueError:
        return f"{kind}4"
    if f"{day:%y}" != digits[:2]:
        return f"{kind}4"  # strptime lets day 366 of a common year run over
    return f"{kind}5" if f"{day:%Y%m}" < earliest else ""
