"""Observation → result lines: its own value, then its components (R4 observation.html)."""

from __future__ import annotations

from adapters.fhir.elements import (
    Element,
    codings_of,
    concept_text,
    element_of,
    elements_of,
    text_of,
)
from adapters.fhir.identifiers import is_order_code_system
from adapters.fhir.parties import first_person_id
from adapters.fhir.ranges import read_reference
from adapters.fhir.reading import Reading
from adapters.fhir.references import Node
from adapters.fhir.statuses import OBSERVATION_STATUS
from adapters.fhir.values import (
    absent_reason,
    interpretation_flags,
    note_absence,
    read_value,
)
from mapping.moment import Moment
from mapping.report import Coding, Observation, ObservationStatus, Patient

_USABLE = frozenset({ObservationStatus.FINAL, ObservationStatus.CORRECTED})
_PENDING = "temp-unknown"


def read_lines(
    node: Node, patient: Patient, reading: Reading, inherited: tuple[Coding, ...] = ()
) -> list[Observation]:
    """The lines of one Observation without its members: own value first, then components.

    ``inherited`` are the NHI order codes of the panel that this is a member of: they follow the
    line's own codings where those name none.
    """
    resource, place = node.resource, node.place
    status = OBSERVATION_STATUS[text_of(resource, "status")]
    codings = _with_order_code(codings_of(element_of(resource, "code")), inherited)
    observed_at = effective_moment(node, reading)
    performers = [(reference, node) for reference in elements_of(resource, "performer")]
    performer_id = first_person_id(performers, reading)
    method = concept_text(element_of(resource, "method"))
    notes = note_texts(resource, "note")
    lines = []

    def line(element: Element, where: str, names: tuple[Coding, ...]) -> Observation:
        held = len(reading.holding)
        value = read_value(element, where, reading)
        line_status = status
        if value.text and status in _USABLE and element_of(element, "dataAbsentReason"):
            # R4 obs-6 forbids both: one of them is wrong, and nobody can say which.
            reading.hold("fhir-value-and-reason", f"{where}.dataAbsentReason")
        if len(reading.holding) > held:
            # Its code without a value and not final: the order waits where a person sees it.
            waits = ObservationStatus.PRELIMINARY if status in _USABLE else status
            return Observation(names, "", value.type_name, status=waits, place=where)
        if not value.text and status in _USABLE:
            reason = absent_reason(element)
            note_absence(element, where, reading)
            if reason:
                pending = reason == _PENDING
                line_status = (
                    ObservationStatus.PRELIMINARY if pending else ObservationStatus.NOT_DONE
                )
        day = observed_at.day if observed_at else None
        return Observation(
            codings=names,
            value=value.text,
            value_type=value.type_name,
            unit=value.unit,
            reference=read_reference(element, value.unit, patient, day, where, reading),
            abnormal_flags=interpretation_flags(element),
            status=line_status,
            method=method,
            performer_id=performer_id,
            observed_at=observed_at,
            notes=notes,
            place=where,
        )

    components = elements_of(resource, "component")
    if _has_value(resource) or not (components or members_of(node)):
        lines.append(line(resource, place, codings))
    panel_codes = order_codings(codings)
    for index, component in enumerate(components):
        names = _with_order_code(codings_of(element_of(component, "code")), panel_codes)
        lines.append(line(component, f"{place}.component[{index}]", names))
    return lines


def members_of(node: Node) -> list[Element]:
    """The references of hasMember."""
    return elements_of(node.resource, "hasMember")


def has_own_value(node: Node) -> bool:
    """Whether the Observation says something itself: a value, or why there is none."""
    return _has_value(node.resource)


def order_codings(codings: tuple[Coding, ...]) -> tuple[Coding, ...]:
    """The NHI order codes among ``codings``, without their names."""
    return tuple(
        Coding(coding.code, "", coding.system)
        for coding in codings
        if coding.code and is_order_code_system(coding.system)
    )


def effective_moment(node: Node, reading: Reading) -> Moment | None:
    """When the result was true of the patient: effectiveDateTime, effectiveInstant, or the start
    of effectivePeriod (its end where it has no start)."""
    for name in ("effectiveDateTime", "effectiveInstant"):
        text = text_of(node.resource, name)
        if text:
            return reading.collection_moment(text, f"{node.place}.{name}")
    period = element_of(node.resource, "effectivePeriod")
    text = text_of(period, "start") or text_of(period, "end")
    return reading.collection_moment(text, f"{node.place}.effectivePeriod")


def note_texts(resource: Element, name: str) -> tuple[str, ...]:
    """The texts of the annotations under ``name``."""
    texts = (text_of(note, "text") for note in elements_of(resource, name))
    return tuple(text for text in texts if text)


def _has_value(element: Element) -> bool:
    if element_of(element, "dataAbsentReason"):
        return True
    return any(name.startswith("value") and value is not None for name, value in element.items())


def _with_order_code(own: tuple[Coding, ...], inherited: tuple[Coding, ...]) -> tuple[Coding, ...]:
    return own if not inherited or order_codings(own) else own + inherited
