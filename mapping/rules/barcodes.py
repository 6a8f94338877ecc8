"""Implant bar codes as text: GS1, HIBCC and makers' codes, with their check digits.

Forms as SPEC114 p. 46 prints them; where it prints samples only, the GS1 General Specifications
(application identifiers, modulo 10) and ANSI/HIBC 2.6 (modulo 43) stand behind them. The codes
A1-C3 are those of the check report (IAU); which of them NHI gives for which defect is not
published, so the assignment here follows their wording.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date

_ELEMENT = re.compile(r"\(([^()]*)\)([^()]*)")
_FIXED_DIGITS = {"01": 14, "17": 6, "20": 2}
_FREE = frozenset(("10", "21"))
_LONGEST_TEXT = 20
# What a scanner puts before a code to say that it is GS1, and how it gives the separator FNC1.
_SCANNED = re.compile(r"\](?:d2|C1|Q3|e0|J1)")
_SEPARATOR_INSIDE = re.compile(r"[\x1d␝]|[<＜{\[](?:GS|FNC1)[>＞}\]]", re.IGNORECASE)
_SEPARATOR = re.compile(f"^(?:{_SEPARATOR_INSIDE.pattern})", re.IGNORECASE)
_GS1_SYMBOLS = frozenset("!\"%&'()*+,-./:;<=>?_ #$@[\\]^`{|}~")

_HIBC_VALUES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
_HIBC_TEXT = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LONGEST_PRODUCT_CODE = 18
_LONGEST_LOT = 18
# After "$$": the form of the expiry date by its first digit; none of these digits means MMYY.
_HIBC_DATES = {"2": "MMDDYY", "3": "YYMMDD", "4": "YYMMDDHH", "5": "YYJJJ", "6": "YYJJJHH"}
_HIBC_QUANTITY = {"8": 2, "9": 5}

_MAKER_TEXT = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._/")
_MAKER_SHORTEST, _MAKER_LONGEST = 6, 100
_YEAR_AND_MONTH = re.compile(r"[0-9]{2}(?:0[1-9]|1[0-2])")


def bar_code_problem(code: str, month: str) -> str:
    """The NHI code of what is wrong with one bar code, or ``""``.

    ``month`` is the first month in which the implant may expire, as ``YYYYMM`` of the common
    era, or ``""`` when it is not known. The kind is told by the first character: ``(`` GS1,
    ``+`` HIBCC, a letter or digit a maker's code; anything else is D1.
    """
    if code.startswith("("):
        return _gs1_problem(code, month)
    if code.startswith("+"):
        return _hibcc_problem(code, month)
    if code[:1].isascii() and code[:1].isalnum():
        return _maker_problem(code)
    return "D1"


def bracketed_gs1(code: str) -> str:
    """A GS1 bar code as a scanner gives it (identifiers run together, FNC1 as a separator) with
    the brackets that SPEC114 p. 46 prints, or ``""`` for any other text. What follows a lot
    number without a separator cannot be told from it and stays in it."""
    text = _SCANNED.sub("", code, count=1)
    if text.startswith(("(", "+")):
        return ""
    elements: list[str] = []
    rest = text
    while rest:
        rest = _SEPARATOR.sub("", rest, count=1)
        name, value = rest[:2], rest[2:]
        length = _FIXED_DIGITS.get(name)
        if (length is None and name not in _FREE) or not (elements or name == "01"):
            return ""
        if length is None:
            end = _SEPARATOR_INSIDE.search(value)
            length = end.start() if end else len(value)
        element, rest = value[:length], value[length:]
        if len(element) < length or not element or (name in _FIXED_DIGITS and not _digits(element)):
            return ""
        if name == "01" and element[-1] != gs1_check_digit(element[:-1]):
            return ""
        elements.append(f"({name}){element}")
    return "".join(elements)


def gs1_check_digit(digits: str) -> str:
    """The last digit of a GTIN whose other digits are ``digits`` (modulo 10, weights 3 and 1)."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def hibcc_check_character(text: str) -> str:
    """The modulo 43 character over ``text``. Raises ``ValueError`` for a character outside the
    HIBC set."""
    return _HIBC_VALUES[sum(map(_HIBC_VALUES.index, text)) % 43]


def _gs1_problem(code: str, month: str) -> str:
    elements = _ELEMENT.findall(code)
    if "".join(f"({name}){value}" for name, value in elements) != code:
        return "A6"
    names = [name for name, _ in elements]
    if names[0] != "01" or not set(names) <= {"01", "10", "17", "20", "21"}:
        return "D1"
    if len(set(names)) != len(names) or not {"01", "10", "17"} <= set(names):
        return "A1"
    found = (_gs1_element_problem(name, value, month) for name, value in elements)
    return next(filter(None, found), "")


def _gs1_element_problem(name: str, value: str, month: str) -> str:
    if not _GS1_SYMBOLS.isdisjoint(value):
        return "A6"
    length = _FIXED_DIGITS.get(name)
    if length is None:
        if not 1 <= len(value) <= _LONGEST_TEXT:
            return "A1"
        return "" if value.isascii() and value.isalnum() else "A3"
    if len(value) != length:
        return "A1"
    if not _digits(value):
        return "A4" if name == "17" else "A2"
    if name == "01":
        return "" if value[-1] == gs1_check_digit(value[:-1]) else "A2"
    return _expiry_problem(value, "YYMMDD", month, ("A4", "A5")) if name == "17" else ""


def _hibcc_problem(code: str, month: str) -> str:
    body, check = code[:-1], code[-1]
    if not set(code) <= set(_HIBC_VALUES):
        return "B3"
    product, slash, rest = body[1:].partition("/")
    if not slash:
        return "B6"
    if not 6 <= len(product) <= 5 + _LONGEST_PRODUCT_CODE:
        return "B1"
    if not (product[0].isalpha() and _HIBC_TEXT.issuperset(product)):
        return "B3"
    if not product[-1].isdigit():
        return "B2"
    problem = _hibcc_second_part(rest.partition("/")[0], month)
    if problem:
        return problem
    return "" if check == hibcc_check_character(body) else "B7"


def _hibcc_second_part(part: str, month: str) -> str:
    form = "YYJJJ"
    if part.startswith("$"):
        if not part.startswith("$$") or part[2:3] == "7":
            return "B6"
        part = part[2:]
        if part[:1] in _HIBC_QUANTITY:
            part = part[1 + _HIBC_QUANTITY[part[0]] :]
        form = _HIBC_DATES.get(part[:1], "MMYY")
        part = part[1:] if form != "MMYY" else part
    expiry, lot = part[: len(form)], part[len(form) :]
    if not part:
        return "B6"
    if len(expiry) < len(form) or len(lot) > _LONGEST_LOT:
        return "B1"
    if not _digits(expiry):
        return "B2"
    if not _HIBC_TEXT.issuperset(lot):
        return "B3"
    return _expiry_problem(expiry, form, month, ("B4", "B5"))


def _maker_problem(code: str) -> str:
    """REF, expiry year and month, LOT, written together (IAU: 06-2805, 2019-11, MNPYX2 →
    06-28051911MNPYX2). The parts have no bounds, so a month must stand anywhere inside."""
    if not _MAKER_TEXT.issuperset(code):
        return "C2"
    if not _MAKER_SHORTEST <= len(code) <= _MAKER_LONGEST:
        return "C1"
    inside = code[1:-1]
    places = range(len(inside) - 3)
    return "" if any(_YEAR_AND_MONTH.match(inside, place) for place in places) else "C3"


def _expiry_problem(digits: str, form: str, month: str, codes: tuple[str, str]) -> str:
    no_date, too_early = codes
    expires = _expiry_month(digits, form)
    if not expires:
        return no_date
    return too_early if expires < month else ""


def _expiry_month(digits: str, form: str) -> str:
    """``YYYYMM``, or ``""`` when there is no such day. Day 00 means the end of the month (GS1);
    two-digit years are of this century, since no implant of the last one can still be used."""
    parts = {letter: int(digits[form.index(letter) : form.rindex(letter) + 1]) for letter in form}
    year, day = 2000 + parts["Y"], parts.get("D", 0)
    if "J" in parts:
        number, last = parts["J"], 366 if monthrange(year, 2)[1] == 29 else 365
        if not 1 <= number <= last:
            return ""
        found = date.fromordinal(date(year, 1, 1).toordinal() + number - 1)
        return f"{found:%Y%m}"
    if not 1 <= parts["M"] <= 12 or day > monthrange(year, parts["M"])[1]:
        return ""
    return f"{year}{parts['M']:02d}"


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
