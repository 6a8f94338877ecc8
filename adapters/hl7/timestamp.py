"""HL7 times: ``YYYYMMDD[HH[MM[SS[.S…]]]][±ZZZZ]`` (HL7 v2.5.1 section 2.A.22, DTM).

A time without an offset is Taipei time: the senders are laboratories in Taiwan, and zone-less
times are the rule outside the United States. A date stays a date.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from mapping.moment import TAIPEI, Moment, Precision

_TIME: Final = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})"
    r"(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.[0-9]*)?)?)?)?"
    r"(?:([+-])([0-9]{2}):?([0-9]{2})|Z)?"
)
# What a person or a spreadsheet writes; no digit is read differently from the form above.
_PUNCTUATED: Final = re.compile(
    r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?(.*)"
)
_LONGEST: Final = 64
_EARLIEST_YEAR: Final = 1900
_EARLIEST_BIRTH: Final = 1850
_WIDEST_OFFSET: Final = timedelta(hours=14)


def parse_moment(text: str) -> Moment | None:
    """The instant, or ``None`` where the text is empty or no time of at least a day.

    An hour without minutes counts as a day, because minutes are not invented. A leap second
    (``60``) is the first second of the next minute. Never raises.
    """
    return _moment(text) if text and len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _moment(text: str) -> Moment | None:
    found = _match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    zone = _zone(found[0], sign, zone_hours, zone_minutes)
    if zone is None or int(year) < _EARLIEST_YEAR or int(hour or 0) > 23:
        return None
    on = int(year), int(month), int(day)
    leap = second == "60"
    try:
        if minute is None:
            return Moment(datetime(*on, tzinfo=TAIPEI), Precision.DAY)
        at = datetime(*on, int(hour), int(minute), 59 if leap else int(second or 0), tzinfo=zone)
        precision = Precision.MINUTE if second is None else Precision.SECOND
        return Moment(at + timedelta(seconds=leap), precision)
    except (ValueError, OverflowError):
        return None


def parse_day(text: str) -> date | None:
    """The calendar day as written, clock time and offset left aside: for dates of birth."""
    found = _match(text) if len(text) <= _LONGEST else None
    if found is None or int(found[1]) < _EARLIEST_BIRTH:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def _match(text: str) -> re.Match[str] | None:
    text = text.strip()
    found = _TIME.fullmatch(text)
    if found is None:
        loose = _PUNCTUATED.fullmatch(text)
        if loose is not None:
            return _TIME.fullmatch("".join(part or "" for part in loose.groups()))
    return found


def _zone(text: str, sign: str | None, hours: str | None, minutes: str | None) -> timezone | None:
    if sign is None:
        return UTC if text.endswith("Z") else TAIPEI
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset > _WIDEST_OFFSET or int(minutes or 0) > 59:
        return None
    return timezone(-offset if sign == "-" else offset)
