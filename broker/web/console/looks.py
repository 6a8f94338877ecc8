"""How values look on a page: times on the Taipei clock, counts, what is masked. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from broker.access.masking import MASK as MASK
from broker.access.masking import masked_date as masked_date
from broker.access.masking import masked_id as masked_id
from broker.access.masking import masked_name as masked_name
from mapping.errors import Language
from mapping.moment import TAIPEI

PATIENT_TAGS = frozenset({"h9", "h10", "h23", "h24"})
"""Fields of the record that say who the patient is (SPEC114: national id, birth dates)."""
_NATIONAL_ID = re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Da-d1289])([0-9]{6})([0-9]{2})(?![0-9])")
# A body may be long; nobody reads on.
_LONGEST = 2000
_TEXT_TAGS = frozenset({"r4", "r7", *(f"r8-{number}" for number in range(1, 10))})
_TEXT_TYPES = frozenset({"TX", "FT", "ED", "RP"})
_LONGEST_WORD = 20


def moment(at: datetime | None, now: datetime) -> str:
    """``11-20 12:05``; with the year where it is another one; "" for None."""
    if at is None:
        return ""
    local = at.astimezone(TAIPEI)
    same = local.year == now.astimezone(TAIPEI).year
    return f"{local:%m-%d %H:%M}" if same else f"{local:%Y-%m-%d %H:%M}"


def clock_time(at: datetime) -> str:
    """``12:05`` in Taipei."""
    return f"{at.astimezone(TAIPEI):%H:%M}"


def day(on: date | None) -> str:
    return on.isoformat() if on is not None else ""


def remaining(due: datetime | None, now: datetime, language: Language) -> str:
    """``5 小時 12 分`` until ``due``, or how late it is."""
    if due is None:
        return ""
    left = due - now
    text = duration(abs(left), language)
    if left >= timedelta(0):
        return f"剩 {text}" if language == "zh" else f"{text} left"
    return f"逾 {text}" if language == "zh" else f"{text} late"


def duration(span: timedelta, language: Language) -> str:
    """The two largest of days, hours and minutes."""
    minutes = int(span.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    chinese = language == "zh"
    if days:
        return f"{days} 天 {hours} 小時" if chinese else f"{days} d {hours} h"
    if hours:
        return f"{hours} 小時 {minutes:02d} 分" if chinese else f"{hours} h {minutes:02d} min"
    return f"{minutes} 分" if chinese else f"{minutes} min"


def urgency(due: datetime | None, now: datetime, warn: timedelta) -> str:
    """``none``, ``calm``, ``risk`` or ``missed``."""
    if due is None:
        return "none"
    if due < now:
        return "missed"
    return "risk" if due - now < warn else "calm"


def count(number: int) -> str:
    """Thousands are set apart."""
    return f"{number:,}"


def masked_value(tag: str, value: str) -> str:
    """A field of the record as it may be shown before anybody asked for the patient."""
    if tag == "h9":
        return masked_id(value)
    if tag in PATIENT_TAGS:
        return value[:3] + MASK * max(0, len(value) - 3)
    if tag in _TEXT_TAGS:
        return masked_text(value)
    return value


def masked_text(text: str, value_type: str = "") -> str:
    """A result as it may be shown before anybody asked for the patient: figures and short words.

    Running text (HL7 v2.5.1 2A: TX, FT, and ED, RP) may name the patient, and nothing can tell.
    """
    if value_type in _TEXT_TYPES or len(text) > _LONGEST_WORD or "\n" in text:
        return MASK * min(8, len(text))
    return without_ids(text)


def without_ids(text: str) -> str:
    """``text`` with everything masked that looks like a national id."""
    return _NATIONAL_ID.sub(lambda found: found[1] + MASK * 6 + found[3], text)


def shortened(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else text[:most] + "…"
