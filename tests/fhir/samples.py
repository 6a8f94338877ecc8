"""Synthetic FHIR resources: people, institutions and results that exist nowhere."""

from __future__ import annotations

import json
import re
from typing import Any

from mapping.errors import UnreadablePayload
from mapping.parsed import ParsedPayload, Reader
from mapping.profile import SourceProfile

PROFILE = SourceProfile("lab-one")
LOINC = "http://loinc.org"
NHI_CODES = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"
INSTITUTIONS = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/organization-identifier-tw"
PERSONS = "http://www.moi.gov.tw"
TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
LAB_CODE = "JY01010089"
CLINIC_CODE = "3501200000"

Resource = dict[str, Any]
_WEIGHTS = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1)


def national_id(serial: int = 12345678, letter: str = "A") -> str:
    """A national id with a right check digit: ``serial`` has eight digits, the first 1 or 2."""
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(letter) + 10
    digits = [number // 10, number % 10, *map(int, str(serial))]
    total = sum(digit * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return f"{letter}{serial}{-total % 10}"


def patient(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [
            {"system": PERSONS, "value": national_id()},
            {"type": {"coding": [{"system": TYPES, "code": "MR"}]}, "value": "C-0042"},
        ],
        "name": [{"text": "測試人"}],
        "gender": "female",
        "birthDate": "1990-01-02",
    }
    return {**made, **changes}


def organization(identity: str, code: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": identity,
        "identifier": [{"system": INSTITUTIONS, "value": code}],
    }


def observation(identity: str = "o1", **changes: Any) -> Resource:
    """A fasting glucose; ``value*`` keys replace the value."""
    made: Resource = {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": NHI_CODES, "code": "09005C", "display": "血糖"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-08-13T08:30:00+08:00",
        "valueQuantity": {"value": 95, "unit": "mg/dL"},
    }
    if any(name.startswith("value") for name in changes):
        del made["valueQuantity"]
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def report(*results: str, **changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "identifier": [
            {"type": {"coding": [{"system": TYPES, "code": "FILL"}]}, "value": "F-1001"},
            {"type": {"coding": [{"system": TYPES, "code": "ACSN"}]}, "value": "A-77"},
        ],
        "status": "final",
        "code": {"coding": [{"system": NHI_CODES, "code": "09005C"}], "text": "血糖"},
        "subject": {"reference": "Patient/p1"},
        "issued": "2026-08-14T09:00:00+08:00",
        "basedOn": [{"reference": "ServiceRequest/s1"}],
        "specimen": [{"reference": "Specimen/sp1"}],
        "performer": [{"reference": "Organization/lab"}],
        "result": [{"reference": f"Observation/{name}"} for name in results],
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def service_request(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "status": "active",
        "intent": "order",
        "identifier": [
            {"type": {"coding": [{"system": TYPES, "code": "PLAC"}]}, "value": "P-500"},
        ],
        "code": {"coding": [{"system": NHI_CODES, "code": "09005C"}]},
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-08-13",
        "requester": {"reference": "Organization/clinic"},
    }
    return {**made, **changes}


def specimen(**changes: Any) -> Resource:
    made: Resource = {
        "resourceType": "Specimen",
        "id": "sp1",
        "accessionIdentifier": {"value": "SP-9"},
        "type": {"text": "Serum"},
        "collection": {"collectedDateTime": "2026-08-13T08:30:00+08:00"},
        "receivedTime": "2026-08-13T15:00:00+08:00",
    }
    return {**made, **changes}


def bundle(*resources: Resource, kind: str = "collection", **members: Any) -> Resource:
    """A Bundle with a full URL and, where the type needs it, a request in each entry."""
    entries = []
    for resource in resources:
        entry: Resource = {"resource": resource}
        if "id" in resource:
            entry["fullUrl"] = (
                f"https://lab.example/fhir/{resource['resourceType']}/{resource['id']}"
            )
        if kind in ("transaction", "batch"):
            entry["request"] = {"method": "POST", "url": resource["resourceType"]}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": kind, "entry": entries, **members}


def full_bundle(kind: str = "transaction", **changes: Any) -> Resource:
    """All that a good sender gives: one glucose report with order, specimen and both parties."""
    return bundle(
        patient(),
        organization("lab", LAB_CODE),
        organization("clinic", CLINIC_CODE),
        service_request(),
        specimen(),
        observation(**changes),
        report("o1"),
        kind=kind,
        identifier={"system": "https://lab.example", "value": "MSG-1"},
    )


class Number(str):
    """A number to be written into JSON exactly so."""


def encode(resource: Any) -> bytes:
    """JSON in which each :class:`Number` stands as it was written."""

    def marked(value: Any) -> Any:
        if isinstance(value, Number):
            return f"\ue000{value}\ue000"
        if isinstance(value, dict):
            return {name: marked(item) for name, item in value.items()}
        return [marked(item) for item in value] if isinstance(value, list) else value

    text = json.dumps(marked(resource), ensure_ascii=False)
    return re.sub('"\ue000(.*?)\ue000"', r"\1", text).encode()


def read_or_refuse(reader: Reader, raw: bytes) -> ParsedPayload | UnreadablePayload:
    """What the reader makes of ``raw``, or its refusal, which must speak both languages."""
    try:
        return reader(raw, PROFILE)
    except UnreadablePayload as error:
        sentences = [error.sentence("en"), error.sentence("zh"), error.remedy("en")]
        if not all(sentences):
            raise AssertionError("a refusal without words") from error
        return error
