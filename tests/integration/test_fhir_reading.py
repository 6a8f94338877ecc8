"""Results out of the FHIR door: what was said, to whom it belongs, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from fhir.resources.R4B import get_fhir_model_class
from sqlalchemy import event

from adapters.fhir.bundle import read_fhir_json
from adapters.ports.intake import Media
from adapters.ports.results import ResultQuery, Viewer
from broker.logs import EventFormatter
from broker.report_index import index_reports
from broker.results import ReadResults
from broker.store.results import store_report_index
from mapping.parsed import ParsedPayload, Reader
from mapping.profile import SourceProfile
from tests.fhir.samples import (
    CLINIC_CODE,
    LAB_CODE,
    PERSONS,
    PROFILE,
    TYPES,
    Number,
    bundle,
    encode,
    full_bundle,
    national_id,
    observation,
    organization,
    patient,
    report,
    service_request,
    specimen,
)
from tests.fhir.stage import CLINICS, OTHER_CLINIC, FhirStage, open_fhir_stage


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[FhirStage]:
    async with open_fhir_stage(tmp_path) as opened:
        yield opened


def result(
    number: int, clinic: str = CLINIC_CODE, person: str = "", filler: str = "", **changes: Any
) -> dict[str, Any]:
    """A glucose of its own person, order and number."""
    kind = {"coding": [{"system": TYPES, "code": "FILL"}]}
    who = {"system": PERSONS, "value": person or national_id(12340000 + number)}
    status = changes.pop("status", "final")
    return bundle(
        patient(identifier=[who]),
        organization("lab", LAB_CODE),
        organization("clinic", clinic),
        service_request(),
        specimen(),
        observation(status=status, **changes),
        report(
            "o1",
            identifier=[{"type": kind, "value": filler or f"F-{number}"}],
            status=status,
            issued=f"2026-08-14T09:{number % 60:02}:00+08:00",
        ),
    )


def resources(found: Any, mode: str = "match") -> list[Any]:
    return [
        entry["resource"] for entry in found.get("entry", []) if entry["search"]["mode"] == mode
    ]


def next_url(found: Any) -> str:
    links = {link["relation"]: link["url"] for link in found.get("link", [])}
    return str(links.get("next", ""))


async def test_a_clinic_reads_the_report_as_the_laboratory_said_it(door: FhirStage) -> None:
    sent = full_bundle(valueQuantity={"value": Number("13.20"), "unit": "mg/dL"})
    await door.ask("lab-one", "", sent)
    response, found = await door.ask("clinic-a", "/DiagnosticReport")
    assert response.status == 200
    (shown,) = resources(found)
    (reference,) = shown["result"]
    answered, line = await door.ask("clinic-a", f"/{reference['reference']}")
    assert '"value":13.20' in await answered.text()
    assert line["subject"] == {"reference": "#patient"}
    again = read_fhir_json((await answered.text()).encode(), PROFILE).reports[0]
    before = read_fhir_json(encode(sent), PROFILE).reports[0]
    assert again.patient == before.patient
    assert (again.lab_code, again.clinic_code) == (LAB_CODE, CLINIC_CODE)
    assert again.placer_order_number == "P-500"
    assert again.specimen == before.specimen
    assert [(it.value, it.unit, it.codings, it.observed_at) for it in again.observations] == [
        (it.value, it.unit, it.codings, it.observed_at) for it in before.observations
    ]


async def test_what_is_shown_is_sound_fhir(door: FhirStage) -> None:
    await door.ask("lab-one", "", full_bundle(referenceRange=[{"text": "70-99"}]))
    for name in ("DiagnosticReport", "Observation"):
        _, found = await door.ask("clinic-a", f"/{name}")
        get_fhir_model_class("Bundle").model_validate(found)
        assert len(resources(found)) == 1


async def test_the_location_of_a_created_result_can_be_read_by_its_sender(door: FhirStage) -> None:
    response, _ = await door.ask("lab-one", "/Observation", observation())
    place = response.headers["Location"].partition("/_history")[0]
    read, found = await door.ask("lab-one", place)
    assert read.status == 200
    assert read.headers["ETag"] == response.headers["ETag"]
    assert found["valueQuantity"] == {"value": 95, "unit": "mg/dL"}
    same, _ = await door.ask("lab-one", place, If_None_Match=read.headers["ETag"])
    assert same.status == 304


async def test_nothing_of_another_tenant_is_ever_told(door: FhirStage) -> None:
    """Every route, every id, every search, of every tenant by every other."""
    await door.ask("lab-one", "", result(1))
    await door.ask("lab-two", "", result(2, OTHER_CLINIC))
    seen: dict[str, set[str]] = {}
    people = {1: national_id(12340001), 2: national_id(12340002)}
    for who in ("clinic-a", "clinic-b", "lab-one", "lab-two", "lab"):
        seen[who] = set()
        for name in ("DiagnosticReport", "Observation"):
            _, found = await door.ask(who, f"/{name}")
            seen[who] |= {f"{it['resourceType']}/{it['id']}" for it in resources(found)}
    assert seen["clinic-a"] == seen["lab-one"]
    assert seen["clinic-b"] == seen["lab-two"]
    assert len(seen["clinic-a"]) == len(seen["clinic-b"]) == 2
    assert seen["clinic-a"] & seen["clinic-b"] == set()
    assert seen["lab"] == set()
    nobodys = await _told(door, "clinic-a", "/Observation/r99-9")
    for who, own in seen.items():
        for url in set().union(*seen.values()) - own:
            assert await _told(door, who, f"/{url}") == nobodys
        foreign = people[2 if who in ("clinic-a", "lab-one") else 1]
        for name in ("DiagnosticReport", "Observation"):
            path = f"/{name}?patient.identifier={PERSONS}|{foreign}"
            _, found = await door.ask(who, path)
            assert resources(found) == []
            _, found = await door.ask(who, f"/{name}?_page=0.0&_count=200")
            assert foreign not in str(found)


async def _told(door: FhirStage, who: str, path: str) -> tuple[int, Any]:
    response, found = await door.ask(who, path)
    return response.status, found


async def test_a_result_without_a_known_clinic_is_shown_to_its_sender_alone(
    door: FhirStage,
) -> None:
    await door.ask("lab-one", "/Observation", observation())
    for who, count in (("lab-one", 1), ("lab-two", 0), *((clinic, 0) for clinic in CLINICS)):
        _, found = await door.ask(who, "/Observation")
        assert len(resources(found)) == count, who


async def test_a_clinic_that_reads_cannot_send(door: FhirStage) -> None:
    for path, method in (("", "POST"), ("/Observation", "POST"), ("/Observation/x", "PUT")):
        response, told = await door.ask("clinic-a", path, observation(), method)
        assert (response.status, told["issue"][0]["code"]) == (403, "forbidden")
    assert door.receipts() == 0


async def test_a_correction_changes_the_resource_and_hides_nothing(door: FhirStage) -> None:
    first = result(1, filler="F-1001", person=national_id())
    await door.ask("lab-one", "", first)
    _, found = await door.ask("clinic-a", "/Observation")
    (before,) = resources(found)
    corrected = result(
        2,
        filler="F-1001",
        person=national_id(),
        status="corrected",
        valueQuantity={"value": 96, "unit": "mg/dL"},
    )
    await door.ask("lab-one", "", corrected)
    _, found = await door.ask("clinic-a", "/Observation")
    (after,) = resources(found)
    assert after["id"] == before["id"]
    assert (before["meta"]["versionId"], after["meta"]["versionId"]) == ("1", "2")
    assert (after["status"], after["valueQuantity"]["value"]) == ("corrected", 96)


async def test_a_report_that_is_taken_back_says_so_of_each_line(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1, filler="F-1001", person=national_id()))
    gone = result(2, filler="F-1001", person=national_id())
    gone["entry"][-1]["resource"]["status"] = "entered-in-error"
    del gone["entry"][-1]["resource"]["result"]
    del gone["entry"][-2]
    await door.ask("lab-one", "", gone)
    _, found = await door.ask("clinic-a", "/DiagnosticReport?_include=DiagnosticReport:result")
    (shown,) = resources(found)
    (line,) = resources(found, "include")
    assert (shown["status"], line["status"]) == ("entered-in-error", "entered-in-error")


async def test_results_of_other_doors_are_served_as_well(door: FhirStage) -> None:
    person = national_id()
    raw = (
        "MSH|^~\\&|LIS|LAB|B|B|20260814090000+0800||ORU^R01|M1|P|2.5.1\r"
        f"PID|1||{person}^^^NHI^NNTWN||TEST||19900102|F\r"
        "OBR|1|P-9|F-900001|09015C^creatinine^NHI|||20260813083000+0800|||||||||||||||"
        "20260814090000+0800|||F\r"
        "OBX|1|NM|CREA^Creatinine^L||0.90|mg/dL|0.5-1.1|N|||F\r"
        "OBX|2|ST|NOTE1^Remark^L||陰性|||A|||F\r"
    )
    await door.stage.receive(raw.encode(), Media.HL7V2, source="lab")
    _, found = await door.ask("lab", f"/Observation?patient.identifier={PERSONS}|{person}")
    number, text = resources(found)
    assert number["valueQuantity"] == {"value": 0.90, "unit": "mg/dL"}
    assert number["referenceRange"][0]["low"]["value"] == 0.5
    assert text["valueString"] == "陰性"
    assert text["interpretation"][0]["coding"][0]["code"] == "A"
    get_fhir_model_class("Bundle").model_validate(found)


@pytest.mark.parametrize("name", ["DiagnosticReport", "Observation"])
async def test_pages_show_each_result_once_and_none_is_missed(door: FhirStage, name: str) -> None:
    for number in range(7):
        await door.ask("lab-one", "", result(number))
    url, ids, pages = f"/{name}?_count=3", [], 0
    while url:
        _, found = await door.ask("clinic-a", url)
        ids += [it["id"] for it in resources(found)]
        url, pages = next_url(found), pages + 1
    assert (len(ids), len(set(ids)), pages) == (7, 7, 3)


async def test_a_page_may_end_within_a_report(door: FhirStage) -> None:
    lines = [f"o{number}" for number in range(5)]
    sent = result(1)
    sent["entry"] = sent["entry"][:-2]
    sent["entry"] += bundle(*(observation(it, valueString=it) for it in lines), report(*lines))[
        "entry"
    ]
    await door.ask("lab-one", "", sent)
    url, values = "/Observation?_count=2", []
    while url:
        _, found = await door.ask("clinic-a", url)
        values.append([it["valueString"] for it in resources(found)])
        url = next_url(found)
    assert values == [["o0", "o1"], ["o2", "o3"], ["o4"]]


async def test_who_asks_since_a_time_meets_only_what_is_newer(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1))
    door.stage.later(hours=1)
    since = door.stage.now.isoformat().replace("+00:00", "Z")
    await door.ask("lab-one", "", result(2))
    for asked, count in (
        (f"_since={since}", 1),
        (f"_lastUpdated=ge{since}", 1),
        (f"_lastUpdated=lt{since}", 1),
        ("_lastUpdated=ge2026-01-01", 2),
        ("_lastUpdated=2026", 2),
        ("_lastUpdated=gt2026-12-31", 0),
    ):
        _, found = await door.ask("clinic-a", f"/DiagnosticReport?{asked}")
        assert len(resources(found)) == count, asked


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("date=2026-08-13", 1),
        ("date=eq2026-08-13T08:30:00%2B08:00", 1),
        ("date=2026-08-13T00:30:00Z", 1),
        ("date=ge2026-08-13&date=lt2026-08-14", 1),
        ("date=gt2026-08-13", 0),
        ("date=le2026-08-12", 0),
        ("date=2026-08", 1),
        ("date=2025", 0),
    ],
)
async def test_results_are_found_by_the_time_of_collection(
    door: FhirStage, asked: str, count: int
) -> None:
    await door.ask("lab-one", "", result(1))
    for name in ("DiagnosticReport", "Observation"):
        _, found = await door.ask("clinic-a", f"/{name}?{asked}")
        assert len(resources(found)) == count, name


async def test_a_search_by_post_keeps_the_patient_out_of_the_url(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1))
    person = national_id(12340001)
    form = f"patient.identifier={PERSONS}%7C{person}".encode()
    response, found = await door.ask(
        "clinic-a", "/Observation/_search", form, Content_Type="application/x-www-form-urlencoded"
    )
    assert response.status == 200
    assert len(resources(found)) == 1
    assert "link" not in found


@pytest.mark.parametrize(
    "asked",
    [
        "code=09005C",
        "patient=Patient/1",
        "patient.identifier=",
        "date=yesterday",
        "date=ne2026-08-13",
        "date=2026-02-30",
        "_count=0",
        "_count=-1",
        "_count=many",
        "_page=1",
        "_page=1.1.1",
        "_include=Observation:subject",
        "_sort=date",
    ],
)
async def test_a_parameter_that_is_not_understood_is_refused(door: FhirStage, asked: str) -> None:
    response, told = await door.ask("clinic-a", f"/Observation?{asked}")
    assert response.status == 400
    assert told["issue"][0]["severity"] == "error"


async def test_an_empty_form_searches_for_all(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1))
    response, found = await door.ask(
        "clinic-a",
        "/DiagnosticReport/_search",
        b"",
        Content_Type="application/x-www-form-urlencoded",
    )
    assert response.status == 200
    assert len(resources(found)) == 1


async def test_a_stranger_reads_nothing(door: FhirStage) -> None:
    response: ClientResponse
    for path in ("/Observation", "/DiagnosticReport/r1-0", "/Observation/_search"):
        response, told = await door.ask("nobody", path)
        assert (response.status, told["issue"][0]["code"]) == (401, "login")


async def test_results_are_told_in_xml_too(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1))
    response, text = await door.ask("clinic-a", "/Observation?_format=application/fhir+xml")
    assert response.content_type == "application/fhir+xml"
    assert '<type value="searchset"/>' in text


async def test_one_result_that_breaks_its_reader_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with open_fhir_stage(tmp_path) as door:
        await door.ask("lab-one", "", result(1))
        await door.ask("lab-one", "", result(2))
        seen = ReadResults(
            door.stage.reader, {Media.FHIR_JSON: _broken_for(national_id(12340001))}, {}
        )
        found = seen.search(Viewer("lab-one"), ResultQuery())
    assert [len(stored.words) for stored in found] == [0, 1]
    written = "\n".join(map(EventFormatter().format, caplog.records))
    assert "results.fault" in written
    assert national_id(12340001) not in written


def _broken_for(person: str) -> Reader:
    def read(raw: bytes, profile: SourceProfile) -> ParsedPayload:
        if person.encode() in raw:
            raise RuntimeError(person)
        return read_fhir_json(raw, profile)

    return read


async def test_a_result_that_is_read_again_for_another_clinic_moves_to_it(door: FhirStage) -> None:
    await door.ask("lab-one", "", result(1))
    (report,) = read_fhir_json(encode(result(1)), PROFILE).reports
    moved = index_reports([replace(report, clinic_code=OTHER_CLINIC)], PROFILE)
    for _ in range(2):
        await door.stage.writer.write(lambda it: store_report_index(it, 1, moved, door.stage.now))
    for who, count in (("clinic-a", 0), ("clinic-b", 1)):
        _, found = await door.ask(who, "/Observation")
        assert len(resources(found)) == count, who


async def test_a_training_message_is_shown_to_nobody(door: FhirStage) -> None:
    raw = (
        "MSH|^~\\&|LIS|LAB|B|B|20260814090000+0800||ORU^R01|M1|T|2.5.1\r"
        f"PID|1||{national_id()}^^^NHI^NNTWN||TEST||19900102|F\r"
        "OBR|1|P-9|F-900001|09015C^creatinine^NHI|||20260813083000+0800\r"
        "OBX|1|NM|CREA^Creatinine^L||0.90|mg/dL|0.5-1.1|N|||F\r"
    )
    await door.stage.receive(raw.encode(), Media.HL7V2, source="lab")
    _, found = await door.ask("lab", "/Observation")
    assert resources(found) == []


async def test_pages_of_a_clinic_are_found_by_an_index(door: FhirStage) -> None:
    """The very statements that serve, for a clinic, a sender and a person."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: Any) -> None:
        statements.append((statement, parameters))

    event.listen(door.stage.reader, "before_cursor_execute", note)
    await door.ask("clinic-a", "/Observation")
    await door.ask("lab-one", "/Observation")
    await door.ask("clinic-a", f"/Observation?patient.identifier={PERSONS}|{national_id()}")
    searches = [pair for pair in statements if "lab_report" in pair[0]]
    assert len(searches) == 3
    with door.stage.reader.connect() as connection:
        for statement, parameters in searches:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert not any("SCAN lab_report" in row.detail for row in plan), plan
            assert not any("TEMP B-TREE" in row.detail for row in plan), plan
