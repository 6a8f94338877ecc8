"""The answer to a message: a message again (R4 messageheader-operation-process-message.html)."""

from __future__ import annotations

from typing import Any

from adapters.fhir.answers import Answer, Judged, answer
from adapters.fhir.elements import element_of, elements_of, text_of
from adapters.ports.intake import Accepted
from mapping.errors import Language


def message_answer(judged: Judged, receipt: Accepted, base: str, language: Language) -> Answer:
    """``ok``, or ``fatal-error`` with the status of the refusal: to send the same again is of no
    use. The details are contained in the header."""
    told = answer(judged, receipt, base, "OperationOutcome", language)
    header = _request_header(judged)
    response: dict[str, Any] = {
        "identifier": text_of(header, "id") or judged.control_id or "unknown",
        "code": "ok" if told.status < 300 else "fatal-error",
        "details": {"reference": "#outcome"},
    }
    made: dict[str, Any] = {
        "resourceType": "MessageHeader",
        "id": f"r{receipt.receipt_id}-answer",
        "contained": [{**(told.resource or {}), "id": "outcome"}],
    }
    event = element_of(header, "eventCoding")
    if text_of(event, "system") and text_of(event, "code"):
        made["eventCoding"] = {name: text_of(event, name) for name in ("system", "code")}
    else:
        made["eventUri"] = text_of(header, "eventUri") or "http://loinc.org/11502-2"
    made["source"] = {"name": "labbroker", "endpoint": base}
    made["response"] = response
    bundle = {
        "resourceType": "Bundle",
        "id": f"r{receipt.receipt_id}",
        "type": "message",
        "entry": [{"resource": made}],
    }
    return Answer(told.status, bundle, told.headers)


def _request_header(judged: Judged) -> Any:
    if judged.payload is None:
        return {}
    entries = elements_of(judged.payload.document, "entry")
    first = element_of(entries[0], "resource") if entries else {}
    return first if text_of(first, "resourceType") == "MessageHeader" else {}
