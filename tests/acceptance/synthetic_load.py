"""Synthetic results without end: each is one order of one made-up person, sent by one door."""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from adapters.folder.formats.ic_card_writer import write_ic_card
from broker.demo.messages import Line, Times, bundle, oru
from broker.demo.people import CLINIC, Person, national_id
from mapping.moment import TAIPEI
from mapping.visit import Order, Visit


class Way(StrEnum):
    MLLP = "mllp"
    HTTP = "http"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Sent:
    """One payload. ``value`` is what NHI must hold in the end; ``has_visit`` False: never."""

    way: Way
    number: int
    control_id: str
    raw: bytes
    person: Person
    clinic: str
    value: str
    has_visit: bool
    corrects: str = ""
    """Control id of the result that this one corrects."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


ORDER_CODE = "09005C"
_NAMES = ("王小明", "林功育", "陳才回", "黃淑芬", "張志豪")
_COLUMNS = (
    "national_id", "birth_on", "clinic_code", "accession_number", "order_code", "item_name",
    "value", "unit", "reference", "flag", "specimen", "collected_at", "received_at", "reported_at",
)  # fmt: skip


class Load:
    """Makes payloads and the visits that belong to them. The same seed gives the same people."""

    def __init__(
        self,
        seed: int,
        clinics: Sequence[str],
        now: datetime | None = None,
        no_visit_rate: float = 0.05,
    ) -> None:
        self._clinics = clinics
        self._chance = random.Random(seed)
        self._now = now or datetime.now(UTC)
        self._no_visit_rate = no_visit_rate
        self._count = 0
        self.times = Times.before(self._now)

    def results(self, count: int) -> list[Sent]:
        """The next ``count`` results, ways mixed."""
        return [self._result() for _ in range(count)]

    def corrected(self, sent: Sent) -> Sent:
        """A corrected version of a result that went by MLLP."""
        value = str(int(sent.value) + 100)
        control_id = f"{sent.control_id}C"
        raw = self._oru(control_id, sent.person, sent.number, sent.clinic, value, status="C")
        return replace(sent, control_id=control_id, raw=raw, value=value, corrects=sent.control_id)

    def visits_file(self, results: list[Sent]) -> bytes:
        """The clinic's card data for the results that have a visit."""
        day = self.times.collected.date()
        visits = []
        for sent in results:
            if not sent.has_visit:
                continue
            moment = datetime.combine(day, time(8, 0, 1), TAIPEI) + timedelta(
                seconds=sent.number % 3000
            )
            visits.append(
                Visit(
                    institution_code=sent.clinic,
                    national_id=sent.person.national_id,
                    birth_on=sent.person.birth_on,
                    card_at=moment.astimezone(UTC),
                    visit_type="01",
                    visit_serial=f"{sent.number % 9000 + 1:04d}",
                    visit_on=day,
                    provider_id=national_id("C", 19900077),
                    orders=(Order(ORDER_CODE, card_mark="03"),),
                )
            )
        return write_ic_card(tuple(visits))

    def _result(self) -> Sent:
        self._count += 1
        number = self._count
        way = self._chance.choices((Way.MLLP, Way.HTTP, Way.FILE), (7, 2, 1))[0]
        person = Person(
            national_id("D", 10000000 + number),
            f"{self._chance.choice(_NAMES)}{number}",
            date(1950, 1, 1) + timedelta(days=number),
            "M",
        )
        value = str(self._chance.randint(60, 140))
        control_id = f"K{number:07d}" if way is not Way.FILE else ""
        has_visit = self._chance.random() >= self._no_visit_rate
        clinic = self._clinics[number % len(self._clinics)]
        if way is Way.MLLP:
            raw = self._oru(control_id, person, number, clinic, value)
        elif way is Way.HTTP:
            raw = bundle(
                control_id, person, ORDER_CODE, "Glucose AC", self.times,
                value=value, unit="mg/dL", low="70", high="99",
            ).replace(CLINIC.encode(), clinic.encode())  # fmt: skip
        else:
            raw = self._csv(person, number, clinic, value)
        return Sent(way, number, control_id, raw, person, clinic, value, has_visit)

    def _oru(
        self,
        control_id: str,
        person: Person,
        number: int,
        clinic: str,
        value: str,
        status: str = "F",
    ) -> bytes:
        line = Line("GLU", "Glucose AC", "NM", value, "mg/dL", "70-99")
        service = f"{ORDER_CODE}^Glucose^NHI"
        filler = f"F{number:08d}"
        raw = oru(control_id, person, service, filler, (line,), self.times, status=status)
        return raw.replace(CLINIC.encode(), clinic.encode())

    def _csv(self, person: Person, number: int, clinic: str, value: str) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        stamps = (self.times.collected, self.times.received, self.times.reported)
        writer.writerow(
            (
                person.national_id, person.birth_on.isoformat(), clinic, f"K{number:08d}",
                ORDER_CODE, "Glucose AC", value, "mg/dL", "70-99", "N", "Serum",
                *(at.strftime("%Y-%m-%d %H:%M") for at in stamps),
            )
        )  # fmt: skip
        return out.getvalue().encode()
