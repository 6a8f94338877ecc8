"""Synthetic people, institutions and visits of the demonstration. Nobody here exists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from mapping.moment import TAIPEI
from mapping.visit import Order, Visit

CLINIC = "3599900001"
LAB = "JY99900001"

_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


@dataclass(frozen=True, slots=True)
class Person:
    national_id: str
    name: str
    birth_on: date
    sex: str


def national_id(letter: str, serial: int) -> str:
    """An id with a valid check digit. ``serial`` has eight digits, the first 1 (M) or 2 (F)."""
    number = _LETTERS.index(letter) + 10
    digits = [int(digit) for digit in f"{serial:08d}"]
    total = number // 10 + number % 10 * 9
    total += sum(digit * weight for digit, weight in zip(digits, range(8, 0, -1), strict=True))
    return f"{letter}{serial:08d}{-total % 10}"


PEOPLE = (
    Person(national_id("A", 19900001), "測試^一郎", date(1958, 3, 14), "M"),
    Person(national_id("B", 29900002), "測試^二娘", date(1975, 4, 1), "F"),
    Person(national_id("F", 19900003), "測試^三功", date(1990, 12, 31), "M"),
    Person(national_id("H", 29900004), "測試^四育", date(2001, 2, 28), "F"),
    Person(national_id("T", 19900005), "測試^五回", date(1966, 7, 7), "M"),
)
STRANGER = Person(national_id("K", 29900099), "測試^無診", date(1985, 5, 5), "F")
"""She has a result and no visit at the clinic."""

_ORDERS = (
    ("09005C", "08011C", "06012C"),
    ("09015C", "09001C", "06505C"),
    ("09006C", "09044C", "09026C"),
    ("09025C", "12185C", "09100C"),
    ("09002C", "09013C", "08011C"),
)


def visits(now: datetime) -> tuple[Visit, ...]:
    """One visit a person on the day before ``now`` (aware), with the orders of their results."""
    day = now.astimezone(TAIPEI).date() - timedelta(days=1)
    return tuple(
        Visit(
            institution_code=CLINIC,
            national_id=person.national_id,
            birth_on=person.birth_on,
            card_at=datetime.combine(day, time(8, 30 + number, 10), TAIPEI).astimezone(UTC),
            visit_type="01",
            visit_serial=f"{20 + number:04d}",
            visit_on=day,
            provider_id=national_id("C", 19900077),
            orders=tuple(Order(code, card_mark="03") for code in _ORDERS[number]),
        )
        for number, person in enumerate(PEOPLE)
    )
