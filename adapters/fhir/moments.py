"""FHIR date, dateTime, instant → Moment, with the precision that was sent (R4 datatypes.html)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from mapping.moment import TAIPEI, Moment, Precision

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:(Z)|([+-])(\d\d):(\d\d))?)?)?)?",
    re.ASCII,
)
_LEAP_SECOND = 60


class ReadMoment(NamedTuple):
    """``fault`` is a finding code, or ``""`` where ``moment`` stands."""

    moment: Moment | None
    fault: str = ""


@lru_cache(maxsize=4096)
def read_moment(text: str) -> ReadMoment:
    """A FHIR dateTime or instant.

    A day stays a Taipei day. A year or month alone is no moment (``fhir-partial-date``), a time
    without zone is none either (``fhir-time-without-zone``): R4 forbids it, and the zone is not
    guessed. A leap second keeps its minute.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return ReadMoment(None, "fhir-time-unreadable")
    year, month, day, hour, minute, second, zulu, sign, zone_hour, zone_minute = match.groups()
    if day is None:
        return ReadMoment(None, "fhir-partial-date")
    try:
        if hour is None:
            at = datetime(int(year), int(month), int(day), tzinfo=TAIPEI)
            return ReadMoment(Moment(at, Precision.DAY))
        if zulu is None and sign is None:
            return ReadMoment(None, "fhir-time-without-zone")
        offset = timedelta(hours=int(zone_hour or 0), minutes=int(zone_minute or 0))
        zone = timezone(-offset if sign == "-" else offset)
        whole_minute = second is None or int(second) == _LEAP_SECOND
        seconds = 0 if whole_minute else int(second)
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), seconds, tzinfo=zone)
        return ReadMoment(Moment(at, Precision.MINUTE if whole_minute else Precision.SECOND))
    except (ValueError, OverflowError):
        return ReadMoment(None, "fhir-time-unreadable")


def read_date(text: str) -> date | None:
    """A FHIR date of day precision (a birth date), else None."""
    match = _DATE_TIME.fullmatch(text)
    if match is None or match[3] is None or match[4] is not None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
