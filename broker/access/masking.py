"""How a patient is written until somebody asks to see who it is.

What remains tells two patients of one day apart for the person who already knows them, and nobody
else who they are.
"""

from __future__ import annotations

from datetime import date

MASK = "•"
_NAME = "○"


def masked_id(text: str) -> str:
    """``A1••••••89`` of a national id, a permit or a chart number; nothing of a short one."""
    if len(text) < 5:
        return MASK * len(text)
    return f"{text[:2]}{MASK * (len(text) - 4)}{text[-2:]}"


def masked_name(text: str) -> str:
    """``王○明``, ``王○``: the first character stands, and the last of three or more. HL7's ``^``
    between family and given name does not count."""
    plain = text.replace("^", "").strip()
    if len(plain) < 2:
        return _NAME * len(plain)
    middle = _NAME * (len(plain) - 2)
    return f"{plain[0]}{middle}{plain[-1]}" if middle else f"{plain[0]}{_NAME}"


def masked_date(on: date | None) -> str:
    """``1958-••-••``: the year says for which age a reference range holds."""
    return f"{on.year:04d}-{MASK * 2}-{MASK * 2}" if on is not None else ""
