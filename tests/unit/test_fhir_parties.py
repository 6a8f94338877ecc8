"""Who performed, who ordered, and whose result it is, wherever the sender put it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.fhir.bundle import read_fhir_json
from adapters.fhir.identifiers import (
    bare_system,
    institution_code,
    is_order_code_system,
    national_ids,
)
from mapping.profile import SourceProfile
from mapping.report import LabReport
from tests.fhir.samples import (
    CLINIC_CODE,
    INSTITUTIONS,
    LAB_CODE,
    PERSONS,
    PROFILE,
    TYPES,
    bundle,
    encode,
    full_bundle,
    national_id,
    observation,
    organization,
    patient,
    report,
    service_request,
)

DOCTOR = national_id(22345678, "B")


def read(resource: Any, profile: SourceProfile = PROFILE) -> LabReport:
    return read_fhir_json(encode(resource), profile).reports[0]


def typed(code: str, value: str, system: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"type": {"coding": [{"system": TYPES, "code": code}]}, "value": value}
    return {**made, "system": system} if system else made


@pytest.mark.parametrize(
    "identifier",
    [
        {"system": "http://www.moi.gov.tw", "value": national_id()},
        {"system": "http://www.moi.gov.tw/", "value": national_id().lower()},
        {"system": "https://www.ris.gov.tw/", "value": national_id()},
        {"system": "https://www.nhi.gov.tw/national-id", "value": national_id()},
        {"system": "http://www.immigration.gov.tw", "value": "A800000014"},
        typed("NNxxx", national_id()),
        typed("PRC", "AB12345678"),
    ],
)
def test_every_known_place_of_a_national_id_is_read(identifier: dict[str, Any]) -> None:
    made = bundle(patient(identifier=[identifier]), observation())
    assert read(made).patient.national_id == identifier["value"].upper()


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [
        ([{"system": PERSONS, "value": "A12****789"}], "fhir-national-id-shape"),
        (
            [{"system": PERSONS, "value": national_id()}, typed("NI", DOCTOR)],
            "fhir-several-national-ids",
        ),
    ],
)
def test_a_masked_or_doubtful_national_id_is_none(
    identifiers: list[dict[str, Any]], code: str
) -> None:
    parsed = read_fhir_json(encode(bundle(patient(identifier=identifiers), observation())), PROFILE)
    assert parsed.reports[0].patient.national_id == ""
    assert [finding.code for finding in parsed.findings] == [code]


def test_old_and_foreign_identifiers_are_passed_over() -> None:
    old = {"system": PERSONS, "value": DOCTOR, "use": "old"}
    passport = {"system": "http://hl7.org/fhir/sid/passport-TWN", "value": "300000000"}
    assert national_ids([old, passport, typed("PPN", "X12345678")]) == []


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        ({"system": INSTITUTIONS, "value": "3501200000"}, "3501200000"),
        (
            {
                "system": "https://nhicore.nhi.gov.tw/pas/CodeSystem/organization-identifier-tw/",
                "value": "JY01010089",
            },
            "JY01010089",
        ),
        (typed("PRN", "3501200000", "https://own.example"), "3501200000"),
        (typed("FI", "LAB-7"), ""),
        ({"system": "https://own.example", "value": "3501200000"}, ""),
    ],
)
def test_an_institution_code_is_known_by_its_system_or_type(
    identifier: dict[str, Any], code: str
) -> None:
    assert institution_code([identifier]) == code


def test_systems_are_compared_without_scheme_case_and_slash() -> None:
    assert bare_system("HTTPS://www.MOI.gov.tw/") == "www.moi.gov.tw"
    assert is_order_code_system("https://x.example/CodeSystem/Medical-Service-Payment-TW")
    assert not is_order_code_system("http://loinc.org")


def test_the_clinic_is_found_behind_a_role_of_the_requester() -> None:
    doctor = {"resourceType": "Practitioner", "id": "d1", "identifier": [typed("NNxxx", DOCTOR)]}
    role = {
        "resourceType": "PractitionerRole",
        "id": "ro1",
        "practitioner": {"reference": "Practitioner/d1"},
        "organization": {"reference": "Organization/clinic"},
    }
    for requester in ("Practitioner/d1", "PractitionerRole/ro1"):
        order = service_request(requester={"reference": requester})
        clinic = organization("clinic", CLINIC_CODE)
        made = bundle(patient(), doctor, role, clinic, order, observation(), report("o1"))
        one = read(made)
        assert (one.clinic_code, one.ordering_provider_id) == (CLINIC_CODE, DOCTOR)


def test_a_logical_reference_names_the_clinic_and_the_order() -> None:
    clinic = {"identifier": {"system": INSTITUTIONS, "value": CLINIC_CODE}}
    made = bundle(patient(), service_request(requester=clinic), observation(), report("o1"))
    assert read(made).clinic_code == CLINIC_CODE
    based_on = [{"type": "ServiceRequest", "identifier": {"value": "P-9"}}]
    assert read(observation(basedOn=based_on)).placer_order_number == "P-9"


def test_the_senders_own_clinic_code_is_given_as_sent() -> None:
    clinic = organization("clinic", "")
    clinic["identifier"] = [{"system": "https://lab.example/clients", "value": "K-12"}]
    made = bundle(patient(), clinic, service_request(), observation(), report("o1"))
    assert read(made, SourceProfile("x", clinic_code=CLINIC_CODE)).clinic_code == "K-12"


def test_the_profile_stands_in_for_what_is_not_said() -> None:
    profile = SourceProfile("x", lab_code=LAB_CODE, clinic_code=CLINIC_CODE)
    one = read(bundle(patient(), observation()), profile)
    assert (one.lab_code, one.clinic_code) == (LAB_CODE, CLINIC_CODE)


def test_the_message_header_comes_last_and_never_makes_the_laboratory_the_clinic() -> None:
    header = {
        "resourceType": "MessageHeader",
        "id": "h1",
        "eventCoding": {"code": "R01"},
        "source": {"endpoint": "urn:x"},
        "sender": {"reference": "Organization/lab"},
        "destination": [{"endpoint": "urn:y", "receiver": {"reference": "Organization/clinic"}}],
    }
    parties = (organization("lab", LAB_CODE), organization("clinic", CLINIC_CODE))
    performed = observation(performer=[{"reference": "Organization/lab"}])
    one = read(bundle(header, patient(), *parties, performed, kind="message"))
    assert (one.lab_code, one.clinic_code) == (LAB_CODE, CLINIC_CODE)


@pytest.mark.parametrize(
    ("numbers", "placer"),
    [
        ({"identifier": [typed("FILL", "F"), typed("PLAC", "P")]}, "P"),
        ({"identifier": [{"value": "N"}], "requisition": {"value": "R"}}, "R"),
        ({"identifier": [{"value": "N"}]}, "N"),
        ({"identifier": [typed("FILL", "F")]}, ""),
    ],
)
def test_the_placers_number_is_found(numbers: dict[str, Any], placer: str) -> None:
    order = {**service_request(), "identifier": [], **numbers}
    made = bundle(patient(), order, observation(), report("o1"))
    assert read(made).placer_order_number == placer


def test_the_interpreter_is_the_reporting_physician() -> None:
    doctor = {"resourceType": "Practitioner", "id": "d1", "identifier": [typed("NNxxx", DOCTOR)]}
    signed = report("o1", resultsInterpreter=[{"reference": "Practitioner/d1"}])
    performed = observation(performer=[{"reference": "Practitioner/d1"}])
    one = read(bundle(patient(), doctor, performed, signed))
    assert one.reporting_physician_id == DOCTOR
    assert one.observations[0].performer_id == DOCTOR


def test_several_specimens_are_told() -> None:
    made = full_bundle()
    made["entry"].append({"resource": {"resourceType": "Specimen", "id": "sp2"}})
    made["entry"][6]["resource"]["specimen"].append({"reference": "Specimen/sp2"})
    parsed = read_fhir_json(encode(made), PROFILE)
    assert parsed.reports[0].specimen.kind == "Serum"
    assert [finding.code for finding in parsed.findings] == ["fhir-several-specimens"]
