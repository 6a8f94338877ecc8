"""Codes, values and flags of a result line → FHIR elements; texts as the laboratory wrote them."""

from __future__ import annotations

import re
from typing import Any

from adapters.fhir.literals import LiteralDecimal, is_decimal_literal
from mapping.report import Coding, Observation

Element = dict[str, Any]

_LOINC = "http://loinc.org"
_NHI = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"
_SYSTEMS = {
    "LN": _LOINC,
    "LOINC": _LOINC,
    "LNC": _LOINC,
    "NHI": _NHI,
    "99NHI": _NHI,
    "健保": _NHI,
}
"""Names of coding systems in HL7 v2 (table 0396) and in files, and their FHIR names."""
_URI = re.compile(r"(?:https?://|urn:)\S+", re.ASCII)
_CODE = re.compile(r"[^\s]+( [^\s]+)*")
"""R4 datatypes.html, code."""
_QUANTITY = re.compile(r"(<=|>=|<|>)?(.+)", re.DOTALL)
_NUMERIC = frozenset({"NM", "SN", "Quantity", "integer"})
_FLAGS = frozenset(
    [
        *("H", "L", "HH", "LL", "HU", "LU", "N", "A", "AA", "<", ">", "U", "D", "B", "W"),
        *("POS", "NEG", "IND", "DET", "ND", "R", "S", "I", "NR", "RR", "WR", "HX", "LX"),
    ]
)
"""Codes of v3-ObservationInterpretation that laboratories send (HL7 table 0078 is alike)."""
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def coded(codings: tuple[Coding, ...], otherwise: str) -> Element:
    """A CodeableConcept. ``otherwise`` is its text where the laboratory gave neither code nor
    name: FHIR must have a code."""
    made = []
    text = ""
    for coding in codings:
        system = _SYSTEMS.get(coding.system, coding.system)
        is_code = _CODE.fullmatch(coding.code) is not None
        if not is_code:
            text = text or coding.display.strip() or coding.code.strip()
            continue
        entry = {"system": system if _URI.fullmatch(system) else "", "code": coding.code}
        entry["display"] = coding.display if coding.display.strip() else ""
        made.append({name: value for name, value in entry.items() if value})
    if not made:
        return {"text": text or otherwise}
    return {"coding": made, "text": text} if text else {"coding": made}


def value_of(line: Observation) -> tuple[Element, list[str]]:
    """``value[x]`` of a line, and what must be noted beside it: a string has no unit in FHIR."""
    text, unit = line.value, line.unit
    if not text.strip():
        return {}, []
    match = _QUANTITY.fullmatch(text)
    number = match[2] if match else ""
    if (unit or line.value_type in _NUMERIC) and is_decimal_literal(number):
        quantity: Element = {"value": LiteralDecimal(number)}
        if match and match[1]:
            quantity["comparator"] = match[1]
        if unit.strip():
            quantity["unit"] = unit
        return {"valueQuantity": quantity}, []
    return {"valueString": text}, [f"Unit: {unit}"] if unit.strip() else []


def flags(abnormal_flags: tuple[str, ...]) -> list[Element]:
    """``interpretation``: a code where HL7 has it, else the laboratory's own sign as text."""
    return [
        {"coding": [{"system": _INTERPRETATION, "code": flag}]}
        if flag in _FLAGS
        else {"text": flag}
        for flag in abnormal_flags
        if flag.strip()
    ]
