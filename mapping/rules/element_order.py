"""Whether elements stand in the order of the format."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
