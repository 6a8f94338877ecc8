"""CapabilityStatement: what this door does, and nothing more (R4 capabilitystatement.html)."""

from __future__ import annotations

from typing import Any

SUBSCRIPTION_PARAMETERS = (
    ("status", "token", "requested, active, error or off."),
    ("url", "uri", "The endpoint."),
)
"""Name, type and meaning of each search parameter of Subscription."""
FHIR_VERSION = "4.0.1"
_DATE = "2026-11-22"

_DOCUMENTATION = (
    "Takes laboratory results. A Bundle of any type is posted to the base; transaction and batch "
    "are answered entry by entry, other types with an OperationOutcome. Ids are assigned here and "
    "opaque. Sending the same bytes again is safe: the answer is 200 with the same ids."
)
_UPDATES = (
    " Conditional creates and updates go by identifier. A conditional create of a known result "
    "with other content is refused with 409."
)
_READS = (
    " A clinic reads and searches the results that it ordered, a sender those that it sent; of "
    "all others nothing is told."
)


_SUBSCRIPTIONS = (
    " A clinic subscribes to its results (rest-hook). The criteria are DiagnosticReport or "
    "Observation, alone or with patient.identifier."
)


def capability_statement(
    *, updates: bool = False, reads: bool = False, subscriptions: bool = False
) -> dict[str, Any]:
    """The statement, in the element order of the specification. ``updates``: PUT and conditions
    are kept; ``reads``: results are served; ``subscriptions``: they may be subscribed to."""
    names = ("DiagnosticReport", "Observation")
    documentation = _DOCUMENTATION + _UPDATES * updates + _READS * reads
    documentation += _SUBSCRIPTIONS * subscriptions
    resources = [_resource(name, updates=updates, reads=reads) for name in names]
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
                "documentation": documentation,
                "security": {"description": "A credential on every request but this one."},
                "resource": [*resources, *([_SUBSCRIPTION] if subscriptions else [])],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [
                    {
                        "name": "process-message",
                        "definition": "http://hl7.org/fhir/OperationDefinition/"
                        "MessageHeader-process-message",
                    }
                ],
            }
        ],
    }


def _resource(name: str, *, updates: bool, reads: bool) -> dict[str, Any]:
    interactions = ["create"] + ["update"] * updates + ["read", "search-type"] * reads
    made: dict[str, Any] = {
        "type": name,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update" if updates else "no-version",
        "readHistory": False,
        "updateCreate": updates,
        "conditionalCreate": updates,
        "conditionalRead": "not-match" if reads else "not-supported",
        "conditionalUpdate": updates,
        "conditionalDelete": "not-supported",
    }
    if reads:
        if name == "DiagnosticReport":
            made["searchInclude"] = ["DiagnosticReport:result"]
        made["searchParam"] = [
            {"name": parameter, "type": kind, "documentation": text}
            for parameter, kind, text in SEARCH_PARAMETERS
        ]
    return made


_SUBSCRIPTION = {
    "type": "Subscription",
    "interaction": [
        {"code": code} for code in ("create", "read", "update", "delete", "search-type")
    ],
    "versioning": "versioned-update",
    "readHistory": False,
    "updateCreate": False,
    "conditionalCreate": False,
    "conditionalRead": "not-supported",
    "conditionalUpdate": False,
    "conditionalDelete": "not-supported",
    "searchParam": [
        {"name": name, "type": kind, "documentation": text}
        for name, kind, text in SUBSCRIPTION_PARAMETERS
    ],
}
SEARCH_PARAMETERS = (
    ("patient.identifier", "token", "National id or permit number, or a chart number."),
    ("subject.identifier", "token", "The same as patient.identifier."),
    ("date", "date", "Time of collection, with eq, ge, gt, le, lt; a day is one of Taipei."),
    ("_lastUpdated", "date", "When the newest word on the result was stored."),
    ("_since", "date", "The same as _lastUpdated with ge."),
    ("_count", "number", "Results on a page, at most 200."),
)
"""Name, type and meaning of each search parameter."""
