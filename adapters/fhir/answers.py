"""What a sender is answered: pure, from a judged payload and its receipt (R4 http.html)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.fhir.bundle import read_payload
from adapters.fhir.errors import NoUsableResult, PayloadTooLarge
from adapters.fhir.outcome import error_outcome, finding_issues, issue, outcome
from adapters.fhir.payload import Entry, FhirPayload, open_json, open_xml
from adapters.fhir.representation import Format
from adapters.fhir.result_ids import entry_id
from adapters.fhir.steps import Step
from adapters.ports.intake import Accepted
from mapping.errors import LabbrokerError, Language, UnreadablePayload
from mapping.finding import Finding, Severity
from mapping.profile import SourceProfile

_STRUCTURAL = frozenset(
    {"fhir-code-invalid", "fhir-contained-id", "fhir-entry", "fhir-structure"}
    | {"fhir-unknown-resource"}
)
"""Faults of form (400); all others are rules of this door (422)."""

_COSTS_THE_WHOLE = frozenset(
    {"fhir-about-another-person", "fhir-attachment-only", "fhir-empty-report"}
)
"""Found while reading, and nothing of the entry could be used; other faults cost a part."""

_TAKEN = {
    "en": "Stored and on its way; receipt {receipt}.",
    "zh": "已收存並進入處理流程，收件編號 {receipt}。",
}
_REPEATED = {
    "en": "Received before; nothing new was stored. Receipt {receipt}.",
    "zh": "先前已收過，未重複儲存。收件編號 {receipt}。",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A body after reading. ``error`` says why nothing of it can be used; ``payload`` is None
    where the bytes are no FHIR at all."""

    payload: FhirPayload | None
    findings: tuple[Finding, ...] = ()
    error: UnreadablePayload | None = None

    @property
    def control_id(self) -> str:
        """The sender's number for the payload, or ``""``."""
        return self.payload.control_id if self.payload else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """``resource`` None means an empty body."""

    status: int
    resource: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)


def judge(raw: bytes, form: Format, source_id: str, limit: int) -> Judged:
    """Read ``raw`` as the pipeline will read it later. Never raises for bad input."""
    payload = None
    try:
        payload = open_json(raw, limit) if form is Format.JSON else open_xml(raw, limit)
        return Judged(payload, read_payload(payload, SourceProfile(source_id)).findings)
    except UnreadablePayload as error:
        return Judged(payload, payload.findings if payload else (), error)


def refusal_answer(error: LabbrokerError, language: Language) -> Answer:
    """Nothing was taken: 413 too large, 422 a rule of ours, 400 anything else."""
    status = 400
    if isinstance(error, PayloadTooLarge):
        status = 413
    elif isinstance(error, NoUsableResult):
        formal = all(finding.code in _STRUCTURAL for finding in error.findings)
        status = 400 if formal else 422
    return Answer(status, error_outcome(error, language))


def answer(
    judged: Judged,
    receipt: Accepted,
    base: str,
    preference: str,
    language: Language,
    steps: Sequence[Step] = (),
) -> Answer:
    """The answer to a durable payload. ``base`` is the URL of the service without closing slash;
    ``preference`` is the ``return=`` of the Prefer header, or ``""``; ``steps`` say what was done
    for results that were more than created."""
    payload = judged.payload
    done = {step.wish.entry: step for step in steps}
    if payload is not None and payload.bundle_type == "batch":
        return Answer(200, _response_bundle(payload, judged, receipt, done, language))
    if judged.error is not None or payload is None:
        return refusal_answer(judged.error or UnreadablePayload(), language)
    if payload.bundle_type == "transaction":
        return Answer(200, _response_bundle(payload, judged, receipt, done, language))
    texts = _REPEATED if receipt.duplicate else _TAKEN
    told = outcome(
        issue("information", "informational", texts[language].format(receipt=receipt.receipt_id)),
        *finding_issues(judged.findings, language),
    )
    if payload.type_name == "Bundle":
        return Answer(200, told)
    step = done.get(0)
    location = f"{base}/{_location(payload.type_name, receipt, 0, step)}"
    headers = {"Location": location, "ETag": _etag(step)}
    body: dict[str, Any] | None = told
    if preference == "minimal":
        body = None
    elif preference != "OperationOutcome":
        body = _as_stored(payload, receipt, step)
    return Answer(200 if receipt.duplicate or _stood(step) else 201, body, headers)


def _response_bundle(
    payload: FhirPayload,
    judged: Judged,
    receipt: Accepted,
    done: Mapping[int, Step],
    language: Language,
) -> dict[str, Any]:
    by_entry = _by_entry(judged)
    return {
        "resourceType": "Bundle",
        "id": f"r{receipt.receipt_id}",
        "type": f"{payload.bundle_type}-response",
        "entry": [
            {
                "response": _entry_response(
                    entry, index, by_entry.get(index, []), receipt, done.get(index), language
                )
            }
            for index, entry in enumerate(payload.entries)
        ],
    }


def _entry_response(
    entry: Entry,
    index: int,
    findings: list[Finding],
    receipt: Accepted,
    step: Step | None,
    language: Language,
) -> dict[str, Any]:
    response: dict[str, Any] = {}
    unusable = [
        finding
        for finding in findings
        if finding.severity is Severity.ERROR
        and (finding in entry.findings or finding.code in _COSTS_THE_WHOLE)
    ]
    if unusable:
        formal = all(finding.code in _STRUCTURAL for finding in unusable)
        response["status"] = "400 Bad Request" if formal else "422 Unprocessable Entity"
    else:
        response["status"] = "200 OK" if receipt.duplicate or _stood(step) else "201 Created"
        response["location"] = _location(entry.type_name, receipt, index, step)
        response["etag"] = _etag(step)
    if findings:
        response["outcome"] = outcome(*finding_issues(findings, language))
    return response


def _by_entry(judged: Judged) -> dict[int, list[Finding]]:
    """The findings by the number of the entry that their place begins with."""
    by_entry: dict[int, list[Finding]] = {}
    faults = judged.error.findings if isinstance(judged.error, NoUsableResult) else ()
    for finding in dict.fromkeys((*judged.findings, *faults)):
        number = finding.place.removeprefix("Bundle.entry[").partition("]")[0]
        if number.isdigit():
            by_entry.setdefault(int(number), []).append(finding)
    return by_entry


def _stood(step: Step | None) -> bool:
    """Whether there was something before it."""
    return step is not None and (step.kept or step.version > 1)


def _etag(step: Step | None) -> str:
    return f'W/"{step.version if step else 1}"'


def _location(type_name: str, receipt: Accepted, index: int, step: Step | None) -> str:
    resource_id = step.resource_id if step else ""
    version = step.version if step else 1
    own = resource_id or entry_id(receipt.receipt_id, index)
    return f"{type_name}/{own}/_history/{version}"


def _as_stored(payload: FhirPayload, receipt: Accepted, step: Step | None) -> dict[str, Any]:
    """The resource as sent, under the id that it has here."""
    sent = dict(payload.document)
    meta = sent.pop("meta", None)
    version = str(step.version if step else 1)
    return {
        "resourceType": sent.pop("resourceType"),
        "id": (step.resource_id if step else "") or entry_id(receipt.receipt_id, 0),
        "meta": {**(meta if isinstance(meta, dict) else {}), "versionId": version},
        **{name: value for name, value in sent.items() if name != "id"},
    }
