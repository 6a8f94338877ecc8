"""Whose result it is: never to give one person's value to another (R4 observation.html subject)."""

from __future__ import annotations

from adapters.fhir.elements import Element, element_of, elements_of, text_of
from adapters.fhir.identifiers import national_ids
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node, logical_identifier, target_key, target_type
from mapping.finding import Severity

_PERSONS = frozenset({"", "Patient"})
_OTHERS = frozenset({"Patient", "RelatedPerson", "Practitioner", "Group"})


def subject_of(node: Node) -> Element:
    """The Reference in ``subject``, empty where there is none."""
    return element_of(node.resource, "subject")


def is_of_a_patient(node: Node, reading: Reading) -> bool:
    """False, with a finding, for results of devices, places and groups, and for results whose
    focus is another person than the subject (a donor, a fetus)."""
    subject = subject_of(node)
    found = reading.index.resolve(subject, node)
    if target_type(subject, found) not in _PERSONS:
        reading.note("fhir-subject-not-a-patient", f"{node.place}.subject", Severity.INFORMATION)
        return False
    for focus in elements_of(node.resource, "focus"):
        target = reading.index.resolve(focus, node)
        same = target_key(focus, target) == target_key(subject, found)
        if target_type(focus, target) in _OTHERS and not same:
            reading.note("fhir-about-another-person", f"{node.place}.focus", Severity.ERROR)
            return False
    return True


def is_same_subject(one: Node, other: Node, reading: Reading) -> bool:
    """Whether two resources name the same subject; one that names none has the other's."""
    first, second = subject_of(one), subject_of(other)
    if not _is_given(first) or not _is_given(second):
        return True
    nodes = (reading.index.resolve(first, one), reading.index.resolve(second, other))
    if target_key(first, nodes[0]) == target_key(second, nodes[1]):
        return True
    if _is_identified(first, nodes[1]) or _is_identified(second, nodes[0]):
        return True
    return bool(_person_ids(nodes[0]) & _person_ids(nodes[1]))


def _person_ids(node: Node | None) -> set[str]:
    """Each resource may contain its own copy of the patient."""
    if node is None or node.type_name != "Patient":
        return set()
    found = national_ids(elements_of(node.resource, "identifier"))
    return set(found) if len(found) == 1 else set()


def _is_given(reference: Element) -> bool:
    return bool(text_of(reference, "reference") or reference.get("identifier"))


def _is_identified(reference: Element, node: Node | None) -> bool:
    """Whether a logical reference names one of the identifiers of ``node``."""
    identifier = logical_identifier(reference)
    if node is None or not identifier:
        return False
    return any(
        text_of(known, "value") == text_of(identifier, "value")
        and text_of(known, "system") == text_of(identifier, "system")
        for known in elements_of(node.resource, "identifier")
    )
