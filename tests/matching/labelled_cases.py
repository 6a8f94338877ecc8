"""A made-up district of clinics, patients, visits and results of which the right visit is known.

Everything comes from one seed. Slips are drawn at rates that are higher than a laboratory's should
be; each case is named after the first of them, so that a person can see what a rule is good at.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from broker.demo.people import national_id
from mapping.moment import TAIPEI, Moment, Precision
from mapping.report import Coding, LabReport, Patient, Specimen
from mapping.visit import Order, Visit

FIRST_DAY = date(2025, 3, 1)
DAYS = 150
CLINICS = tuple(f"35012{number:05d}" for number in range(12))
LAB = "JY00000001"
CODES = (
    *("09005C", "09006C", "09015C", "09001C", "09004C", "09025C", "09026C", "09013C", "12111C"),
    *("08011C", "06012C", "09043C", "09044C", "09002C", "12112B", "09038C", "27049C", "12007C"),
)
CHRONIC = ("09006C", "09005C", "09015C", "09001C")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


@dataclass(frozen=True, slots=True)
class Person:
    national_id: str
    birth_on: date
    sex: str
    clinics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """``truth`` is the visit that ordered it, loaded or not; ``kind`` the slip, or what is odd."""

    report: LabReport
    clinic_code: str
    order_code: str
    truth: Visit
    kind: str
    at: datetime


@dataclass(slots=True)
class District:
    """``visits`` are those that the clinics' card data told; ``cases`` in the order of arrival."""

    visits: list[Visit] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def by_person(self) -> dict[tuple[str, str], list[Visit]]:
        """Visits by clinic and national id, as the store looks them up."""
        found: dict[tuple[str, str], list[Visit]] = defaultdict(list)
        for visit in self.visits:
            found[visit.institution_code, visit.national_id].append(visit)
        return found

    def kinds(self) -> Counter[str]:
        """How many cases there are of each kind."""
        return Counter(case.kind for case in self.cases)


def make_district(cases: int, seed: int = 20250301) -> District:
    """A district with ``cases`` results."""
    return _Maker(random.Random(seed)).make(cases)


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.serial = 10_000_000
        self.number = 0

    def make(self, wanted: int) -> District:
        district = District()
        while len(district.cases) < wanted:
            people = self._family()
            for person in people:
                self._live(person, people, district)
        district.cases = sorted(district.cases[:wanted], key=lambda case: case.at)
        return district

    # People

    def _family(self) -> list[Person]:
        """One person, sometimes with a twin whose number is the next one."""
        self.serial += self.chance.randrange(1, 9)
        sex = self.chance.choice("MF")
        letter = self.chance.choice(_LETTERS)
        born = date(1935, 1, 1) + timedelta(days=self.chance.randrange(31_000))
        clinics = tuple(self.chance.sample(CLINICS, self.chance.choice((1, 1, 1, 2))))
        people = [Person(self._id(letter, sex), born, sex, clinics)]
        if self.chance.random() < 0.02:
            self.serial += 1
            people.append(Person(self._id(letter, sex), born, sex, clinics))
        return people

    def _id(self, letter: str, sex: str) -> str:
        draw = self.chance.random()
        tail = self.serial % 10_000_000
        first = {"M": 1, "F": 2}[sex]
        if draw < 0.03:
            # A residence permit since 2021.
            return national_id(letter, (first + 7) * 10_000_000 + tail)
        if draw < 0.04:
            # One from before: its second letter counts as its last digit (A 0, B 1, C 2, D 3).
            plain = national_id(letter, {"M": 2, "F": 3}[sex] * 10_000_000 + tail)
            return plain[0] + {"M": "C", "F": "D"}[sex] + plain[2:]
        right = national_id(letter, first * 10_000_000 + tail)
        if draw < 0.045:
            # On the card itself, from times when nobody checked.
            return right[:9] + str((int(right[9]) + 1) % 10)
        return right

    # Visits

    def _live(self, person: Person, family: list[Person], district: District) -> None:
        clinic = person.clinics[0]
        style = self.chance.random()
        if style < 0.25:
            visits = self._chronic(person, clinic)
        elif style < 0.32:
            visits = self._same_day(person, clinic)
        else:
            count = self.chance.choice((1, 1, 2))
            visits = [self._visit(person, clinic, self._day()) for _ in range(count)]
        visits += [self._visit(person, other, self._day()) for other in person.clinics[1:]]
        if self.chance.random() < 0.02:
            born = visits[0].visit_on - timedelta(days=self.chance.randrange(5, 50))
            for mark in ("1", "2")[: self.chance.choice((1, 1, 2))]:
                own = self._visit(person, clinic, visits[0].visit_on)
                visits.append(replace(own, newborn_birth_on=born, newborn_mark=mark))
        for visit in visits:
            told = self._tell(visit)
            if told is not None:
                district.visits.append(told)
            if told is not None and told is not visit and self.chance.random() < 0.7:
                # Taken back to be entered anew: the result is the new one's.
                visit = replace(visit, card_at=visit.card_at + timedelta(minutes=7))
                visit = told = replace(visit, visit_serial=f"{9000 + self.number % 1000}")
                district.visits.append(visit)
            asked = 0.93 if told is visit or told is None else 0.2
            for code in dict.fromkeys(order.order_code for order in visit.orders):
                if self.chance.random() < asked:
                    district.cases += self._results(person, family, visit, told, code)

    def _day(self) -> date:
        return FIRST_DAY + timedelta(days=self.chance.randrange(DAYS))

    def _chronic(self, person: Person, clinic: str) -> list[Visit]:
        """Every four weeks or so, the same orders."""
        day, codes = self._day(), self.chance.sample(CHRONIC, 2)
        visits = []
        for _ in range(self.chance.randrange(2, 5)):
            visits.append(self._visit(person, clinic, day, codes))
            day += timedelta(days=self.chance.choice((26, 28, 28, 30, 84)))
        return visits

    def _same_day(self, person: Person, clinic: str) -> list[Visit]:
        """Twice on one day, sometimes with the same order."""
        first = self._visit(person, clinic, self._day())
        codes = [order.order_code for order in first.orders]
        again = codes if self.chance.random() < 0.5 else None
        return [first, self._visit(person, clinic, first.visit_on, again)]

    def _visit(
        self, person: Person, clinic: str, day: date, codes: list[str] | None = None
    ) -> Visit:
        self.number += 1
        codes = codes or self.chance.sample(CODES, self.chance.randrange(1, 4))
        numbered = self.chance.random() < 0.25
        quantity = Decimal(2 if self.chance.random() < 0.01 else 1)
        minutes = self.chance.randrange(8 * 60, 21 * 60)
        card_at = datetime.combine(day, time(minutes // 60, minutes % 60), TAIPEI)
        return Visit(
            institution_code=clinic,
            national_id=person.national_id,
            birth_on=person.birth_on,
            card_at=card_at.astimezone(UTC),
            visit_type="01",
            visit_serial=f"{self.number % 10_000:04d}",
            visit_on=day,
            provider_id=national_id("C", 19_900_000 + self.chance.randrange(4)),
            orders=tuple(
                Order(
                    code,
                    quantity,
                    ordered_at=card_at,
                    placer_order_number=f"P{self.number:07d}{place}" if numbered else "",
                )
                for place, code in enumerate(codes, start=1)
            ),
        )

    def _tell(self, visit: Visit) -> Visit | None:
        """What the clinic's card data says of it by the time of the result."""
        draw = self.chance.random()
        if draw < 0.02:
            return None
        if draw < 0.025:
            return replace(visit, cancelled=True)
        if draw < 0.03:
            gone = tuple(replace(order, cancelled=True) for order in visit.orders)
            return replace(visit, orders=gone)
        return visit

    # Results

    def _results(
        self,
        person: Person,
        family: list[Person],
        visit: Visit,
        told: Visit | None,
        code: str,
    ) -> Iterator[Case]:
        days = self.chance.choices((0, 1, 4, 12, 25, 45), (70, 15, 7, 4, 3, 1))[0]
        yield self._case(person, family, visit, told, code, days)
        quantity = next(each.quantity for each in visit.orders if each.order_code == code)
        if quantity > 1 or self.chance.random() < 0.003:
            case = self._case(person, family, visit, told, code, days + 2)
            yield replace(case, kind="second result")

    def _case(
        self,
        person: Person,
        family: list[Person],
        visit: Visit,
        told: Visit | None,
        code: str,
        days: int,
    ) -> Case:
        """What the laboratory sends of it."""
        taken = datetime.combine(
            visit.visit_on + timedelta(days=days), time(22, self.chance.randrange(60)), TAIPEI
        )
        taken -= timedelta(minutes=self.chance.randrange(1, 40) if days == 0 else 720)
        reported = taken + timedelta(hours=self.chance.randrange(3, 60))
        order = next(each for each in visit.orders if each.order_code == code)
        newborn = visit.newborn_birth_on
        report = LabReport(
            Patient(person.national_id, newborn or person.birth_on, person.sex),
            (Coding(code),),
            (),
            lab_code=LAB,
            clinic_code=visit.institution_code,
            placer_order_number=order.placer_order_number if self.chance.random() < 0.7 else "",
            filler_order_number=f"L{self.chance.randrange(10**9):09d}",
            specimen=Specimen("", Moment(taken, Precision.MINUTE), None),
            ordered_at=self._order_day(visit, taken),
            reported_at=Moment(reported, Precision.MINUTE),
            place="OBR[1]",
        )
        kind = "plain"
        if told is None:
            kind = "card data missing"
        elif told is not visit:
            kind = "taken back"
        elif newborn is not None:
            kind = "newborn on the parent's card"
        elif days > 30:
            kind = "late"
        elif len(family) > 1:
            kind = "twin"
        elif report.placer_order_number:
            kind = "numbered"
        case = Case(report, visit.institution_code, code, visit, kind, reported)
        return self._slip(case, person, family)

    def _order_day(self, visit: Visit, taken: datetime) -> Moment | None:
        """Laboratories write the day of the order, or rather that of the specimen, or nothing."""
        said = self.chance.choices((visit.card_at, taken, None), (3, 3, 4))[0]
        return Moment(said, Precision.DAY) if said is not None else None

    def _slip(self, case: Case, person: Person, family: list[Person]) -> Case:
        report, patient = case.report, case.report.patient
        draw = self.chance.random()
        if draw < 0.01:
            told = self._mistyped(patient.national_id)
            born = patient.birth_on if self.chance.random() < 0.8 else None
            return self._as(
                "id mistyped", case, patient=replace(patient, national_id=told, birth_on=born)
            )
        if draw < 0.02:
            return self._as("no id", case, patient=replace(patient, national_id=""))
        if draw < 0.0201 or (len(family) > 1 and draw < 0.022):
            other = next((each for each in family if each is not person), person)
            mixed = replace(patient, national_id=other.national_id)
            return self._as("somebody else's id", case, patient=mixed)
        if draw < 0.05:
            return self._as("no birth date", case, patient=replace(patient, birth_on=None))
        if draw < 0.055:
            wrong = replace(
                patient,
                birth_on=person.birth_on + timedelta(days=self.chance.choice((-1, 1, 10, 365))),
            )
            return self._as("birth date wrong", case, patient=wrong)
        if draw < 0.065:
            others = [each for each in CLINICS if each != case.clinic_code]
            seen = [each for each in person.clinics if each != case.clinic_code]
            wrong_clinic = self.chance.choice(seen or others)
            moved = replace(case, clinic_code=wrong_clinic)
            return self._as("wrong clinic", moved, clinic_code=wrong_clinic)
        if draw < 0.085:
            return self._as("no collection time", case, specimen=Specimen())
        if draw < 0.09:
            return self._as(
                "no time at all", case, specimen=Specimen(), reported_at=None, ordered_at=None
            )
        if draw < 0.1:
            taken = report.specimen.collected_at
            assert taken is not None
            days = timedelta(days=self.chance.choice((-30, -7, -1, 1, 7, 30)))
            wrong_day = Specimen("", Moment(taken.at + days, taken.precision))
            return self._as("wrong day", case, specimen=wrong_day)
        if draw < 0.11:
            code = self.chance.choice(CODES)
            moved = replace(case, order_code=code)
            return self._as("another code", moved, service=(Coding(code),))
        if draw < 0.115 and report.placer_order_number:
            number = f"P{self.chance.randrange(self.number):07d}{self.chance.choice('123')}"
            return self._as("another number", case, placer_order_number=number)
        return case

    @staticmethod
    def _as(kind: str, case: Case, **change: object) -> Case:
        return replace(case, kind=kind, report=replace(case.report, **change))  # type: ignore[arg-type]

    def _mistyped(self, text: str) -> str:
        place = self.chance.randrange(2, 9)
        if self.chance.random() < 0.3 and text[place] != text[place + 1]:
            return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        digit = str((int(text[place]) + self.chance.randrange(1, 10)) % 10)
        return text[:place] + digit + text[place + 1 :]
