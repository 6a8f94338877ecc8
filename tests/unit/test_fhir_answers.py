"""What a sender is told: statuses, ids, places; never a value of the payload."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

import adapters.fhir
from adapters.fhir.answers import Answer, answer, judge
from adapters.fhir.capability import capability_statement
from adapters.fhir.outcome import finding_issues
from adapters.fhir.representation import Format, acceptable, format_of, write
from adapters.fhir.strict_xml import read_xml
from adapters.ports.intake import Accepted
from mapping.finding import Finding, finding_texts
from tests.fhir.samples import (
    Number,
    bundle,
    encode,
    full_bundle,
    national_id,
    observation,
    patient,
    report,
)

BASE = "http://here.example/fhir"


def told(resource: Any, receipt: Accepted | None = None, preference: str = "") -> Answer:
    raw = resource if isinstance(resource, bytes) else encode(resource)
    judged = judge(raw, Format.JSON, "lab-one", 1_000_000)
    return answer(judged, receipt or Accepted(7), BASE, preference, "en")


def body(answered: Answer) -> dict[str, Any]:
    assert answered.resource is not None
    made: dict[str, Any] = json.loads(write(answered.resource, Format.JSON))
    get_fhir_model_class(made["resourceType"]).model_validate(made)
    return made


def test_a_transaction_is_answered_entry_by_entry_in_order() -> None:
    answered = told(full_bundle())
    made = body(answered)
    assert (answered.status, made["type"]) == (200, "transaction-response")
    assert [entry["response"]["status"] for entry in made["entry"]] == ["201 Created"] * 7
    assert made["entry"][6]["response"]["location"] == "DiagnosticReport/r7-6/_history/1"
    assert made["entry"][6]["response"]["etag"] == 'W/"1"'


def test_a_repeat_is_answered_with_200_and_the_same_ids() -> None:
    again = Accepted(7, duplicate=True)
    made = body(told(full_bundle(), again))
    assert {entry["response"]["status"] for entry in made["entry"]} == {"200 OK"}
    assert made["entry"][0]["response"]["location"] == "Patient/r7-0/_history/1"
    lone = told(observation(), again)
    assert (lone.status, lone.headers["Location"]) == (200, f"{BASE}/Observation/r7-0/_history/1")


def test_a_refused_transaction_is_one_outcome() -> None:
    answered = told(bundle(patient(), observation(status="finall"), kind="transaction"))
    made = body(answered)
    assert (answered.status, made["resourceType"]) == (400, "OperationOutcome")
    assert made["issue"][0]["severity"] == "fatal"
    assert made["issue"][1]["expression"] == ["Bundle.entry[1].resource.ofType(Observation).status"]


def test_a_bad_batch_entry_does_not_sink_the_others() -> None:
    donor = observation("o3", focus=[{"reference": "Patient/p9"}])
    made = body(told(bundle(observation(), observation("o2", code=None), donor, kind="batch")))
    responses = [entry["response"] for entry in made["entry"]]
    assert [it["status"] for it in responses] == [
        "201 Created",
        "400 Bad Request",
        "422 Unprocessable Entity",
    ]
    assert "location" not in responses[1]
    assert responses[1]["outcome"]["issue"][0]["details"]["coding"] == [{"code": "fhir-structure"}]


def test_a_batch_of_faults_alone_is_still_a_batch_response() -> None:
    answered = told(bundle(observation(code=None), kind="batch"))
    assert answered.status == 200
    assert body(answered)["entry"][0]["response"]["status"] == "400 Bad Request"


@pytest.mark.parametrize("kind", ["collection", "document", "message"])
def test_other_bundles_are_answered_with_an_outcome(kind: str) -> None:
    answered = told(full_bundle(kind))
    assert answered.status == 200
    (only,) = body(answered)["issue"]
    assert (only["severity"], only["code"]) == ("information", "informational")


def test_rules_of_ours_are_422_and_faults_of_form_400() -> None:
    assert told(report("o1")).status == 422
    assert told(observation(status="finall")).status == 400
    assert told(b"{").status == 400
    assert told(b'{"resourceType": "Patient"}').status == 400


def test_the_created_resource_is_given_back_with_its_id_and_exact_numbers() -> None:
    sent = observation("mine", valueQuantity={"value": Number("13.20"), "unit": "g/dL"})
    answered = told(sent)
    assert (answered.status, answered.headers["ETag"]) == (201, 'W/"1"')
    assert answered.resource is not None
    raw = write(answered.resource, Format.JSON)
    assert b'"value":13.20' in raw
    made = body(answered)
    assert (made["id"], made["meta"]["versionId"]) == ("r7-0", "1")


def test_prefer_decides_about_the_body() -> None:
    assert told(observation(), preference="minimal").resource is None
    outcome = body(told(observation(), preference="OperationOutcome"))
    assert outcome["resourceType"] == "OperationOutcome"


def test_an_outcome_never_repeats_a_value() -> None:
    secret = national_id()
    wrong = bundle(
        patient(identifier=[{"system": "http://www.moi.gov.tw", "value": secret[:7]}]),
        observation(status=secret),
        report(secret, status="final"),
        {"resourceType": secret},
        kind="batch",
    )
    answered = told(wrong)
    assert answered.resource is not None
    assert secret[:7].encode() not in write(answered.resource, Format.JSON)


def test_every_code_has_texts_and_an_issue_type() -> None:
    folder = Path(adapters.fhir.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    errors = set(re.findall(r'^    code = "(fhir-[a-z0-9-]+)"', source, re.MULTILINE))
    used = set(re.findall(r'"(fhir-[a-z0-9-]+)"', source)) - errors
    assert used == {code for code in finding_texts() if code.startswith("fhir-")}
    parameters = (("reason", "r"), ("type", "t"), ("count", "2"))
    for code in used:
        for language in ("en", "zh"):
            finding = Finding(code, place="Bundle.entry[0]", parameters=parameters)
            assert finding_issues([finding], language)[0]["details"]["text"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format.JSON),
        ("application/fhir+json, */*; q=0.1", Format.JSON),
        ("application/fhir+xml", Format.XML),
        ("text/html, application/xml;q=0.9, */*;q=0.8", Format.XML),
        ("application/xml;q=0.1, application/json", Format.JSON),
        ("xml", Format.XML),
        ("text/turtle", None),
        ("application/json;q=0", None),
        ("application/json;q=high", None),
    ],
)
def test_the_client_chooses_the_format(accept: str, chosen: Format | None) -> None:
    assert acceptable(accept) is chosen


def test_all_names_of_the_two_formats_are_known() -> None:
    assert format_of("Application/FHIR+JSON") is Format.JSON
    assert format_of("text/json") is Format.JSON
    assert format_of("text/xml") is Format.XML
    assert format_of("text/plain") is None


def test_the_capability_statement_is_valid_and_reads_the_same_as_xml() -> None:
    made = capability_statement(updates=True, reads=True, subscriptions=True)
    get_fhir_model_class("CapabilityStatement").model_validate(made)
    made = capability_statement()
    get_fhir_model_class("CapabilityStatement").model_validate(made)
    assert made["fhirVersion"] == "4.0.1"
    assert b'<fhirVersion value="4.0.1"/>' in write(made, Format.XML)


def test_a_bundle_written_as_xml_reads_back() -> None:
    made = full_bundle()
    assert read_xml(write(made, Format.XML))["entry"][0]["resource"]["gender"] == "female"
