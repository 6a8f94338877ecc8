"""Whether elements stand in the order of the format, and texts in all their parts."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PART = re.compile(r"r8-[2-9]")
_TAG = re.compile(r"[hr]([0-9]{1,3})(?:-([0-9]{1,3}))?")


def first_astray(tags: Iterable[str]) -> str:
    """The first tag that stands behind a later one, ``""`` for none; others may stand anywhere.

    Elements in ascending order are the rule of NHI's claims XML, and of both tables of this
    upload; whether one is refused for it is not known.
    """
    reached = (0, 0)
    for tag in tags:
        match = _TAG.fullmatch(tag)
        if match is None:
            continue
        place = (int(match.group(1)), int(match.group(2) or 0))
        if place < reached:
            return tag
        reached = place
    return ""


def first_gap(tags: Iterable[str]) -> tuple[str, str] | None:
    """The continued report text (r8-2 … r8-9) with an empty part before it, and that part.

    Each part continues the one before it (SPEC114 pp. 12-14); r8-2 continues r7 or r8-1, whose
    absence is another check's business.
    """
    there = {int(tag[3:]) for tag in tags if _PART.fullmatch(tag)}
    for number in sorted(there):
        if number > 2 and number - 1 not in there:
            return f"r8-{number}", f"r8-{number - 1}"
    return None
