"""What the ordering clinic's IC-card data says: a visit and the orders placed at it.

Source: 健保卡資料上傳作業說明 format 1.0 (A-numbers) and 2.0 (M- and D-numbers).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One order line. ``dispensing_code`` is h26 (0-5); ``""`` where the card data says nothing.

    ``card_mark`` is A78 (01-04) of format 1.0 as it was: 03 own institution, 04 handed over.
    """

    order_code: str
    quantity: Decimal = Decimal(1)
    dispensing_code: str = ""
    card_mark: str = ""
    ordered_at: datetime | None = None
    placer_order_number: str = ""
    upload_opted_out: bool = False
    body_parts: str = ""
    """h25, 診療部位: letters of the body part table, needed for CT and MRI."""
    cancelled: bool = False
    """The clinic took the order line back (A72 C of format 1.0)."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One card event of a patient at an institution.

    Together ``institution_code, national_id, birth_on, card_at, visit_type, visit_serial`` name
    the visit towards NHI (h2 h9 h10 h5 h6 h7).
    """

    institution_code: str
    national_id: str
    birth_on: date
    card_at: datetime
    """h5, A17: aware UTC, second precision."""
    visit_type: str
    """h6, A23: ``01``, ``AG`` …"""
    visit_serial: str
    """h7, A18: ``0001``, ``IC02`` …"""
    visit_on: date
    """h11: the Taipei day of the visit."""
    makeup_code: str = "1"
    """h8: 1 normal, 2 補卡."""
    institution_kind: str = "11"
    """h3, 醫事類別."""
    provider_id: str = ""
    newborn_birth_on: date | None = None
    newborn_mark: str = ""
    visit_identifier: str = ""
    """h28, M15."""
    original_visit_identifier: str = ""
    """h29, M16."""
    orders: tuple[Order, ...] = ()
    place: str = ""
    cancelled: bool = False
    """The clinic took the card event back (a later event ZA or ZB, SPEC114 p. 4)."""
    provisional: bool = False
    """Told by a clinic's order or visit message without its card data: it names no card event, so
    no result is uploaded for it. ``card_at`` is then the beginning of the day, ``visit_type`` and
    ``visit_serial`` are empty."""
