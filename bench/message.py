"""The message that everything is measured with: an ORU^R01 of 20 numeric OBX, about 2.3 kB.

ASCII, because two of the peers cannot take more. Everyone in it is made up. The twenty lines are
an allergen panel, one order (30022C) under the laboratory's own names, so one message is one
record of twenty rows. The chemistry profile has twenty order codes: twenty records of one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from broker.demo.people import CLINIC, LAB, national_id
from mapping.moment import TAIPEI
from mapping.profile import CodeLink
from mapping.visit import Order, Visit

ORDER_CODE = "30022C"
PEOPLE = 200

_PLACE = "@@@@"
_ALLERGENS = (
    "D1 House dust mite", "D2 Dust mite", "BT Blomia tropicalis", "HX House dust", "E1 Cat dander",
    "E5 Dog dander", "I6 Cockroach", "M2 Cladosporium", "M3 Aspergillus", "M5 Candida albicans",
    "G6 Timothy grass", "G2 Bermuda grass", "W1 Ragweed", "W6 Mugwort", "F1 Egg white",
    "F2 Cow milk", "F13 Peanut", "F14 Soybean", "F24 Shrimp", "F23 Crab",
)  # fmt: skip
_CHEMISTRY = (
    ("09005C", "mg/dL"), ("09001C", "mg/dL"), ("09004C", "mg/dL"), ("09013C", "mg/dL"),
    ("09002C", "mg/dL"), ("09012C", "mg/dL"), ("12015C", "mg/dL"), ("09043C", "mg/dL"),
    ("09044C", "mg/dL"), ("09006C", "%"), ("09025C", "U/L"), ("09026C", "U/L"),
    ("09027C", "U/L"), ("09031C", "U/L"), ("09033C", "U/L"), ("09038C", "g/dL"),
    ("09021C", "mmol/L"), ("09022C", "mmol/L"), ("09023C", "mmol/L"), ("09017C", "U/L"),
)  # fmt: skip

ORDERS_PER_PERSON = len(_CHEMISTRY)
"""Of a chemistry profile."""


@dataclass(frozen=True, slots=True)
class Template:
    """A framed message in pieces: between them go a token as MSH-10 and as filler number."""

    pieces: tuple[bytes, ...]

    def frame(self, token: bytes) -> bytes:
        """The message as one MLLP block."""
        return token.join(self.pieces)

    def content(self, token: bytes) -> bytes:
        """The message without its frame."""
        return token.join(self.pieces)[1:-2]


CODES = {
    name.partition(" ")[0]: CodeLink(ORDER_CODE, number)
    for number, name in enumerate(_ALLERGENS, start=1)
}
"""What the laboratory's own codes mean, as a source's profile says it in the settings."""


@lru_cache
def panels() -> tuple[Template, ...]:
    """The allergen panel of each of the people who have a visit."""
    lines = [(f"{name.partition(' ')[0]}^{name}^L", "kU/L", "<0.35") for name in _ALLERGENS]
    return tuple(_template(person, "SIGE^Specific IgE^L", lines) for person in _people())


def chemistry() -> Template:
    """Twenty lines that each carry their own order code."""
    return chemistry_of(0)


def chemistry_of(person: int) -> Template:
    """The same for the person of this number, from 0."""
    lines = [(f"{code}^Chemistry test^NHI", unit, "0.10-9.90") for code, unit in _CHEMISTRY]
    return _template(_person(person), "CHEM20^Profile^L", lines)


def visits(people: int = PEOPLE) -> tuple[Visit, ...]:
    """Yesterday's visit of each of the people, with the orders of both messages."""
    collected = _collected_at()
    orders = tuple(
        Order(code, card_mark="03") for code in (ORDER_CODE, *(code for code, _ in _CHEMISTRY))
    )
    return tuple(
        Visit(
            institution_code=CLINIC,
            national_id=person,
            birth_on=_BORN_ON,
            card_at=(collected - timedelta(minutes=30, seconds=number)).astimezone(UTC),
            visit_type="01",
            visit_serial=f"{number + 1:04d}",
            visit_on=collected.date(),
            provider_id=national_id("C", 19900077),
            orders=orders,
        )
        for number, person in enumerate(map(_person, range(people)))
    )


_BORN_ON = date(1975, 4, 1)


@lru_cache
def _people() -> tuple[str, ...]:
    return tuple(_person(number) for number in range(PEOPLE))


def _person(number: int) -> str:
    return national_id("A", 19800000 + number)


def _collected_at() -> datetime:
    yesterday = datetime.now(TAIPEI).date() - timedelta(days=1)
    return datetime.combine(yesterday, time(9, 10), TAIPEI)


def _template(person: str, service: str, lines: list[tuple[str, str, str]]) -> Template:
    collected = _collected_at()
    reported = f"{collected + timedelta(hours=8):%Y%m%d%H%M%S}"
    drawn, arrived = f"{collected:%Y%m%d%H%M}", f"{collected + timedelta(hours=6):%Y%m%d%H%M}"
    segments = [
        f"MSH|^~\\&|LIS|{LAB}|LABBROKER|{CLINIC}|{reported}||ORU^R01^ORU_R01|{_PLACE}|P|2.5.1",
        f"PID|1||{person}^^^^NNTWN||Bench^Made Up||{_BORN_ON:%Y%m%d}|M",
        f"PV1|1|O|OPD^01^^{CLINIC}",
        f"ORC|RE||{_PLACE}|||||||||||||||||||{CLINIC}",
        f"OBR|1|||{service}|||{drawn}|||||||{arrived}|Serum|||||||{reported}||LAB|F",
    ]
    segments += [
        f"OBX|{number}|NM|{code}||{number * 7 % 90 / 100 + 1:.2f}|{unit}|{reference}|N|||F"
        f"|||{drawn}||||||{reported}|||LAB^L"
        for number, (code, unit, reference) in enumerate(lines, start=1)
    ]
    text = "\x0b" + "\r".join(segments) + "\r\x1c\r"
    return Template(tuple(text.encode("ascii").split(_PLACE.encode("ascii"))))
