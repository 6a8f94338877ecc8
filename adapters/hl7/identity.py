"""Who a result belongs to and who ordered it: PID, XCN and XON fields, and a source's dialect.

National ids are told by the type code of PID-3.5 (HL7 table 0203: NNTWN, NI, PRC …) and by
their form; institution codes by their form (ten characters, mostly digits), because MSH-4 and
PV1-3 hold names just as often. What is not sure is left empty and reported, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from adapters.hl7.er7 import Message, Segment
from adapters.hl7.timestamp import parse_day
from mapping.finding import Finding, Severity
from mapping.frozen_maker import maker_of
from mapping.national_id import is_valid_national_id
from mapping.profile import SourceProfile
from mapping.report import Patient

_NATIONAL_ID: Final = re.compile(r"[A-Z](?:[0-9]{9}|[A-Z][0-9]{8})")
_NATIONAL_TYPES: Final = frozenset({"NNTWN", "NI", "NNTW", "PRC", "PR", "ARC", "NN"})
_CHART_TYPES: Final = ("MR", "MRN", "PI", "PT", "")
_OTHER_THAN_CHART: Final = _NATIONAL_TYPES | {"SS", "DL", "PPN", "NH", "AN", "VN"}
_FIRST_IDEOGRAPH: Final = "\u2e80"
_SEXES: Final = {"M": "M", "F": "F", "男": "M", "女": "F"}
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-([0-9]{1,3})(?:\.([0-9]{1,2}))?(?:\.([0-9]{1,2}))?")

_make_patient: Final = maker_of(Patient)

Segments = Mapping[str, Segment | None]


def read_patient(
    message: Message, segments: Segments, profile: SourceProfile, findings: list[Finding]
) -> Patient:
    """The patient of a group; empty where there is no PID."""
    pid = segments.get("PID")
    if pid is None:
        return Patient()
    identifiers = [
        (message.part(repetition, 1).strip(), message.part(repetition, 5).strip().upper())
        for repetition in pid.repetitions(3)
    ]
    national_id = _national_id(identifiers, pid, segments, profile)
    if not national_id:
        findings.append(Finding("hl7-no-national-id", "h9", pid.place(3), "", Severity.WARNING))
    return _make_patient(
        national_id=national_id,
        birth_on=parse_day(pid.text(7)),
        sex=_SEXES.get(pid.text(8).strip().upper(), ""),
        name=_name(pid),
        chart_number=_chart_number(identifiers, national_id) or pid.text(2).strip(),
    )


def is_institution_code(text: str) -> bool:
    """Ten ASCII letters and digits, at least eight of them digits (``3501200000``, ``JY…``)."""
    return (
        len(text) == 10
        and text.isascii()
        and text.isalnum()
        and text == text.upper()
        and sum(character.isdigit() for character in text) >= 8
    )


def national_form(text: str) -> str:
    """``text`` in upper case where it has the form of a national id or residence permit."""
    text = text.strip().upper()
    return text if _NATIONAL_ID.fullmatch(text) else ""


def read_person_id(message: Message, segment: Segment | None, number: int) -> str:
    """XCN: the id in national form among the repetitions, else the first id as sent."""
    if segment is None or not segment.raw(number):
        return ""
    found = [message.part(part, 1).strip() for part in segment.repetitions(number)]
    return next(filter(None, map(national_form, found)), found[0])


def value_at(place: str, segments: Segments) -> str:
    """The value at a place of a dialect (``ORC-21.10``); ``""`` where there is none."""
    parsed = _parse_place(place)
    if parsed is None:
        return ""
    name, number, component, subcomponent = parsed
    segment = segments.get(name)
    return segment.text(number, component, subcomponent).strip() if segment is not None else ""


def read_clinic_code(segments: Segments, profile: SourceProfile) -> str:
    """The ordering clinic: the dialect's places, ORC-21 (XON id), MSH-6, MSH-5, PV1-3.4.

    Through the profile's table of clinics where that knows the code. The dialect's places and
    ORC-21 name the ordering facility, so their code stands even where nobody knows it; the
    others count only if they are in the table or look like an institution code. Last the
    profile's own clinic.
    """
    for place in (*profile.hl7.clinic_code, "ORC-21.10", "ORC-21.3"):
        code = value_at(place, segments)
        if code:
            return profile.clinics.get(code, code)
    return _institution(_CLINIC_PLACES, segments, profile.clinics) or profile.clinic_code


def read_lab_code(segments: Segments, profile: SourceProfile) -> str:
    """The performing laboratory: the dialect's places, OBX-23 (XON id), OBX-15, MSH-4, where
    they hold an institution code; else the profile's lab."""
    for place in profile.hl7.lab_code:
        code = value_at(place, segments)
        if code:
            return code
    return _institution(_LAB_PLACES, segments, {}) or profile.lab_code


_CLINIC_PLACES: Final = ("MSH-6.1", "MSH-6.2", "MSH-5.1", "MSH-5.2", "PV1-3.4.1", "PV1-3.4.2")
_LAB_PLACES: Final = ("OBX-23.10", "OBX-23.3", "OBX-15.1", "MSH-4.1", "MSH-4.2")


def _institution(places: tuple[str, ...], segments: Segments, known: Mapping[str, str]) -> str:
    for place in places:
        code = value_at(place, segments)
        if code in known:
            return known[code]
        if is_institution_code(code):
            return code
    return ""


@lru_cache(maxsize=256)
def _parse_place(place: str) -> tuple[str, int, int, int] | None:
    found = _PLACE.fullmatch(place)
    if found is None:
        return None
    return found[1], int(found[2]), int(found[3] or 1), int(found[4] or 1)


def _national_id(
    identifiers: list[tuple[str, str]],
    pid: Segment,
    segments: Segments,
    profile: SourceProfile,
) -> str:
    for place in profile.hl7.national_id:
        found = national_form(value_at(place, segments))
        if found:
            return found
    for identifier, kind in identifiers:
        if kind in _NATIONAL_TYPES and (found := national_form(identifier)):
            return found
    rules: tuple[Callable[[str, str], bool], ...] = (
        lambda identifier, kind: is_valid_national_id(identifier),
        lambda identifier, kind: not kind,
    )
    typed = [(national_form(identifier), kind) for identifier, kind in identifiers]
    elsewhere = [(national_form(pid.text(number)), "") for number in (19, 2, 4)]
    for candidates in (typed, elsewhere):
        for rule in rules:
            for identifier, kind in candidates:
                if identifier and rule(identifier, kind):
                    return identifier
    return ""


def _chart_number(identifiers: list[tuple[str, str]], national_id: str) -> str:
    for wanted in _CHART_TYPES:
        for identifier, kind in identifiers:
            if kind == wanted and identifier and identifier.upper() != national_id:
                return identifier
    others = (identifier for identifier, kind in identifiers if kind not in _OTHER_THAN_CHART)
    return next((identifier for identifier in others if identifier.upper() != national_id), "")


def _name(pid: Segment) -> str:
    family = pid.text(5, 1).strip()
    given = pid.text(5, 2).strip()
    if not family or not given:
        return family or given
    chinese = any(character >= _FIRST_IDEOGRAPH for character in family + given)
    return family + given if chinese else f"{family} {given}"
