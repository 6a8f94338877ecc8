"""What speaks for a visit and what against it, in points.

The points are not probabilities. Their order and the threshold were set so that what goes by itself
is right in at least 999 of 1,000 cases of the labelled set (``tests/matching``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from mapping.national_id import is_valid_national_id
from mapping.order_family import same_family
from mapping.report import LabReport
from mapping.visit import Order, Visit

DEFAULT_WINDOW = 30
"""Days from the visit to the taking of the specimen."""

THRESHOLD = 70
"""A visit with fewer points is a question for a person, however alone it stands."""

_SOON = 7


class Sign(StrEnum):
    """One piece of evidence."""

    PLACER_NUMBER = "placer-number"
    NATIONAL_ID = "national-id"
    NATIONAL_ID_UNCHECKED = "national-id-unchecked"
    """The same on both sides, but with a wrong check digit: it could be copied wrongly twice."""
    NATIONAL_ID_NEAR = "national-id-near"
    """One character, or two neighbours, differ: as a slip of the hand does."""
    BIRTH_DATE = "birth-date"
    ORDER_CODE = "order-code"
    ORDER_FAMILY = "order-family"
    SOON = "soon"
    IN_WINDOW = "in-window"
    ORDER_DAY = "order-day"
    """The report names the day of the visit as the day of the order."""
    PROVIDER = "provider"
    OTHER_BIRTH_DATE = "other-birth-date"
    OTHER_PLACER_NUMBER = "other-placer-number"
    BEFORE_VISIT = "before-visit"
    AFTER_WINDOW = "after-window"
    NO_ORDER = "no-order"
    TAKEN_BACK = "taken-back"
    REPEATED = "repeated"
    """The patient has this order at other visits too, and this one is more than a week back."""
    ANSWERED = "answered"
    """The order has as many results as its quantity leaves room for."""


POINTS: Mapping[Sign, int] = MappingProxyType(
    {
        Sign.PLACER_NUMBER: 40,
        Sign.NATIONAL_ID: 30,
        Sign.NATIONAL_ID_UNCHECKED: 20,
        Sign.NATIONAL_ID_NEAR: 10,
        Sign.BIRTH_DATE: 15,
        Sign.ORDER_CODE: 20,
        Sign.ORDER_FAMILY: 8,
        Sign.SOON: 20,
        Sign.IN_WINDOW: 10,
        Sign.ORDER_DAY: 10,
        Sign.PROVIDER: 5,
        Sign.OTHER_BIRTH_DATE: -50,
        Sign.OTHER_PLACER_NUMBER: -40,
        Sign.BEFORE_VISIT: -50,
        Sign.AFTER_WINDOW: -10,
        Sign.NO_ORDER: -20,
        Sign.TAKEN_BACK: -50,
        Sign.REPEATED: -15,
        Sign.ANSWERED: -30,
    }
)


def signs_of(
    report: LabReport,
    visit: Visit,
    order: Order | None,
    order_code: str,
    day: date | None,
    window: int = DEFAULT_WINDOW,
) -> tuple[Sign, ...]:
    """What the report says for and against ``visit`` and its ``order`` (None: it has none like
    it). ``day`` is when the specimen was taken. A blank is never a sign."""
    signs = [*_of_patient(report, visit), *_of_order(report, order, order_code)]
    if day is not None:
        days = (day - visit.visit_on).days
        if days < 0:
            signs.append(Sign.BEFORE_VISIT)
        elif days > window:
            signs.append(Sign.AFTER_WINDOW)
        else:
            signs.append(Sign.SOON if days <= _SOON else Sign.IN_WINDOW)
    if report.ordered_at is not None and report.ordered_at.day == visit.visit_on:
        signs.append(Sign.ORDER_DAY)
    if visit.provider_id and visit.provider_id == report.ordering_provider_id:
        signs.append(Sign.PROVIDER)
    if visit.cancelled or (order is not None and order.cancelled):
        signs.append(Sign.TAKEN_BACK)
    return tuple(signs)


def score_of(signs: tuple[Sign, ...]) -> int:
    """The points of all signs."""
    return sum(POINTS[sign] for sign in signs)


def is_near(one: str, other: str) -> bool:
    """Whether two national ids differ by one character or by two neighbours that changed places."""
    if len(one) != len(other) or one == other:
        return False
    differing = [place for place in range(len(one)) if one[place] != other[place]]
    if len(differing) == 1:
        return True
    if len(differing) != 2 or differing[1] != differing[0] + 1:
        return False
    first, second = differing
    return one[first] == other[second] and one[second] == other[first]


def _of_patient(report: LabReport, visit: Visit) -> list[Sign]:
    signs: list[Sign] = []
    ours, theirs = visit.national_id.strip().upper(), report.patient.national_id.strip().upper()
    if ours and ours == theirs:
        checked = is_valid_national_id(ours)
        signs.append(Sign.NATIONAL_ID if checked else Sign.NATIONAL_ID_UNCHECKED)
    elif ours and theirs and is_near(ours, theirs):
        signs.append(Sign.NATIONAL_ID_NEAR)
    born = report.patient.birth_on
    if born is not None:
        same = born in (visit.birth_on, visit.newborn_birth_on)
        signs.append(Sign.BIRTH_DATE if same else Sign.OTHER_BIRTH_DATE)
    return signs


def _of_order(report: LabReport, order: Order | None, order_code: str) -> list[Sign]:
    if order is None:
        return [Sign.NO_ORDER]
    signs: list[Sign] = []
    if order.order_code == order_code:
        signs.append(Sign.ORDER_CODE)
    elif same_family(order.order_code, order_code):
        signs.append(Sign.ORDER_FAMILY)
    else:
        signs.append(Sign.NO_ORDER)
    ours, theirs = order.placer_order_number.strip(), report.placer_order_number.strip()
    if ours and theirs:
        signs.append(Sign.PLACER_NUMBER if ours == theirs else Sign.OTHER_PLACER_NUMBER)
    return signs
