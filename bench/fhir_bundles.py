"""FHIR Bundles of twenty Observations, from bytes to reports, on one core.

Each Bundle has its own person, numbers, values and ``urn:uuid`` names, as senders have them: what
is the same from one to the next is what a laboratory repeats (codes, units, ranges). Times are
processor time of this process.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from adapters.fhir.bundle import read_fhir_json, read_fhir_xml
from adapters.fhir.representation import Format, write
from adapters.fhir.strict_json import read_json
from broker.demo.people import CLINIC, LAB, PEOPLE
from mapping.parsed import Reader
from mapping.profile import SourceProfile

GOAL_PER_SECOND = 200.0
OBSERVATIONS = 20
_BUNDLES = 40
_PROFILE = SourceProfile("bench-lab", lab_code=LAB, clinic_code=CLINIC)
_NHI = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"
_INSTITUTIONS = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/organization-identifier-tw"


def measure(seconds: float) -> dict[str, Any]:
    """Bundles a second as JSON and as XML, in the best pass and on the average."""
    as_json = [_bundle(number) for number in range(_BUNDLES)]
    as_xml = [write(read_json(raw), Format.XML) for raw in as_json]
    found: dict[str, Any] = {"goal": GOAL_PER_SECOND, "observations": OBSERVATIONS}
    for name, reader, payloads in (
        ("json", read_fhir_json, as_json),
        ("xml", read_fhir_xml, as_xml),
    ):
        found[name] = {"bytes": len(payloads[0]), **_rate(reader, payloads, seconds)}
    return found


def _rate(reader: Reader, payloads: list[bytes], seconds: float) -> dict[str, int]:
    for raw in payloads:
        (report,) = reader(raw, _PROFILE).reports
        assert len(report.observations) == OBSERVATIONS
    passes, spent, best = 0, 0.0, float("inf")
    while spent < seconds:
        began = time.process_time()
        for raw in payloads:
            reader(raw, _PROFILE)
        took = time.process_time() - began
        passes, spent, best = passes + 1, spent + took, min(best, took)
    return {
        "bundles_per_second": round(len(payloads) / best),
        "on_the_average": round(len(payloads) * passes / spent),
    }


def _bundle(number: int) -> bytes:
    person = PEOPLE[number % len(PEOPLE)]
    names = [f"urn:uuid:{uuid.UUID(int=(number << 16) + each)}" for each in range(23)]
    subject = {"reference": names[20]}
    lines = [
        {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"code": "laboratory"}]}],
            "code": {"coding": [{"system": _NHI, "code": f"09{each:03}C"}], "text": f"項目{each}"},
            "subject": subject,
            "effectiveDateTime": "2026-08-13T08:30:00+08:00",
            "valueQuantity": {"value": 90 + (number * 7 + each) % 50 + 0.5, "unit": "mg/dL"},
            "interpretation": [{"coding": [{"code": "N"}]}],
            "referenceRange": [{"low": {"value": 70 + each}, "high": {"value": 150 + each}}],
        }
        for each in range(OBSERVATIONS)
    ]
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "http://www.moi.gov.tw", "value": person.national_id}],
        "gender": "male",
    }
    laboratory = {
        "resourceType": "Organization",
        "identifier": [{"system": _INSTITUTIONS, "value": LAB}],
    }
    report = {
        "resourceType": "DiagnosticReport",
        "identifier": [{"value": f"F-{number:06}"}],
        "status": "final",
        "code": {"text": "Chemistry"},
        "subject": subject,
        "issued": "2026-08-14T09:00:00+08:00",
        "performer": [{"reference": names[21]}],
        "result": [{"reference": name} for name in names[:OBSERVATIONS]],
    }
    entries = [
        {"fullUrl": name, "resource": resource, "request": {"method": "POST", "url": "x"}}
        for name, resource in zip(names, [*lines, patient, laboratory, report], strict=True)
    ]
    made = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return json.dumps(made, ensure_ascii=False).encode()
