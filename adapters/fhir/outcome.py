"""OperationOutcome: what went well and what did not, for the sender (R4 operationoutcome.html).

It names places and codes, never a value of the payload: senders log what they are answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.fhir.errors import NoUsableResult
from mapping.errors import LabbrokerError, Language
from mapping.finding import Finding, Severity

MAX_ISSUES = 100

_ISSUE_TYPE = {
    "fhir-about-another-person": "business-rule",
    "fhir-attachment-only": "not-supported",
    "fhir-code-invalid": "code-invalid",
    "fhir-comparator": "code-invalid",
    "fhir-contained-id": "structure",
    "fhir-data-absent": "informational",
    "fhir-element-ignored": "structure",
    "fhir-empty-report": "incomplete",
    "fhir-entry": "required",
    "fhir-method": "not-supported",
    "fhir-modifier": "extension",
    "fhir-nested-bundle": "not-supported",
    "fhir-no-value": "required",
    "fhir-not-laboratory": "informational",
    "fhir-partial-date": "value",
    "fhir-range-unit": "value",
    "fhir-reference-unresolved": "not-found",
    "fhir-several-national-ids": "multiple-matches",
    "fhir-several-ranges": "multiple-matches",
    "fhir-several-specimens": "multiple-matches",
    "fhir-structure": "structure",
    "subscription-refused": "business-rule",
    "fhir-subject-differs": "conflict",
    "fhir-subject-not-a-patient": "informational",
    "fhir-time-unreadable": "value",
    "fhir-time-without-zone": "value",
    "fhir-too-large": "too-long",
    "fhir-too-many-results": "too-costly",
    "fhir-unknown-resource": "not-supported",
    "fhir-value-unsupported": "not-supported",
    "fhir-national-id-shape": "value",
    "storage-unavailable": "transient",
}
"""Our codes → R4 issue-type; what is not listed is ``structure`` (bytes that are no FHIR)."""

_SEVERITY = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFORMATION: "information",
}


def issue(
    severity: str, issue_type: str, text: str, *, code: str = "", place: str = "", remedy: str = ""
) -> dict[str, Any]:
    """One issue. ``place`` is a FHIRPath (``Bundle.entry[2].resource``) or ``""``."""
    details: dict[str, Any] = {"coding": [{"code": code}]} if code else {}
    details["text"] = text
    made: dict[str, Any] = {"severity": severity, "code": issue_type, "details": details}
    if remedy:
        made["diagnostics"] = remedy
    if place:
        made["expression"] = [place]
    return made


def outcome(*issues: dict[str, Any]) -> dict[str, Any]:
    """An OperationOutcome of at least one issue; of very many the first are told."""
    return {"resourceType": "OperationOutcome", "issue": list(issues[:MAX_ISSUES])}


def finding_issues(findings: Iterable[Finding], language: Language = "en") -> list[dict[str, Any]]:
    """An issue for each finding, its place as ``expression``."""
    return [
        issue(
            _SEVERITY[finding.severity],
            _ISSUE_TYPE.get(finding.code, "structure"),
            finding.message(language),
            code=finding.code,
            place=finding.place,
            remedy=finding.remedy(language),
        )
        for finding in findings
    ]


def error_outcome(error: LabbrokerError, language: Language = "en") -> dict[str, Any]:
    """Why the whole was refused, then each of its faults."""
    first = issue(
        "fatal",
        _ISSUE_TYPE.get(error.code, "structure"),
        error.sentence(language),
        code=error.code,
        remedy=error.remedy(language),
    )
    faults = error.findings if isinstance(error, NoUsableResult) else ()
    return outcome(first, *finding_issues(faults, language))
