"""Who performed and who ordered: institutions and persons behind references.

Neither has one mandatory place in TW Core 0.3.3, so several are read (Observation-
laboratoryResult-twcore, DiagnosticReport-twcore, ServiceRequest-twcore, MessageHeader-twcore).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adapters.fhir.elements import Element, element_of, elements_of, text_of
from adapters.fhir.identifiers import institution_code, national_ids, untyped_value
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node, logical_identifier, target_type

_HEADER_PLACES = {"MessageHeader": ("responsible", "sender"), "Composition": ("custodian",)}


def organization_identifiers(reference: Element, source: Node, reading: Reading) -> list[Element]:
    """The identifiers of the Organization that ``reference`` leads to, also by PractitionerRole."""
    node = reading.index.resolve(
        reference, source, "Organization", "PractitionerRole", "Practitioner"
    )
    if node is None:
        identifier = logical_identifier(reference)
        is_person = target_type(reference, None) in ("Practitioner", "Patient")
        return [identifier] if identifier and not is_person else []
    if node.type_name == "Organization":
        return elements_of(node.resource, "identifier")
    if node.type_name == "PractitionerRole":
        return organization_identifiers(element_of(node.resource, "organization"), node, reading)
    role = _role_of(node, reading)
    if role is None:
        return []
    return organization_identifiers(element_of(role.resource, "organization"), role, reading)


def performing_lab(references: Iterable[tuple[Element, Node]], reading: Reading) -> str:
    """The institution code of the first performer that has one, else the profile's lab."""
    for reference, source in references:
        code = institution_code(organization_identifiers(reference, source, reading))
        if code:
            return code
    return reading.profile.lab_code


def ordering_clinic(
    requesters: Iterable[tuple[Element, Node]], lab_code: str, reading: Reading
) -> str:
    """The clinic of the requester; else the profile's; else of the message's header.

    A code that is no institution code is the sender's own and is given as sent. The header comes
    last because the sender of a result message is as a rule the laboratory, which is never taken.
    """
    for reference, source in requesters:
        identifiers = organization_identifiers(reference, source, reading)
        code = institution_code(identifiers) or untyped_value(identifiers)
        if code:
            return code
    if reading.profile.clinic_code:
        return reading.profile.clinic_code
    if reading.header_clinics is None:
        reading.header_clinics = tuple(_header_institutions(reading))
    laboratories = (lab_code, reading.profile.lab_code)
    return next((code for code in reading.header_clinics if code not in laboratories), "")


def person_id(reference: Element, source: Node, reading: Reading) -> str:
    """The national id of the Practitioner that ``reference`` leads to, also by his role."""
    node = reading.index.resolve(reference, source, "Practitioner", "PractitionerRole")
    if node is None:
        found = national_ids([logical_identifier(reference)])
    elif node.type_name == "PractitionerRole":
        return person_id(element_of(node.resource, "practitioner"), node, reading)
    else:
        found = national_ids(elements_of(node.resource, "identifier"))
    return found[0] if len(found) == 1 else ""


def first_person_id(references: Iterable[tuple[Element, Node]], reading: Reading) -> str:
    """The national id of the first of ``references`` that leads to one, or ``""``."""
    for reference, source in references:
        found = person_id(reference, source, reading)
        if found:
            return found
    return ""


def _role_of(practitioner: Node, reading: Reading) -> Node | None:
    """The one PractitionerRole that names this person; of two neither is taken."""
    if reading.roles is None:
        reading.roles = {}
        for role in reading.index.of_type("PractitionerRole"):
            person = reading.index.resolve(element_of(role.resource, "practitioner"), role)
            reading.roles.setdefault(id(person), []).append(role)
    roles = reading.roles.get(id(practitioner), [])
    return roles[0] if len(roles) == 1 else None


def _header_institutions(reading: Reading) -> Iterator[str]:
    for type_name, names in _HEADER_PLACES.items():
        for node in reading.index.of_type(type_name):
            for reference in _header_references(node, names):
                code = institution_code(organization_identifiers(reference, node, reading))
                if code:
                    yield code


def _header_references(node: Node, names: tuple[str, ...]) -> list[Element]:
    references = [element_of(node.resource, name) for name in names]
    references += [
        element_of(destination, "receiver")
        for destination in elements_of(node.resource, "destination")
    ]
    return [item for item in references if text_of(item, "reference") or item.get("identifier")]
