"""Patient, and references to one → our Patient (TW Core Patient-twcore, R4 patient.html)."""

from __future__ import annotations

from adapters.fhir.elements import Element, elements_of, text_of
from adapters.fhir.identifiers import national_ids, typed_value
from adapters.fhir.moments import read_date
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node, logical_identifier, target_key
from mapping.report import Patient

_SEX = {"male": "M", "female": "F"}
_ID_LENGTH = 10


def read_patient(subject: Element, source: Node, reading: Reading) -> Patient:
    """Who ``subject`` (a Reference in ``source``) is, as far as the payload says.

    A reference that leads nowhere may still carry the national id itself, as a logical
    identifier. Nothing known is an empty Patient, with a finding where a reference was given.
    """
    node = reading.index.resolve(subject, source, "Patient")
    key = target_key(subject, node)
    if key not in reading.patients:
        if node is not None:
            reading.patients[key] = made = _read(node, reading)
            if made.birth_on is None and text_of(node.resource, "birthDate"):
                reading.unread_births.add(key)
        else:
            place = f"{source.place}.subject"
            reading.patients[key] = _from_reference(subject, place, reading)
    if node is not None and key in reading.unread_births:
        reading.holding.append(f"{node.place}.birthDate")
    return reading.patients[key]


def _read(node: Node, reading: Reading) -> Patient:
    resource = node.resource
    identifiers = elements_of(resource, "identifier")
    birth_text = text_of(resource, "birthDate")
    birth_on = read_date(birth_text)
    if birth_text and birth_on is None:
        reading.note("fhir-partial-date", f"{node.place}.birthDate")
    return Patient(
        national_id=_national_id(identifiers, f"{node.place}.identifier", reading),
        birth_on=birth_on,
        sex=_SEX.get(text_of(resource, "gender"), ""),
        name=human_name(elements_of(resource, "name")),
        chart_number=typed_value(identifiers, "MR"),
    )


def _from_reference(subject: Element, place: str, reading: Reading) -> Patient:
    identifier = logical_identifier(subject)
    if identifier:
        national_id = _national_id([identifier], f"{place}.identifier", reading)
        return Patient(national_id=national_id, name=text_of(subject, "display"))
    if text_of(subject, "reference"):
        reading.note("fhir-reference-unresolved", place)
    return Patient(name=text_of(subject, "display"))


def _national_id(identifiers: list[Element], place: str, reading: Reading) -> str:
    """The one national id; a masked one is none, and of two different ones neither is chosen."""
    claimed = national_ids(identifiers)
    whole = [value for value in claimed if _is_whole(value)]
    if claimed and not whole:
        reading.note("fhir-national-id-shape", place)
    if len(whole) > 1:
        reading.note("fhir-several-national-ids", place)
        return ""
    return whole[0] if whole else ""


def _is_whole(value: str) -> bool:
    ten = len(value) == _ID_LENGTH and value.isascii() and value.isalnum()
    return ten and value[0].isalpha() and value[2:].isdigit()


def human_name(names: list[Element]) -> str:
    """The name as the sender prints it: ``text`` of the official or first name, else its parts."""
    usable = [name for name in names if text_of(name, "use") not in ("old", "maiden")]
    ordered = sorted(usable, key=lambda name: text_of(name, "use") != "official")
    for name in ordered:
        text = text_of(name, "text")
        if text:
            return text
        given = name.get("given")
        first = [part for part in given if isinstance(part, str)] if isinstance(given, list) else []
        family = text_of(name, "family")
        parts = [part for part in (family, *first) if part]
        if parts:
            ascii_only = all(part.isascii() for part in parts)
            return " ".join(parts) if ascii_only else "".join(parts)
    return ""
