"""Visits of people who do not exist, for IC-card files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from mapping.visit import Order, Visit

CARD_AT = datetime(2026, 8, 14, 1, 5, 9, tzinfo=UTC)
"""09:05:09 in Taipei, 1150814090509."""


def visit(**changes: object) -> Visit:
    """A visit with one order of blood sugar; ``changes`` replace its fields."""
    fields: dict[str, object] = {
        "institution_code": "3501234567",
        "national_id": "A123456789",
        "birth_on": date(1976, 4, 1),
        "card_at": CARD_AT,
        "visit_type": "01",
        "visit_serial": "0001",
        "visit_on": date(2026, 8, 14),
        "provider_id": "B223456786",
        "orders": (Order("09005C", Decimal("1"), card_mark="04"),),
        "place": "REC[1]",
    }
    return Visit(**{**fields, **changes})  # type: ignore[arg-type]
