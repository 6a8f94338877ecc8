"""Reference ranges as laboratories write them, read into bounds without changing a character.

A bound is always a piece of the text that was sent. One-sided ranges go to their side *with*
the comparator that the lab wrote (``<200`` → high ``<200``): a bare ``200`` would say "≦200",
which the lab did not. Whatever is not surely a range stays text (SPEC114 p. 12: a textual
reference goes in r6-1 alone). The forms are those counted in real messages: ``70-100``,
``0.4 - 4.0 mIU/L``, ``< 200``, ``≧60``, ``0 to 17``, ``男:13-17 女:12-15``, ``[70][140]`` …
"""

from __future__ import annotations

import re
from functools import lru_cache

from mapping.report import ReferenceRange
from mapping.values import parse_decimal

# Mindray sends "-" and HL7 '""' where it has no range; none of these says anything.
_NOTHING = frozenset({"", '""', "-", "--", "---", "－", "—"})

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_COMPARATOR = r"(?:<=|>=|=<|=>|＜＝|＞＝|＜=|＞=|[<>＜＞≦≧≤≥])"
_UNIT = (
    r"%|‰|fl|pg|ng|sec|secs|s|秒|mmhg|index|s/co|coi|ratio|倍|"
    r"(?:[x×*]?\s?10[\^*]?[0-9]{1,2}\s?)?[a-zµμ%][a-z0-9µμ^*.]*(?:/\s?[a-z0-9.²µμ]+){1,2}|"
    r"[x×*]?\s?10[\^*][0-9]{1,2}\s?/\s?[a-zµμ0-9.]+|"
    r"/\s?[a-zµμ]+"
)
_BETWEEN = re.compile(
    rf"({_NUMBER})\s*(?:-|~|～|〜|∼|–|—|－|\bto\b|至|到)\s*({_NUMBER})\s*({_UNIT})?", re.IGNORECASE
)
_ONE_SIDED = re.compile(rf"({_COMPARATOR}\s*{_NUMBER})\s*({_UNIT})?", re.IGNORECASE)
_SIDES = re.compile(r"\[([^\[\]]*)\]\s*\[([^\[\]]*)\]")
_BRACKETED = re.compile(r"[\[(（【]([^\[\]()（）【】]+)[\])）】]")
_BY_SEX = re.compile(
    r"(男性?|女性?|\b(?:male|female|m|f)\b)\s*[:：=]?\s*"
    r"((?:(?!男|女|\b(?:male|female|m|f)\b).)+)",
    re.IGNORECASE | re.DOTALL,
)
_BLANKS = " \t\r\n\u3000\u00a0"
_LONGEST = 200


@lru_cache(maxsize=8192)
def parse_reference_range(raw: str, sex: str = "") -> ReferenceRange:
    """Read one range text. ``sex`` (``M``, ``F``) chooses among ranges written for each sex.

    Never raises. Two numbers become ``low`` and ``high``; one number with a comparator goes to
    its side, comparator kept; anything else is ``text`` as sent, apart from blanks around it.
    ``""``, ``-``, ``--`` and HL7's null mean that the lab gave none; 「無」 is the lab's word and
    stays text. ``raw`` is always the whole as sent.
    """
    text = raw.strip(_BLANKS)
    if text in _NOTHING:
        return ReferenceRange(raw=raw)
    bounds = _bounds(text) if len(text) <= _LONGEST else None
    if bounds is None and len(text) <= _LONGEST:
        bounds = _sides(text) or _equal_pair(text) or _for_sex(text, sex)
    if bounds is None:
        return ReferenceRange(text=text, raw=raw)
    low, high, words = bounds
    return ReferenceRange(low, high, words, raw)


@lru_cache(maxsize=8192)
def sides_as_written(low: str, high: str) -> ReferenceRange:
    """The range of a payload that has a field for each side, put where the format wants it.

    Labs write the same words, or the whole range, into both fields, and an upper limit with its
    comparator into the lower one (seen in what NHI shows back). Nothing is added and no character
    changed; two sides that are no numbers and differ stay as they are.
    """
    one, other = low.strip(_BLANKS), high.strip(_BLANKS)
    if parse_decimal(one) is not None and parse_decimal(other) is not None:
        return ReferenceRange(low, high, raw=f"{low} - {high}")
    one, other = ("" if side in _NOTHING else side for side in (one, other))
    if one and other and one != other:
        return ReferenceRange(low, high, raw=f"{low} - {high}")
    word = one or other
    bounds = _bounds(word) if len(word) <= _LONGEST else None
    if bounds is not None:
        return ReferenceRange(*bounds, raw=word)
    if parse_decimal(word) is not None:
        return ReferenceRange(one, other, raw=word)
    return ReferenceRange(text=word, raw=word)


def range_unit(reference: ReferenceRange) -> str:
    """The unit written inside the range itself (``mIU/L`` in ``0.4 - 4.0 mIU/L``), or ``""``.

    It matters where it is not the unit of the value: then the bare bounds would mislead.
    """
    bound = reference.high or reference.low
    return _unit_in(reference.raw, bound) if bound else ""


@lru_cache(maxsize=8192)
def _unit_in(raw: str, last_bound: str) -> str:
    found = raw.rfind(last_bound)
    tail = raw[found + len(last_bound) :].strip(_BLANKS) if found >= 0 else ""
    match = re.match(_UNIT, tail, re.IGNORECASE)
    # "M:<40/F:<31": what stands behind the bound is the other sex, no unit.
    return match.group() if match and not _BY_SEX.match(tail.lstrip("/ ")) else ""


def _bounds(text: str) -> tuple[str, str, str] | None:
    """``(low, high, "")`` where the whole of ``text`` is one range, else None."""
    found = _between(text) or _one_sided(text)
    if found is None and (inside := _BRACKETED.fullmatch(text)):
        inner = inside.group(1).strip(_BLANKS)
        found = _between(inner) or _one_sided(inner)
    return found


def _between(text: str) -> tuple[str, str, str] | None:
    match = _BETWEEN.fullmatch(text)
    if match is None:
        return None
    low, high = parse_decimal(match.group(1)), parse_decimal(match.group(2))
    if low is None or high is None or low > high:
        return None
    return match.group(1), match.group(2), ""


def _one_sided(text: str) -> tuple[str, str, str] | None:
    match = _ONE_SIDED.fullmatch(text)
    if match is None:
        return None
    bound = match.group(1)
    return ("", bound, "") if _is_upper(bound) else (bound, "", "")


def _is_upper(bound: str) -> bool:
    return any(sign in bound for sign in "<＜≦≤")


def _sides(text: str) -> tuple[str, str, str] | None:
    """``[70][140]``: how NHI's own pages show r6-1 and r6-2 side by side."""
    match = _SIDES.fullmatch(text)
    if match is None:
        return None
    low, high = (side.strip(_BLANKS) for side in match.groups())
    if low and high and low != high:
        lowest, highest = parse_decimal(low), parse_decimal(high)
        if lowest is None or highest is None or lowest > highest:
            return None
        return low, high, ""
    word = low or high
    if word in _NOTHING:
        return "", "", ""
    if parse_decimal(word) is not None:
        return low, high, ""
    return _bounds(word) or ("", "", word)


def _equal_pair(text: str) -> tuple[str, str, str] | None:
    """``(-)/(-)``: the same word for both sides. Two equal numbers may be anything and stay."""
    half, odd = divmod(len(text) - 1, 2)
    if odd or half < 1 or text[half] not in "/／":
        return None
    one, other = text[:half].strip(_BLANKS), text[half + 1 :].strip(_BLANKS)
    if not one or one != other or parse_decimal(one) is not None:
        return None
    return _bounds(one) or ("", "", one)


def _for_sex(text: str, sex: str) -> tuple[str, str, str] | None:
    if not sex:
        return None
    chosen: list[tuple[str, str, str] | None] = []
    position = 0
    for match in _BY_SEX.finditer(text):
        if text[position : match.start()].strip(_BLANKS + "([（"):
            return None
        position = match.end()
        part = _bounds(match.group(2).strip(_BLANKS + ";；,，、/|()（）"))
        if part is None:
            return None
        if ("M" if match.group(1)[0] in "男mM" else "F") == sex:
            chosen.append(part)
    if len(chosen) != 1 or text[position:].strip(_BLANKS):
        return None
    return chosen[0]
