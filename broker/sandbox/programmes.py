"""Rows of the special programmes: codes 01 and 03-09 where a table fixes rows and values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from broker.sandbox.tables import programme_values


def programme_faults(order_code: str, row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """``(tag, code)`` of each field that does not match; the first code of a field counts."""
    told: set[str] = set()
    number = row.get("r1", "").lstrip("0")
    for form in programme_values().get(order_code, ()):
        if form.row not in ("*", number) or form.tag in told:
            continue
        value = row.get(form.tag, "")
        if not value and form.tag in ("r1", "r4", "r7"):
            continue
        if not re.fullmatch(form.pattern, value, re.DOTALL):
            told.add(form.tag)
            yield form.tag, form.code
