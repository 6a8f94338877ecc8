"""The reference range of a result line → ``referenceRange`` with the lab's own bounds."""

from __future__ import annotations

from typing import Any

from adapters.fhir.literals import LiteralDecimal, is_decimal_literal
from adapters.fhir.values import range_text
from mapping.report import ReferenceRange


def reference_ranges(reference: ReferenceRange, unit: str) -> list[dict[str, Any]]:
    """None or one element. Its text is what was sent, unless the bounds already say it."""
    made: dict[str, Any] = {}
    bounds = (("low", reference.low), ("high", reference.high))
    # One bound alone would say that there is no other: ``.4-1.0`` stays a text as a whole.
    sound = all(is_decimal_literal(bound) for _, bound in bounds if bound)
    for name, bound in bounds:
        if bound and sound:
            made[name] = {"value": LiteralDecimal(bound)}
            if unit.strip():
                made[name]["unit"] = unit
    text = reference.raw or reference.text or range_text(reference.low, reference.high)
    whole = range_text(
        reference.low if "low" in made else "", reference.high if "high" in made else ""
    )
    if text.strip() and text != whole:
        made["text"] = text
    return [made] if made else []
