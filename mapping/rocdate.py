"""Dates and times as the NHI writes them: years of the Republic of China, Taipei wall clock.

SPEC114 p. 2 and the field tables: YYYMM, YYYMMDD, YYYMMDDHHMM and YYYMMDDHHMMSS. The year has
three characters; ``099`` is 2010. Years before the Republic are negative: ``-05`` is five years
before its first (1907). All errors are ``ValueError`` without the offending text, which may be
a birth date.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from mapping.moment import TAIPEI, Moment, Precision

_FIRST_YEAR = 1912


def roc_date(day: date) -> str:
    """``date(2025, 1, 1)`` → ``"1140101"``."""
    return f"{_year(day)}{day.month:02d}{day.day:02d}"


def roc_month(day: date) -> str:
    """``date(2025, 1, 1)`` → ``"11401"``."""
    return f"{_year(day)}{day.month:02d}"


def roc_datetime(at: datetime) -> str:
    """An aware datetime as 13 characters of Taipei time, fractions of a second cut off."""
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone has no Taipei time")
    local = at.astimezone(TAIPEI)
    return f"{roc_date(local)}{local.hour:02d}{local.minute:02d}{local.second:02d}"


def roc_moment(moment: Moment) -> str:
    """13 characters for a second, 11 for a minute, the day and ``0000`` for a day."""
    text = roc_datetime(moment.at)
    if moment.precision is Precision.SECOND:
        return text
    return text[:11] if moment.precision is Precision.MINUTE else text[:7] + "0000"


@lru_cache(maxsize=16384)
def parse_roc_date(text: str) -> date:
    """``"1140101"`` → ``date(2025, 1, 1)``. Raises ``ValueError`` when there is no such day."""
    digits = text[1:] if text[:1] == "-" else text
    if len(text) != 7 or not (digits.isascii() and digits.isdigit()):
        raise ValueError("a ROC date has seven characters, YYYMMDD")
    year = int(text[:3])
    if year == 0:
        raise ValueError("the calendar of the Republic has no year 000")
    return date(
        year + (_FIRST_YEAR - 1 if year > 0 else _FIRST_YEAR), int(text[3:5]), int(text[5:7])
    )


def parse_roc_moment(text: str) -> Moment:
    """11 or 13 characters → :class:`Moment`.

    An 11-character time of ``0000`` is read as ``Precision.DAY``: the format uses zeros for a
    time that is not known (SPEC114 pp. 6-7, h19 to h21). Raises ``ValueError``.
    """
    clock = text[7:]
    if len(text) not in (11, 13) or not (clock.isascii() and clock.isdigit()):
        raise ValueError("a ROC time has 11 or 13 characters, YYYMMDDHHMM[SS]")
    day = parse_roc_date(text[:7])
    hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:] or 0)
    at = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=TAIPEI)
    if len(clock) == 6:
        return Moment(at, Precision.SECOND)
    return Moment(at, Precision.DAY if clock == "0000" else Precision.MINUTE)


@lru_cache(maxsize=16384)
def is_roc_time(text: str) -> bool:
    """Whether ``text`` is a real point in time of 11 or 13 characters."""
    clock = text[7:]
    return (
        len(clock) in (4, 6)
        and clock.isascii()
        and clock.isdigit()
        and clock[:2] < "24"
        and clock[2:4] < "60"
        and clock[4:] < "60"
        and is_roc_date(text[:7])
    )


@lru_cache(maxsize=16384)
def is_roc_date(text: str) -> bool:
    """Whether ``text`` is a real day of 7 characters."""
    try:
        parse_roc_date(text)
    except ValueError:
        return False
    return True


def _year(day: date) -> str:
    year = day.year - (_FIRST_YEAR - 1)
    if year > 0:
        return f"{year:03d}"
    before = _FIRST_YEAR - day.year
    if before > 99:
        raise ValueError("a year more than 99 years before the Republic cannot be written")
    return f"-{before:02d}"
