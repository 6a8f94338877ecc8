"""referenceRange of an Observation or component → the one ReferenceRange for this patient.

Source: R4 observation-definitions.html#Observation.referenceRange: several may be sent, for
different sexes, ages and purposes; a range with a purpose other than "normal" is no reference
value.
"""

from __future__ import annotations

from datetime import date

from adapters.fhir.elements import (
    Element,
    codes_of,
    concept_text,
    element_of,
    elements_of,
    text_of,
)
from adapters.fhir.literals import literal_text
from adapters.fhir.reading import Reading
from adapters.fhir.values import quantity_unit, range_text
from mapping.reference_range import parse_reference_range
from mapping.report import Patient, ReferenceRange
from mapping.units import same_unit

_MALE = frozenset({"male", "m", "248153007", "男", "男性"})
_FEMALE = frozenset({"female", "f", "248152002", "女", "女性"})
"""R4 administrative-gender, HL7 table 0001, SNOMED CT, and plain words."""
_NORMAL = frozenset({"normal", "recommended", "type"})
"""Codes of referencerange-meaning that speak of a reference value."""
_YEARS = frozenset({"a", "y", "yr", "yrs", "year", "years", "歲"})


def read_reference(
    element: Element,
    unit: str,
    patient: Patient,
    on: date | None,
    place: str,
    reading: Reading,
) -> ReferenceRange:
    """The range for this patient on that day.

    Where more than one is left, no bound is chosen: all are kept in ``raw`` and ``text``, and a
    finding says so. A bound in another unit than the value's is kept as text for the same reason.
    """
    ranges = [item for item in elements_of(element, "referenceRange") if _is_normal(item)]
    chosen = [item for item in ranges if _applies(item, patient, on)]
    if len(chosen) > 1:
        plain = [item for item in chosen if not (item.get("appliesTo") or item.get("age"))]
        special = [item for item in chosen if item not in plain and _sexes(item)]
        chosen = special if len(special) == 1 else plain if len(plain) == 1 else chosen
    if not chosen:
        return ReferenceRange()
    if len(chosen) > 1:
        raw = "; ".join(filter(None, (_described(item) for item in chosen)))
        reading.note("fhir-several-ranges", f"{place}.referenceRange", count=str(len(chosen)))
        return ReferenceRange(text=raw, raw=raw)
    return _read(chosen[0], unit, patient, f"{place}.referenceRange", reading)


def _read(
    item: Element, unit: str, patient: Patient, place: str, reading: Reading
) -> ReferenceRange:
    low, high = element_of(item, "low"), element_of(item, "high")
    low_text, high_text = literal_text(low.get("value")), literal_text(high.get("value"))
    text = text_of(item, "text")
    if not low_text and not high_text:
        return parse_reference_range(text, patient.sex) if text else ReferenceRange()
    raw = text or range_text(low_text, high_text)
    for bound in (low, high):
        bound_unit = quantity_unit(bound)
        named = (bound_unit, text_of(bound, "code"))
        if unit and bound_unit and not any(same_unit(unit, name) for name in named if name):
            reading.note("fhir-range-unit", place)
            described = text or _described(item)
            return ReferenceRange(text=described, raw=described)
    return ReferenceRange(low_text, high_text, "", raw)


def _is_normal(item: Element) -> bool:
    codes = codes_of(element_of(item, "type"))
    return not codes or bool(codes & _NORMAL)


def _words(item: Element) -> list[set[str]]:
    return [
        {word.strip().lower() for word in (*codes_of(concept), concept_text(concept)) if word}
        for concept in elements_of(item, "appliesTo")
    ]


def _sexes(item: Element) -> set[str]:
    sexes = set()
    for words in _words(item):
        if words & _MALE:
            sexes.add("M")
        if words & _FEMALE:
            sexes.add("F")
    return sexes


def _applies(item: Element, patient: Patient, on: date | None) -> bool:
    sexes = _sexes(item)
    if sexes and patient.sex and patient.sex not in sexes:
        return False
    age = element_of(item, "age")
    if not age or patient.birth_on is None or on is None:
        return True
    had_birthday = (on.month, on.day) >= (patient.birth_on.month, patient.birth_on.day)
    years = on.year - patient.birth_on.year - (0 if had_birthday else 1)
    low, high = _years(age, "low"), _years(age, "high")
    return not ((low is not None and years < low) or (high is not None and years > high))


def _years(age: Element, name: str) -> int | None:
    bound = element_of(age, name)
    text = literal_text(bound.get("value"))
    in_years = bool({text_of(bound, "unit").lower(), text_of(bound, "code").lower()} & _YEARS)
    return int(text) if in_years and text.isdigit() else None


def _described(item: Element) -> str:
    text = text_of(item, "text")
    if not text:
        low, high = element_of(item, "low"), element_of(item, "high")
        bounds = range_text(literal_text(low.get("value")), literal_text(high.get("value")))
        unit = quantity_unit(low) or quantity_unit(high)
        text = f"{bounds} {unit}" if unit else bounds
    whom = ", ".join(filter(None, (concept_text(it) for it in elements_of(item, "appliesTo"))))
    return f"{whom}: {text}" if whom else text
