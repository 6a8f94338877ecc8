"""Order and visit messages of a clinic (OML, ORM, ADT^A04/A08) → its visits and orders.

HL7 v2.5.1 section 4.5 (ORC 4.5.1, TQ1 4.5.4) and 3.3.4, 3.3.8. Such messages know the patient, the
day and what was ordered under which placer number. They rarely know the card event that an upload
must name (h5 card time, h6 visit type, h7 serial: the card gives them, IC-card data A17, A23, A18);
a clinic's system may add them in Z-segments, whose places the source's dialect tells. A visit
without them is ``provisional``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Final

from adapters.hl7.coded import read_codings
from adapters.hl7.er7 import Message, Segment
from adapters.hl7.identity import (
    is_institution_code,
    national_form,
    read_patient,
    read_person_id,
    value_at,
)
from adapters.hl7.timestamp import parse_moment
from mapping.code_evidence import service_order_code, unknown_service_code
from mapping.finding import Finding, Severity
from mapping.moment import TAIPEI, Moment, Precision
from mapping.profile import SourceProfile
from mapping.report import Coding
from mapping.rocdate import parse_roc_moment
from mapping.values import parse_decimal
from mapping.visit import Order, Visit

_ORDERS: Final = frozenset({"OML", "ORM", "OMG"})
_VISITS: Final = frozenset({"A04", "A08"})
# Table 0119: what places an order, what takes it back, what replaces it by another.
_PLACED: Final = frozenset({"NW", "RO", "XO", "XX", "PA", "CH", "OK", "NA", "SN", "SC", "RE", "RL"})
_TAKEN_BACK: Final = frozenset({"CA", "OC", "CR", "DC", "OD", "DR", "RP", "RU", "RQ"})
# Table 0038, ORC-5: cancelled, discontinued, replaced.
_ENDED: Final = frozenset({"CA", "DC", "RP"})
_CLINIC_PLACES: Final = ("ORC-21.10", "ORC-21.3", "PV1-3.4.1", "PV1-3.4.2", "MSH-4.1", "MSH-4.2")
_ROC_MOMENT_DIGITS: Final = 13


def tells_visits(header: Segment) -> bool:
    """Whether MSH-9 is an order message or an outpatient registration."""
    kind, event = header.text(9).strip().upper(), header.text(9, 2).strip().upper()
    return kind in _ORDERS or (kind == "ADT" and event in _VISITS)


@dataclass(slots=True)
class _Line:
    segments: dict[str, Segment] = field(default_factory=dict)


@dataclass(slots=True)
class _Person:
    segments: dict[str, Segment]
    lines: list[_Line] = field(default_factory=list)


def read_visits(
    message: Message, profile: SourceProfile, findings: list[Finding]
) -> tuple[Visit, ...]:
    """One visit for each patient of the message, with the orders that it places or takes back.

    What cannot be used is a finding; never raises. A provisional visit has 00:00 Taipei time of
    its day as ``card_at`` and no ``visit_type``.
    """
    readers = (_VisitReader(message, person, profile, findings) for person in _people(message))
    return tuple(visit for reader in readers if (visit := reader.read()) is not None)


def _people(message: Message) -> Iterator[_Person]:
    header = message.segments[0]
    person: _Person | None = None
    shared = {"MSH": header}
    for segment in message.segments[1:]:
        if segment.name == "PID":
            if person is not None:
                yield person
            person = _Person({**shared, "PID": segment})
        elif person is None:
            shared.setdefault(segment.name, segment)
        else:
            _sort_in(person, segment)
    if person is not None:
        yield person


def _sort_in(person: _Person, segment: Segment) -> None:
    lines = person.lines
    name = segment.name
    if name == "ORC" or (name == "OBR" and (not lines or "OBR" in lines[-1].segments)):
        lines.append(_Line())
    target = lines[-1].segments if lines else person.segments
    target.setdefault(name, segment)


class _VisitReader:
    def __init__(
        self,
        message: Message,
        person: _Person,
        profile: SourceProfile,
        findings: list[Finding],
    ) -> None:
        self._message = message
        self._person = person
        self._profile = profile
        self._dialect = profile.hl7
        self._findings = findings
        first = person.lines[0].segments if person.lines else {}
        self._segments: dict[str, Segment | None] = {**first, **person.segments}
        self._pid = person.segments["PID"]

    def read(self) -> Visit | None:
        patient = read_patient(self._message, self._segments, self._profile, [])
        clinic = self._clinic()
        opened = self._opened_at()
        missing = [
            place
            for place, value in (
                (self._pid.place(3), patient.national_id),
                (self._pid.place(7), patient.birth_on),
                (self._message.segments[0].place(4), clinic),
                (self._message.segments[0].place(7), opened),
            )
            if not value
        ]
        if missing or patient.birth_on is None or opened is None:
            for place in missing:
                self._tell("hl7-visit-incomplete", place, severity=Severity.ERROR)
            return None
        orders = tuple(filter(None, map(self._order, self._person.lines)))
        card_at = self._card_at()
        kind = self._said(self._dialect.visit_type).upper()
        serial = self._said(self._dialect.visit_serial).upper()
        known = card_at is not None and bool(kind) and bool(serial)
        if not known:
            self._tell("hl7-visit-without-card", self._pid.place(), severity=Severity.INFORMATION)
        day = (card_at or opened).day
        return Visit(
            institution_code=clinic,
            national_id=patient.national_id,
            birth_on=patient.birth_on,
            card_at=card_at.at if known and card_at else _start_of(day_at=card_at or opened),
            visit_type=kind if known else "",
            visit_serial=serial if known else "",
            visit_on=day,
            makeup_code=self._said(self._dialect.makeup_code) or "1",
            provider_id=self._provider(),
            visit_identifier=self._said(self._dialect.visit_identifier),
            orders=orders,
            place=self._pid.place(),
            provisional=not known,
        )

    def _said(self, places: tuple[str, ...], line: _Line | None = None) -> str:
        segments = {**self._segments, **(line.segments if line else {})}
        return next(filter(None, (value_at(place, segments) for place in places)), "")

    def _clinic(self) -> str:
        """The dialect's places, the ordering facility, the visit's place, the sender."""
        clinics = self._profile.clinics
        for place in (*self._dialect.clinic_code, *_CLINIC_PLACES):
            code = value_at(place, self._segments)
            if code in clinics:
                return clinics[code]
            if is_institution_code(code):
                return code
        return self._profile.clinic_code

    def _card_at(self) -> Moment | None:
        text = self._said(self._dialect.card_at)
        if not text:
            return None
        moment = _card_moment(text)
        if moment is None or moment.precision is not Precision.SECOND:
            self._tell("hl7-card-time", self._pid.place(), text)
            return None
        return moment

    def _opened_at(self) -> Moment | None:
        """When the visit was: its card time, PV1-44, the order's or event's time, MSH-7."""
        said = self._card_at() if self._dialect.card_at else None
        if said is not None:
            return said
        for name, number in (("PV1", 44), ("ORC", 9), ("OBR", 6), ("EVN", 6), ("EVN", 2)):
            segment = self._segments.get(name)
            moment = parse_moment(segment.text(number)) if segment is not None else None
            if moment is not None:
                return moment
        return parse_moment(self._message.segments[0].text(7))

    def _provider(self) -> str:
        for name, number in (("ORC", 12), ("OBR", 16), ("PV1", 7)):
            found = read_person_id(self._message, self._segments.get(name), number)
            if national_form(found):
                return national_form(found)
        return ""

    def _order(self, line: _Line) -> Order | None:
        orc, obr = line.segments.get("ORC"), line.segments.get("OBR")
        control = orc.text(1).strip().upper() if orc is not None else ""
        ended = orc is not None and orc.text(5).strip().upper() in _ENDED
        cancelled = control in _TAKEN_BACK or ended
        if control and not cancelled and control not in _PLACED:
            if orc is not None:
                self._tell("hl7-order-control", orc.place(1), control)
            return None
        number = _first(orc, 2) or _first(obr, 2)
        code = self._order_code(obr, line.segments.get("SPM"))
        if not code and not (cancelled and number):
            self._tell_unknown(obr or orc, line.segments.get("SPM"))
            return None
        ordered = parse_moment(_first(orc, 9)) or parse_moment(_first(obr, 6))
        return Order(
            order_code=code,
            quantity=_quantity(line),
            dispensing_code=self._said(self._dialect.dispensing_code, line),
            ordered_at=ordered.at if ordered and ordered.precision > Precision.DAY else None,
            placer_order_number=number,
            cancelled=cancelled,
        )

    def _order_code(self, obr: Segment | None, spm: Segment | None) -> str:
        if obr is None:
            return ""
        return service_order_code(*self._service(obr, spm), self._profile)[0]

    def _service(self, obr: Segment, spm: Segment | None) -> tuple[tuple[Coding, ...], str]:
        delimiters, charset = self._message.delimiters, self._message.charset
        specimen = spm.text(4, 2) or spm.text(4) if spm is not None else ""
        return read_codings(obr.raw(4), delimiters, charset), specimen

    def _tell_unknown(self, segment: Segment | None, spm: Segment | None) -> None:
        """An order whose code nobody knows: the finding names the code, so that a person may say
        what it means. What is never uploaded needs no word."""
        if segment is None:
            return
        if segment.name != "OBR":
            self._tell("hl7-order-code", segment.place())
            return
        service = self._service(segment, spm)
        code, name = unknown_service_code(*service, self._profile)
        if code or not service[0]:
            self._tell("hl7-order-code", segment.place(4), code, code=code, name=name)

    def _tell(
        self,
        finding: str,
        place: str,
        value: str = "",
        severity: Severity = Severity.WARNING,
        **parameters: str,
    ) -> None:
        told = tuple(parameters.items())
        self._findings.append(Finding(finding, "", place, value, severity, told))


def _start_of(day_at: Moment) -> datetime:
    return datetime.combine(day_at.day, time(), TAIPEI).astimezone(UTC)


def _card_moment(text: str) -> Moment | None:
    if len(text) == _ROC_MOMENT_DIGITS:
        try:
            return parse_roc_moment(text)
        except ValueError:
            return None
    return parse_moment(text)


def _first(segment: Segment | None, number: int) -> str:
    return segment.text(number).strip() if segment is not None else ""


def _quantity(line: _Line) -> Decimal:
    """TQ1-2 (since v2.5), ORC-7, OBR-27; one where nothing is said."""
    for name, number in (("TQ1", 2), ("ORC", 7), ("OBR", 27)):
        found = parse_decimal(_first(line.segments.get(name), number))
        if found is not None and found > 0:
            return found
    return Decimal(1)
