"""Taipei days and the Republic's calendar, as the gateway needs them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")


def roc_day(day: date) -> str:
    """``YYYMMDD`` in the years of the Republic."""
    return f"{day.year - 1911:03d}{day:%m%d}"


def taipei_day(at: datetime) -> date:
    """The day on a Taipei wall clock."""
    return at.astimezone(TAIPEI).date()


def parse_day(text: str) -> date | None:
    """``YYYMMDD``; years before the Republic are ``-NN`` (SPEC114 p. 2). None when it is none."""
    if len(text) != 7 or not text.isascii() or not text[3:].isdecimal():
        return None
    year = text[:3]
    if not (year.isdecimal() or (year[0] == "-" and year[1:].isdecimal())):
        return None
    number = int(year)
    # The year before year 1 of the Republic (1912) is printed -01: there is no year 0.
    gregorian = 1911 + number if number > 0 else 1912 + number
    if number == 0:
        return None
    try:
        return date(gregorian, int(text[3:5]), int(text[5:]))
    except ValueError:
        return None


def is_moment(text: str, lengths: tuple[int, ...]) -> bool:
    """``YYYMMDDHHMM[SS]`` of one of ``lengths``."""
    if len(text) not in lengths or parse_day(text[:7]) is None:
        return False
    clock = text[7:]
    if not clock.isascii() or not clock.isdecimal():
        return False
    hours, minutes = int(clock[:2]), int(clock[2:4])
    seconds = int(clock[4:] or "0")
    return hours < 24 and minutes < 60 and seconds < 60
