"""Dates as a profile says they are written, turned into texts that mean one day only."""

from __future__ import annotations

import re
from functools import lru_cache

from mapping.file_profile import DateOrder

_THREE = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})(?![0-9])(.*)", re.DOTALL)
_SIX = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(?![0-9])(.*)", re.DOTALL)
_WORDS = re.compile(
    r"(民國)?\s*([0-9]{2,4})\s*年\s*([0-9]{1,2})\s*月\s*([0-9]{1,2})\s*日(.*)", re.DOTALL
)
_HALF_DAY = re.compile(
    r"(上午|下午|AM|PM)?\s*([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?)\s*(AM|PM)?", re.I
)
_FIRST_ROC_YEAR = 1911


@lru_cache(maxsize=8192)
def plain_date(text: str, order: DateOrder) -> str:
    """``text`` as ``2026-08-14 14:05``, where it is written in ``order``; else as it is, so that
    whoever reads it says what is wrong.

    Whatever the order, ``115年8月14日`` and the ``下午 02:05`` of Windows are understood.
    """
    text = text.strip()
    day, rest = _day(text, order)
    time = rest.strip().removeprefix("T")
    return f"{day or ''} {_time(time)}".strip() if day else _with_plain_day(text)


def _day(text: str, order: DateOrder) -> tuple[str, str]:
    if words := _WORDS.fullmatch(text):
        era, year, month, day, rest = words.groups()
        if era or len(year) < 4:
            return _written(int(year) + _FIRST_ROC_YEAR, month, day), rest
        return _written(int(year), month, day), rest
    if order is DateOrder.PLAIN:
        return "", text
    match = _THREE.fullmatch(text)
    if match is not None:
        first, _, second, third, rest = match.groups()
        return _in_order(first, second, third, order), rest
    match = _SIX.fullmatch(text)
    if match is not None:
        first, second, third, rest = match.groups()
        return _in_order(first, second, third, order), rest
    return "", text


def _in_order(first: str, second: str, third: str, order: DateOrder) -> str:
    if order is DateOrder.ROC:
        if len(first) not in (2, 3) or len(third) > 2:
            return ""
        return _written(int(first) + _FIRST_ROC_YEAR, second, third)
    if order is DateOrder.YMD:
        if len(first) not in (2, 4) or len(third) > 2:
            return ""
        return _written(int(first) if len(first) == 4 else 2000 + int(first), second, third)
    if len(third) != 4 or len(first) > 2:
        return ""
    month, day = (first, second) if order is DateOrder.MDY else (second, first)
    return _written(int(third), month, day)


def _written(year: int, month: str, day: str) -> str:
    return f"{year:04d}-{int(month):02d}-{int(day):02d}"


def _time(text: str) -> str:
    match = _HALF_DAY.fullmatch(text)
    if match is None or not (match.group(1) or match.group(4)):
        return text
    before, hour, rest, after = match.groups()
    word, number = (before or after).upper(), int(hour)
    if not 1 <= number <= 12 or (before and after):
        return text
    return f"{number % 12 + (12 if word in ('下午', 'PM') else 0):02d}{rest}"


def _with_plain_day(text: str) -> str:
    day, _, time = text.partition(" ")
    return f"{day} {_time(time.strip())}" if time else text
