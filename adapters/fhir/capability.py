"""CapabilityStatement: what this door does, and nothing more (R4 capabilitystatement.html)."""

from __future__ import annotations

from typing import Any

FHIR_VERSION = "4.0.1"
_DATE = "2026-08-14"

_DOCUMENTATION = (
    "Takes laboratory results. A Bundle of any type is posted to the base; transaction and batch "
    "are answered entry by entry, other types with an OperationOutcome. Ids are assigned here and "
    "opaque. Sending the same bytes again is safe: the answer is 200 with the same ids. "
    "Conditional headers and queries have no effect yet."
)


def capability_statement() -> dict[str, Any]:
    """The statement, in the element order of the specification."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "labbroker"},
        "implementation": {"description": "Laboratory results on their way to the NHI"},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "documentation": _DOCUMENTATION,
                "security": {"description": "A credential on every request but this one."},
                "resource": [_creates("DiagnosticReport"), _creates("Observation")],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _creates(name: str) -> dict[str, Any]:
    return {
        "type": name,
        "interaction": [{"code": "create"}],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalUpdate": False,
    }
