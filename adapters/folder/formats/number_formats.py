"""The text that a spreadsheet's number stands for. Workbooks keep numbers and days as binary
floating point; what a person typed and saw is found again from that and from the cell's format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

# ECMA-376 part 1, 18.8.30: built-in formats of days and times; 27-36 and 50-58 are those of East
# Asia, by the ROC calendar in Taiwan.
_DAYS = frozenset({14, 15, 16, 17, 22, *range(27, 32), 36, *range(50, 59)})
_TIMES = frozenset({18, 19, 20, 21, 32, 33, 34, 35, 45, 46, 47})
_BUILT_IN = {1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%"}
_SECONDS = frozenset({19, 21, 33, 35, 45, 46, 47})
# Texts in quotes, escaped characters, and the brackets of colours and locales mean no digits; but
# [h] counts hours.
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_FIXED = re.compile(r"#?(?:,##)?(0+)(?:\.(0+))?(%?)")
_MOST_DIGITS = 15
_LAST_SERIAL = 2958465  # 9999-12-31


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """``is_time``: the number counts days. ``whole`` and ``decimals`` are the least digits before
    and behind the point; ``percent`` shows a hundredfold."""

    is_time: bool = False
    has_seconds: bool = False
    whole: int = 0
    decimals: int = 0
    percent: bool = False


GENERAL = NumberFormat()


@lru_cache(maxsize=1024)
def number_format(number: int, code: str = "") -> NumberFormat:
    """The format by its built-in ``number``, or by its ``code`` where a workbook defines one."""
    if not code:
        if number in _DAYS or number in _TIMES:
            return NumberFormat(is_time=True, has_seconds=number in _SECONDS)
        code = _BUILT_IN.get(number, "")
    first = _LITERAL.sub("", code.split(";")[0])
    plain = first.lower()
    if plain.strip() == "general":
        return GENERAL
    if "e+" not in plain and "e-" not in plain and re.search(r"[ymdhse]", plain):
        return NumberFormat(is_time=True, has_seconds="s" in plain)
    match = _FIXED.fullmatch(first.strip())
    if match is None:
        return GENERAL
    whole, decimals, percent = match.groups()
    return NumberFormat(False, False, len(whole), len(decimals or ""), bool(percent))


def number_text(raw: str, form: NumberFormat, *, from_1904: bool = False) -> str:
    """``raw``, a number as the workbook keeps it, as a text: ``5.40`` where two decimals are
    shown, never fewer digits than are kept, never an exponent. Raises ``ValueError``."""
    number = _decimal(raw)
    if form.is_time:
        return _time_text(number, form.has_seconds, from_1904)
    if form.percent:
        number *= 100
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    before, _, behind = digits.partition(".")
    behind = behind.ljust(form.decimals, "0")
    text = f"{sign}{before.rjust(form.whole, '0')}" + (f".{behind}" if behind else "")
    return text + "%" if form.percent else text


def _decimal(raw: str) -> Decimal:
    try:
        number = Decimal(raw.strip())
        if not number.is_finite() or abs(number.adjusted()) > 60:
            raise ValueError("no number of a spreadsheet")
        if len(number.as_tuple().digits) > _MOST_DIGITS and not raw.strip().isdigit():
            # 5.4000000000000004: the seventeen digits are those of the machine, not of a person.
            number = Decimal(repr(float(raw)))
    except (InvalidOperation, OverflowError):
        raise ValueError("no number of a spreadsheet") from None
    return number


def _time_text(number: Decimal, has_seconds: bool, from_1904: bool) -> str:
    if not 0 <= number <= _LAST_SERIAL:
        raise ValueError("no day of a spreadsheet")
    # Excel believes in 1900-02-29: its days from March 1900 on are one too many.
    if not from_1904 and 1 <= number < 61:
        raise ValueError("no day that all spreadsheets agree on")
    seconds = round(number % 1 * 86400)
    epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001
    at = epoch + timedelta(days=int(number), seconds=seconds)
    time = at.strftime("%H:%M:%S" if has_seconds or at.second else "%H:%M")
    if number < 1:
        return time
    return f"{at:%Y-%m-%d} {time}" if seconds else f"{at:%Y-%m-%d}"
