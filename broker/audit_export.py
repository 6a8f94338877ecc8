"""Audit events as FHIR R4 ``AuditEvent``, for whoever collects trails (IHE ATNA, BALP).

Codes: DICOM PS3.16 CID 400 for the type, the HL7 tables of AuditEvent for the rest. What was seen
is named by our numbers; no patient's data is in the trail, so none leaves with it.
"""

from __future__ import annotations

import json
from typing import Any

from broker.store.rows import AnyRow

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_SIGNING_IN = frozenset({"sign-in", "sign-in-refused", "sign-out", "sign-out-everywhere"})
_READS = frozenset({"show", "see", "open", "list", "look", "search", "view"})
_ADDS = frozenset({"add", "enter", "create", "receive"})
_ENDS = frozenset({"revoke", "delete", "dismiss"})
_TYPES = {
    "person": ("110113", "Security Alert"),
    "token": ("110113", "Security Alert"),
    "patient": ("110110", "Patient Record"),
    "record": ("110110", "Patient Record"),
    "export": ("110106", "Export"),
}


def fhir_audit_event(row: AnyRow) -> dict[str, Any]:
    """One row of the trail as a resource. ``entity.detail`` holds the number's digest, so that an
    exported trail can be held against the anchors."""
    detail: dict[str, str] = json.loads(row.detail)
    code, display = _type(row.action, row.kind)
    agent: dict[str, Any] = {
        "who": {"identifier": {"system": "urn:labbroker:login", "value": row.person or "unknown"}},
        "requestor": True,
    }
    if detail.get("address"):
        agent["network"] = {"address": detail["address"], "type": "2"}
    told = [{"type": name, "valueString": text} for name, text in detail.items() if text]
    if row.institution:
        told.append({"type": "institution", "valueString": row.institution})
    told.append({"type": "digest", "valueString": row.digest.hex()})
    return {
        "resourceType": "AuditEvent",
        "id": str(row.number),
        "type": {"system": _DICOM, "code": code, "display": display},
        "subtype": [{"system": "urn:labbroker:audit-action", "code": row.action}],
        "action": _action(row.action),
        "recorded": row.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "outcome": "4" if row.action.endswith("-refused") else "0",
        "agent": [agent],
        "source": {
            "observer": {"display": "labbroker"},
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": [
            {
                "what": {
                    "identifier": {
                        "system": f"urn:labbroker:{row.kind}",
                        "value": row.subject or "unknown",
                    }
                },
                "detail": told,
            }
        ],
    }


def _type(action: str, kind: str) -> tuple[str, str]:
    if action in _SIGNING_IN:
        return "110114", "User Authentication"
    return _TYPES.get(kind, ("110100", "Application Activity"))


def _action(action: str) -> str:
    verb = action.partition("-")[0]
    if action in _SIGNING_IN:
        return "E"
    for verbs, code in ((_READS, "R"), (_ADDS, "C"), (_ENDS, "D")):
        if verb in verbs:
            return code
    return "U"
