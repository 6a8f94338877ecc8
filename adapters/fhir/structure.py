"""Is one resource sound enough to be used? Each is checked alone, so that one fault costs one part.

The check is ``fhir.resources.R4B`` (an R4 feed has no loss there), on a copy without the parts
that carry no result: narrative, meta, extensions. A fault in an element that a result does not
stand on costs that element only; any other fault costs the resource.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from adapters.fhir.elements import elements_of
from adapters.fhir.sound_parts import SoundParts
from adapters.fhir.statuses import OBSERVATION_STATUS, REPORT_STATUS
from mapping.finding import Finding, Severity

RESULT_TYPES = frozenset({"DiagnosticReport", "Observation"})
SUPPORT_TYPES = frozenset(
    {
        "Composition",
        "Encounter",
        "MessageHeader",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "ServiceRequest",
        "Specimen",
    }
)

_ESSENTIAL = {
    "Observation": frozenset(
        {"status", "code", "component", "dataAbsentReason", "subject", "focus", "hasMember"}
    ),
    "DiagnosticReport": frozenset({"status", "code", "subject", "result", "conclusion"}),
}
_READ_WITH_CARE = frozenset(
    {"effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued", "authoredOn"}
)
"""Times: whoever reads them says what is wrong with them."""

_STATUSES: Mapping[str, Collection[str]] = {
    "Observation": OBSERVATION_STATUS,
    "DiagnosticReport": REPORT_STATUS,
}

_SOUND = SoundParts(_STATUSES)

_NO_RESULT = frozenset({"contained", "text", "meta", "language", "extension", "fhir_comments"})
_EXTRAS = (b'"extension"', b'"_', b"fhir_comments", b"<_", b":_", b"\\u")
_R4_ONLY = frozenset({"EffectEvidenceSynthesis", "RiskEvidenceSynthesis"})
_R4_ONLY_PREFIXES = ("MedicinalProduct", "Substance")


@dataclass(frozen=True, slots=True)
class Examined:
    """``resource`` is a copy without the parts that carry no result, or None where refused."""

    resource: dict[str, Any] | None
    findings: tuple[Finding, ...] = ()


def may_hold_extras(raw: bytes) -> bool:
    """Whether there may be extensions in ``raw``, JSON or XML as they are written: mostly not."""
    return any(mark in raw for mark in _EXTRAS)


def examine(resource: dict[str, Any], place: str, *, has_extras: bool = True) -> Examined:
    """Check one resource of :data:`RESULT_TYPES` or :data:`SUPPORT_TYPES`.

    ``has_extras`` False says that there is no extension in it at any depth.
    Findings of severity ERROR stand on refused result resources only.
    """
    name: str = resource["resourceType"]
    carries_result = name in RESULT_TYPES
    worst = Severity.ERROR if carries_result else Severity.WARNING
    kept = {
        key: _pruned(value) if has_extras else value
        for key, value in resource.items()
        if not _left_out(key)
    }
    modifier = _modifier(kept)
    if modifier:
        finding = Finding("fhir-modifier", place=f"{place}.{modifier}", severity=worst)
        return Examined(None, (finding,))
    findings: list[Finding] = []
    for path in _faults(name, kept):
        step = str(path[0]) if path else ""
        fault_place = ".".join([place, _path(path)]) if path else place
        if carries_result and (not step or step in _ESSENTIAL[name] or step.startswith("value")):
            return Examined(None, (Finding("fhir-structure", place=fault_place),))
        if step in _READ_WITH_CARE:
            continue
        kept.pop(step, None)
        findings.append(
            Finding("fhir-element-ignored", place=fault_place, severity=Severity.WARNING)
        )
    if carries_result:
        if kept["status"] not in _STATUSES[name]:
            return Examined(None, (Finding("fhir-code-invalid", place=f"{place}.status"),))
        if not isinstance(kept.get("code"), dict):
            return Examined(None, (Finding("fhir-structure", place=f"{place}.code"),))
    return Examined(kept, tuple(findings))


@lru_cache(maxsize=512)
def is_resource_type(name: str) -> bool:
    """Whether R4 has a resource of this name, so that ``Observaton`` is not passed over."""
    if not (name.isascii() and name.isalnum() and name[:1].isupper()):
        return False
    if name in _R4_ONLY or name.startswith(_R4_ONLY_PREFIXES):
        return True
    return importlib.util.find_spec(f"fhir.resources.R4B.{name.lower()}") is not None


def _faults(name: str, resource: dict[str, Any]) -> list[tuple[str | int, ...]]:
    must_look, parts = _SOUND.unknown(name, resource)
    if not must_look:
        return []
    try:
        get_fhir_model_class(name).model_validate(resource)
    except ValidationError as error:
        return [fault["loc"] for fault in error.errors(include_url=False, include_input=False)]
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return [()]
    _SOUND.remember(parts)
    return []


def _left_out(key: str) -> bool:
    return key in _NO_RESULT or key.startswith("_")


def _pruned(value: Any) -> Any:
    """Without extensions at any depth: R4B refuses some that R4 allows, none carries a result."""
    if isinstance(value, dict):
        return {
            key: _pruned(item)
            for key, item in value.items()
            if not (key.startswith("_") or key == "extension" or key == "fhir_comments")
        }
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _modifier(resource: dict[str, Any]) -> str:
    """A part that may turn the meaning round and that we do not know (R4 extensibility.html)."""
    if resource.get("implicitRules"):
        return "implicitRules"
    if resource.get("modifierExtension"):
        return "modifierExtension"
    for index, component in enumerate(elements_of(resource, "component")):
        if component.get("modifierExtension"):
            return f"component[{index}].modifierExtension"
    return ""


def _path(steps: tuple[str | int, ...]) -> str:
    path = ""
    for step in steps[:-1] if steps[-1] == "root" else steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isascii() and step.isalnum():
            path += f".{step}" if path else step
        else:
            path += ".?" if path else "?"
    return path
