"""Dates and times as result files write them. What could mean two days is refused.

Read: ``2026-08-14``, ``2026/8/14``, ``20260814``, ``1150814``, ``115/08/14``, each also with a
time (``T`` or blank between; ``14:05``, ``14:05:09``, ``1405``, ``140509``), and ISO 8601 with
an offset. Years of two digits are not read: ``99/08/14`` is 2010 to one and 1999 to the other.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from mapping.moment import TAIPEI, Moment, Precision
from mapping.rocdate import parse_roc_date, parse_roc_moment

_SEPARATED = re.compile(r"([0-9]{3,4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?")
_PLAIN_TIME = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})?")
_OFFSET = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$")
_FIRST_ROC_YEAR = 1911


def read_day(text: str) -> date:
    """The day that ``text`` is; a time behind it is not expected. Raises ``ValueError``."""
    text = text.strip()
    if text.isdigit() and text.isascii():
        if len(text) == 8:
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return parse_roc_date(text)
    match = _SEPARATED.fullmatch(text)
    if match is None:
        # ``-050101``: a birth date before the Republic.
        return parse_roc_date(text)
    year = int(match.group(1))
    if len(match.group(1)) == 3:
        if year == 0:
            raise ValueError("the calendar of the Republic has no year 000")
        year += _FIRST_ROC_YEAR
    return date(year, int(match.group(3)), int(match.group(4)))


@lru_cache(maxsize=4096)
def read_moment(text: str) -> Moment:
    """The point in time that ``text`` is, as precise as it was written; Taipei time without an
    offset. Raises ``ValueError``, without the text."""
    text = text.strip()
    if text.isdigit() and text.isascii() and len(text) > 8:
        return _compact(text)
    for separator in ("T", " "):
        day, found, time = text.partition(separator)
        if found:
            return _with_time(read_day(day), time.strip())
    return _of_day(read_day(text))


def _compact(text: str) -> Moment:
    if len(text) in (12, 14):
        return _with_time(read_day(text[:8]), text[8:])
    return parse_roc_moment(text)


def _of_day(day: date) -> Moment:
    return Moment(datetime(day.year, day.month, day.day, tzinfo=TAIPEI), Precision.DAY)


def _with_time(day: date, text: str) -> Moment:
    zone: tzinfo = TAIPEI
    if offset := _OFFSET.search(text):
        zone = _zone(offset.group(1))
        text = text[: offset.start()]
    match = _TIME.fullmatch(text) or _PLAIN_TIME.fullmatch(text)
    if match is None:
        raise ValueError("no time of day")
    hour, minute, second = (int(part or 0) for part in match.groups())
    at = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
    return Moment(at, Precision.MINUTE if match.group(3) is None else Precision.SECOND)


def _zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError("no offset from UTC")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
