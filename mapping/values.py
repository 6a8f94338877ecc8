"""What can be known from a result text without touching it: numbers, sides, positivity.

Numbers follow a strict ASCII grammar and become ``Decimal``; ``1e3``, ``5_6``, ``５.６``,
``1,200`` and ``nan`` are text. Nothing here rewrites a value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from mapping.report import ReferenceRange

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_COMPARATORS = {
    "<": "<",
    "＜": "<",
    ">": ">",
    "＞": ">",
    **dict.fromkeys(("<=", "=<", "≦", "≤", "＜＝", "＜="), "<="),
    **dict.fromkeys((">=", "=>", "≧", "≥", "＞＝", "＞="), ">="),
}

# HL7 table 0078 and FHIR v3-ObservationInterpretation. Only letters that speak of the reference:
# S I R (susceptibility), U D B W (trends), "<" ">" (instrument limits) do not.
_OUTSIDE = frozenset({"H", "HH", "HU", "L", "LL", "LU", "A", "AA", "POS", "↑", "↓", "↑↑", "↓↓"})
_WITHIN = frozenset({"N", "NEG"})

# r4-1 (SPEC114 p. 11): 1 Positive, 0 Negative, U Not Determined, X Not Applicable.
_POSITIVITY = {
    **dict.fromkeys(
        ("positive", "pos", "+", "(+)", "（+）", "reactive", "detected", "陽", "陽性"), "1"
    ),
    **dict.fromkeys(("陽性反應", "有反應", "檢出"), "1"),
    **dict.fromkeys(
        ("negative", "neg", "(-)", "（-）", "non-reactive", "nonreactive", "non reactive"), "0"
    ),
    **dict.fromkeys(
        ("not detected", "target not detected", "undetected", "陰", "陰性", "陰性反應"), "0"
    ),
    **dict.fromkeys(("無反應", "未檢出"), "0"),
    **dict.fromkeys(("indeterminate", "equivocal", "borderline", "gray zone", "grey zone"), "U"),
    **dict.fromkeys(("not determined", "灰色地帶", "未定", "無法判定"), "U"),
    **dict.fromkeys(("not applicable", "n/a", "不適用"), "X"),
}
_WITH_NUMBER = re.compile(r"([^0-9<>.:]+?)[\s:]*[(（]\s*[<>]?=?\s*[0-9]+(?:\.[0-9]+)?\s*[)）]")
# "陰性(-)", "POSITIVE (+)": a word and its sign, which must not contradict each other.
_WITH_SIGN = re.compile(r"(.+?)\s*([(（]\s*[+-]\s*[)）])")
_LONGEST_NUMBER = 64


class Quantity(NamedTuple):
    """A number with the comparator before it (``<``, ``<=``, ``>``, ``>=`` or ``""``)."""

    comparator: str
    number: Decimal


def parse_decimal(text: str) -> Decimal | None:
    """The number that ``text`` is, or None. Blanks around it are the only thing forgiven."""
    text = text.strip(" ")
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def parse_quantity(text: str) -> Quantity | None:
    """A number with an optional comparator: ``<0.1``, ``>=60``, ``≦5.0``, ``＜ 200``; else None."""
    text = text.strip(" ")
    for length in (2, 1):
        comparator = _COMPARATORS.get(text[:length])
        if comparator is not None:
            number = parse_decimal(text[length:])
            return None if number is None else Quantity(comparator, number)
    number = parse_decimal(text)
    return None if number is None else Quantity("", number)


def is_outside(
    value: str, reference: ReferenceRange, abnormal_flags: tuple[str, ...] = ()
) -> bool | None:
    """Whether the result differs from its reference (r12, SPEC114 p. 13): the lab's own flag
    first, else the numbers; None where it cannot be known."""
    flagged = outside_by_flag(abnormal_flags)
    return outside_by_range(value, reference) if flagged is None else flagged


@lru_cache(maxsize=1024)
def outside_by_flag(abnormal_flags: tuple[str, ...]) -> bool | None:
    """What the abnormal flags (OBX-8, interpretation) say; None for none, or a contradiction."""
    outside = within = False
    for flag in abnormal_flags:
        letter = flag.strip().upper()
        outside = outside or letter in _OUTSIDE
        within = within or letter in _WITHIN
    return None if outside == within else outside


def outside_by_range(value: str, reference: ReferenceRange) -> bool | None:
    """What the bounds say. ``<0.1`` against ``0-4`` stays unknown: it may lie on either side.

    Equal bounds (``0``/``0``) are how some labs write "none" and decide nothing. A qualitative
    value that repeats the reference word for word is within.
    """
    if reference.text:
        same = value.strip().casefold() == reference.text.strip().casefold()
        return False if same and value.strip() else None
    if not (reference.low or reference.high) or len(value) > _LONGEST_NUMBER:
        return None
    return _by_bounds(value, reference.low, reference.high)


def positivity(text: str) -> str:
    """r4-1 for a qualitative result: ``1``, ``0``, ``U``, ``X``, or ``""`` where it is not plain.

    Only whole words count, with at most the reading in brackets behind them
    (``Non-reactive (0.05)``) or the sign that says the same (``陰性(-)``); "weak positive",
    "1+", a titre or a bare number are left to a person.
    """
    word = " ".join(text.split()).casefold()
    answer = _POSITIVITY.get(word)
    if answer is None and (match := _WITH_NUMBER.fullmatch(word)):
        answer = _POSITIVITY.get(match.group(1).strip())
    if answer is None and (match := _WITH_SIGN.fullmatch(word)):
        answer = _POSITIVITY.get(match.group(1))
        sign = "1" if "+" in match.group(2) else "0"
        answer = answer if answer == sign else None
    return answer or ""


@lru_cache(maxsize=16384)
def _by_bounds(value: str, low_text: str, high_text: str) -> bool | None:
    quantity = parse_quantity(value)
    low = parse_quantity(low_text) if low_text else None
    high = parse_quantity(high_text) if high_text else None
    if quantity is None or (low is None and low_text) or (high is None and high_text):
        return None
    if low and high and low.number >= high.number:
        return None
    # A comparator that contradicts its side ("<200" as the lower bound) decides nothing.
    if (low and low.comparator[:1] == "<") or (high and high.comparator[:1] == ">"):
        return None
    below = _is_below(quantity, low) if low else False
    above = _is_above(quantity, high) if high else False
    if below or above:
        return True
    return None if below is None or above is None else False


def _is_below(value: Quantity, low: Quantity) -> bool | None:
    """Is every value that ``value`` may stand for under the lower bound? None: some are."""
    strict_bound = low.comparator == ">"
    if value.comparator[:1] == "<":
        surely = value.number < low.number or (
            value.number == low.number and (value.comparator == "<" or strict_bound)
        )
        return True if surely else None
    reaches = value.number < low.number or (
        value.number == low.number and strict_bound and value.comparator != ">"
    )
    if not reaches:
        return False
    return None if value.comparator else True


def _is_above(value: Quantity, high: Quantity) -> bool | None:
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
    return _is_below(
        Quantity(mirrored.get(value.comparator, ""), -value.number),
        Quantity(mirrored.get(high.comparator, ""), -high.number),
    )
