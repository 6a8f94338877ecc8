"""value[x] of an Observation or component → text as sent, with its unit (R4 observation.html)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
from adapters.fhir.ucum import contradicts
from mapping.finding import Severity

_COMPARATORS = frozenset({"", "<", "<=", ">=", ">"})
"""R4 quantity-comparator, a required binding."""
_UCUM = frozenset({"http://unitsofmeasure.org", ""})
_QUANTITIES_WITHIN = ("low", "high", "numerator", "denominator")


class ReadValue(NamedTuple):
    """``type_name`` is the FHIR type (``Quantity``); ``""`` where there is no value."""

    text: str = ""
    type_name: str = ""
    unit: str = ""


def read_value(element: Element, place: str, reading: Reading) -> ReadValue:
    """The value of ``element``; the absence of one is said as a finding by :func:`note_absence`."""
    for name, value in element.items():
        if not name.startswith("value") or value is None:
            continue
        type_name = name[len("value") :]
        where = f"{place}.{name}"
        reader = _READERS.get(type_name)
        if reader is None:
            reading.note("fhir-value-unsupported", where, Severity.ERROR, type=type_name[:20])
            return ReadValue()
        read = reader(value)
        comparator = text_of(value, "comparator") if type_name == "Quantity" else ""
        if comparator not in _COMPARATORS:
            reading.note("fhir-comparator", f"{where}.comparator", Severity.ERROR)
            return ReadValue()
        _check_units(value, where, reading)
        return ReadValue(read.text, read.type_name or _lower_first(type_name), read.unit)
    return ReadValue()


def _check_units(value: Any, place: str, reading: Reading) -> None:
    """Hold where a quantity, or a part of a range or ratio, has two units that contradict."""
    if not isinstance(value, dict):
        return
    parts: list[tuple[str, Element]] = [(place, value)]
    parts += [(f"{place}.{name}", element_of(value, name)) for name in _QUANTITIES_WITHIN]
    for where, quantity in parts:
        unit, code = text_of(quantity, "unit"), text_of(quantity, "code")
        if unit and code and text_of(quantity, "system") in _UCUM and contradicts(unit, code):
            reading.hold("fhir-unit-contradicts", where)


def absent_reason(element: Element) -> str:
    """The code of dataAbsentReason, its text where there is no code, or ``""``."""
    reason = element_of(element, "dataAbsentReason")
    codes = codes_of(reason)
    return min(codes) if codes else concept_text(reason)


def note_absence(element: Element, place: str, reading: Reading) -> None:
    """Say why a line has no value: as told by the sender, or that nothing was told."""
    reason = absent_reason(element)
    if reason:
        shown = reason if reason in _ABSENT_REASONS else "other"
        where = f"{place}.dataAbsentReason"
        reading.note("fhir-data-absent", where, Severity.INFORMATION, reason=shown)
    else:
        reading.note("fhir-no-value", place, Severity.WARNING)


_ABSENT_REASONS = frozenset(
    [
        "unknown",
        "asked-unknown",
        "temp-unknown",
        "not-asked",
        "asked-declined",
        "masked",
        "not-applicable",
        "unsupported",
        "as-text",
        "error",
        "not-a-number",
        "negative-infinity",
        "positive-infinity",
        "not-performed",
        "not-permitted",
    ]
)
"""R4 data-absent-reason."""


def quantity_unit(quantity: Element) -> str:
    """The unit as the lab prints it, else its code."""
    return text_of(quantity, "unit") or text_of(quantity, "code")


def _quantity(value: Any) -> ReadValue:
    number = literal_text(value.get("value"))
    if not number:
        return ReadValue(unit=quantity_unit(value))
    return ReadValue(text_of(value, "comparator") + number, "Quantity", quantity_unit(value))


def _range(value: Any) -> ReadValue:
    low, high = element_of(value, "low"), element_of(value, "high")
    low_text, high_text = literal_text(low.get("value")), literal_text(high.get("value"))
    units = [unit for unit in (quantity_unit(low), quantity_unit(high)) if unit]
    unit = units[0] if len(set(units)) == 1 else ""
    if len(set(units)) > 1:
        low_text, high_text = f"{low_text} {units[0]}", f"{high_text} {units[1]}"
    return ReadValue(range_text(low_text, high_text), "Range", unit)


def range_text(low: str, high: str) -> str:
    """``1-2``; with one bound alone ``>=1`` or ``<=2``; a sign is kept apart from the dash."""
    if low and high:
        dash = " - " if high.startswith("-") or low.startswith("-") else "-"
        return f"{low}{dash}{high}"
    if low:
        return f">={low}"
    return f"<={high}" if high else ""


def _ratio(value: Any) -> ReadValue:
    numerator, denominator = element_of(value, "numerator"), element_of(value, "denominator")
    parts = []
    for quantity in (numerator, denominator):
        number = literal_text(quantity.get("value"))
        if not number:
            return ReadValue()
        unit = quantity_unit(quantity)
        unit = "" if unit == "1" else unit
        text = text_of(quantity, "comparator") + number
        parts.append(f"{text} {unit}" if unit else text)
    return ReadValue(":".join(parts), "Ratio")


def _concept(value: Any) -> ReadValue:
    return ReadValue(concept_text(value), "CodeableConcept")


def _period(value: Any) -> ReadValue:
    start, end = text_of(value, "start"), text_of(value, "end")
    return ReadValue(f"{start}/{end}" if start or end else "", "Period")


def _complex(reader: Callable[[Any], ReadValue]) -> Callable[[Any], ReadValue]:
    return lambda value: reader(value) if isinstance(value, dict) else ReadValue()


def _plain(value: Any) -> ReadValue:
    return ReadValue(value if isinstance(value, str) else "")


def _boolean(value: Any) -> ReadValue:
    if isinstance(value, bool):
        return ReadValue("true" if value else "false")
    return _plain(value)


def _integer(value: Any) -> ReadValue:
    return ReadValue(literal_text(value))


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


_READERS: dict[str, Callable[[Any], ReadValue]] = {
    "Quantity": _complex(_quantity),
    "Range": _complex(_range),
    "Ratio": _complex(_ratio),
    "CodeableConcept": _complex(_concept),
    "Period": _complex(_period),
    "String": _plain,
    "DateTime": _plain,
    "Time": _plain,
    "Boolean": _boolean,
    "Integer": _integer,
}


def interpretation_flags(element: Element) -> tuple[str, ...]:
    """The codes of interpretation (``H``, ``L``, ``A`` …), or its text where there is no code."""
    flags: list[str] = []
    for concept in elements_of(element, "interpretation"):
        codes = [text_of(coding, "code") for coding in elements_of(concept, "coding")]
        flags += [code for code in codes if code] or [text_of(concept, "text")]
    return tuple(dict.fromkeys(flag for flag in flags if flag))
