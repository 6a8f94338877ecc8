"""Quantities, points and percents as people and programs read them."""

from __future__ import annotations

from decimal import Decimal


def plain_number(value: Decimal) -> str:
    """Without trailing zeros or an exponent: ``12``, ``1.5``, ``100``."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
