"""Updates, conditions and messages at the FHIR door: nothing lost, nothing doubled, no guess."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapters.ports.intake import StorageUnavailable
from broker.resources import StoredResources
from tests.fhir.samples import bundle, full_bundle, observation, report
from tests.fhir.stage import FhirStage, open_fhir_stage

SYSTEM = "https://lab.example/results"
IDENTIFIER = [{"system": SYSTEM, "value": "G-1"}]
CONDITION = f"identifier={SYSTEM}|G-1"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[FhirStage]:
    async with open_fhir_stage(tmp_path) as opened:
        yield opened


def glucose(value: int = 95, identity: str = "g1", **changes: Any) -> dict[str, Any]:
    number = {"value": value, "unit": "mg/dL"}
    return observation(identity, identifier=IDENTIFIER, valueQuantity=number, **changes)


async def put(
    door: FhirStage, body: Any, path: str = "/Observation/g1", who: str = "lab-one", **headers: str
) -> tuple[int, str, Any]:
    response, told = await door.ask(who, path, body, "PUT", **headers)
    return response.status, response.headers.get("ETag", ""), told


async def test_an_update_makes_a_new_version_of_the_senders_own_name(door: FhirStage) -> None:
    assert (await put(door, glucose(95)))[:2] == (201, 'W/"1"')
    assert (await put(door, glucose(96)))[:2] == (200, 'W/"2"')
    response, found = await door.ask("lab-one", "/Observation/g1")
    assert (found["id"], found["valueQuantity"]["value"]) == ("g1", 96)
    assert response.headers["ETag"] == 'W/"2"'


async def test_the_same_update_again_changes_nothing(door: FhirStage) -> None:
    for _ in range(3):
        last = await put(door, glucose(95))
    assert last[:2] == (200, 'W/"1"')
    assert door.receipts() == 1


async def test_an_old_state_that_is_put_back_is_not_taken_for_a_repeat(door: FhirStage) -> None:
    for value in (95, 96, 95):
        last = await put(door, glucose(value))
    assert last[:2] == (200, 'W/"3"')
    assert door.receipts() == 3
    _, found = await door.ask("lab-one", "/Observation/g1")
    assert found["valueQuantity"]["value"] == 95


async def test_a_stale_version_is_refused_and_not_stored(door: FhirStage) -> None:
    await put(door, glucose(95))
    await put(door, glucose(96), If_Match='W/"1"')
    status, _, told = await put(door, glucose(97), If_Match='W/"1"')
    assert (status, told["issue"][0]["code"]) == (412, "conflict")
    assert (await put(door, glucose(97), If_Match="*"))[0] == 412
    assert door.receipts() == 2


async def test_a_repeat_whose_answer_was_lost_is_no_conflict(door: FhirStage) -> None:
    await put(door, glucose(95))
    for _ in range(2):
        assert (await put(door, glucose(96), If_Match='W/"1"'))[:2] == (200, 'W/"2"')
    assert door.receipts() == 2


async def test_a_version_of_what_is_not_there_is_refused(door: FhirStage) -> None:
    assert (await put(door, glucose(), If_Match='W/"1"'))[0] == 412
    assert door.receipts() == 0


async def test_the_id_given_here_can_be_updated(door: FhirStage) -> None:
    created, told = await door.ask("lab-one", "/Observation", observation())
    own = told["id"]
    body = observation(own, valueQuantity={"value": 99, "unit": "mg/dL"})
    status, etag, _ = await put(door, body, f"/Observation/{own}", If_Match=created.headers["ETag"])
    assert (status, etag) == (200, 'W/"2"')
    _, found = await door.ask("lab-one", f"/Observation/{own}")
    assert found["valueQuantity"]["value"] == 99


async def test_another_senders_id_looks_like_none(door: FhirStage) -> None:
    _, told = await door.ask("lab-one", "/Observation", observation())
    answers = [
        await put(door, observation(identity), f"/Observation/{identity}", "lab-two")
        for identity in (told["id"], "r999-0")
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert door.receipts() == 1


async def test_two_senders_may_use_the_same_name(door: FhirStage) -> None:
    await put(door, glucose(95), who="lab-one")
    assert (await put(door, glucose(50), who="lab-two"))[:2] == (201, 'W/"1"')
    for who, value in (("lab-one", 95), ("lab-two", 50)):
        _, found = await door.ask(who, "/Observation/g1")
        assert found["valueQuantity"]["value"] == value


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/Observation/other", glucose()),
        ("/Observation/g1", {**glucose(), "id": "x"}),
        ("/Observation/g1", {key: it for key, it in glucose().items() if key != "id"}),
        ("/Observation/g_1", glucose(identity="g_1")),
        ("/Observation", glucose()),
        ("/Observation?code=1", glucose()),
        ("/DiagnosticReport/g1", glucose()),
    ],
)
async def test_an_update_without_a_clear_target_is_refused(
    door: FhirStage, path: str, body: Any
) -> None:
    assert (await put(door, body, path))[0] == 400
    assert door.receipts() == 0


async def test_an_update_that_cannot_be_used_is_kept_and_refused(door: FhirStage) -> None:
    assert (await put(door, glucose(status=None)))[0] == 400
    assert (await put(door, b"{"))[0] == 400
    assert door.receipts() == 2


async def test_a_condition_creates_once(door: FhirStage) -> None:
    first, made = await door.ask("lab-one", "/Observation", glucose(), If_None_Exist=CONDITION)
    # Another id and other bytes, and yet the same result.
    again, same = await door.ask(
        "lab-one", "/Observation", glucose(identity="g2"), If_None_Exist=CONDITION
    )
    assert (first.status, again.status) == (201, 200)
    assert again.headers["Location"] == first.headers["Location"]
    assert made["id"] == same["id"]
    assert door.receipts() == 1


async def test_fhirpy_asks_by_the_query(door: FhirStage) -> None:
    path = f"/Observation?identifier={SYSTEM}%7CG-1"
    statuses = [(await door.ask("lab-one", path, glucose()))[0].status for _ in range(2)]
    assert statuses == [201, 200]
    assert door.receipts() == 1


async def test_a_known_identifier_with_another_value_is_a_conflict(door: FhirStage) -> None:
    await door.ask("lab-one", "/Observation", glucose(95), If_None_Exist=CONDITION)
    response, told = await door.ask("lab-one", "/Observation", glucose(96), If_None_Exist=CONDITION)
    assert (response.status, told["issue"][0]["code"]) == (409, "conflict")
    assert door.receipts() == 1


async def test_several_matches_are_not_chosen_from(door: FhirStage) -> None:
    for value in (95, 96):
        await door.ask("lab-one", "/Observation", glucose(value))
    response, told = await door.ask("lab-one", "/Observation", glucose(97), If_None_Exist=CONDITION)
    assert (response.status, told["issue"][0]["code"]) == (412, "multiple-matches")
    assert (await put(door, glucose(97), f"/Observation?{CONDITION}"))[0] == 412


async def test_conditions_at_the_same_time_create_once(door: FhirStage) -> None:
    """Duplicates from concurrent conditional creates are what users of such servers report."""
    bodies = [glucose(identity=f"g{number}") for number in range(12)]
    answers = await asyncio.gather(
        *(door.ask("lab-one", "/Observation", body, If_None_Exist=CONDITION) for body in bodies)
    )
    assert sorted(response.status for response, _ in answers) == [200] * 11 + [201]
    assert door.receipts() == 1


async def test_a_conditional_update_finds_its_resource(door: FhirStage) -> None:
    path = f"/Observation?{CONDITION}"
    assert (await put(door, glucose(95), path))[:2] == (201, 'W/"1"')
    changed = glucose(96)
    del changed["id"]
    status, etag, told = await put(door, changed, path)
    assert (status, etag, told["id"]) == (200, 'W/"2"', "r1-0")
    assert (await put(door, glucose(97, identity="another"), path))[0] == 400


@pytest.mark.parametrize(
    "condition", ["_id=1", "identifier=", "identifier=|", "identifier=a|b&status=final", "x"]
)
async def test_other_conditions_are_refused(door: FhirStage, condition: str) -> None:
    response, _ = await door.ask("lab-one", "/Observation", glucose(), If_None_Exist=condition)
    assert response.status == 400
    assert door.receipts() == 0


def conditional(value: int, kind: str = "transaction", **request: str) -> dict[str, Any]:
    made = full_bundle(kind, identifier=IDENTIFIER, valueQuantity={"value": value, "unit": "mg/dL"})
    made["entry"][5]["request"] |= request
    return made


async def test_a_bundle_creates_a_known_result_no_second_time(door: FhirStage) -> None:
    asked = conditional(95, ifNoneExist=CONDITION)
    _, first = await door.ask("lab-one", "", asked)
    other_bytes = {**asked, "timestamp": "2026-08-14T10:00:00Z"}
    _, again = await door.ask("lab-one", "", other_bytes)
    before, after = (found["entry"][5]["response"] for found in (first, again))
    assert (before["status"], after["status"]) == ("201 Created", "200 OK")
    assert before["location"] == after["location"]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_a_bundle_with_a_conflict_is_refused_whole_and_says_where(
    door: FhirStage, kind: str
) -> None:
    await door.ask("lab-one", "", conditional(95, kind, ifNoneExist=CONDITION))
    response, told = await door.ask("lab-one", "", conditional(96, kind, ifNoneExist=CONDITION))
    assert response.status == 409
    assert told["issue"][0]["expression"] == ["Bundle.entry[5].request"]
    assert door.receipts() == 1


async def test_a_bundle_updates_by_id_and_version(door: FhirStage) -> None:
    target = {"method": "PUT", "url": "Observation/o1"}
    _, first = await door.ask("lab-one", "", conditional(95, **target))
    _, second = await door.ask("lab-one", "", conditional(96, **target, ifMatch='W/"1"'))
    stale, _ = await door.ask("lab-one", "", conditional(97, **target, ifMatch='W/"1"'))
    told = [found["entry"][5]["response"] for found in (first, second)]
    assert [it["status"] for it in told] == ["201 Created", "200 OK"]
    assert [it["etag"] for it in told] == ['W/"1"', 'W/"2"']
    assert told[1]["location"] == "Observation/o1/_history/2"
    assert stale.status == 412


async def test_two_entries_for_one_resource_are_refused(door: FhirStage) -> None:
    twice = bundle(observation("o1"), observation("o1"), kind="transaction")
    for entry in twice["entry"]:
        entry["request"] = {"method": "PUT", "url": "Observation/o1"}
    response, _ = await door.ask("lab-one", "", twice)
    assert response.status == 400
    assert door.receipts() == 0


def message(**changes: Any) -> dict[str, Any]:
    header = {
        "resourceType": "MessageHeader",
        "id": "m-1",
        "eventCoding": {"system": "http://loinc.org", "code": "11502-2"},
        "source": {"endpoint": "https://lab.example"},
        "focus": [{"reference": "DiagnosticReport/r1"}],
    }
    made = full_bundle("message", **changes)
    made["entry"].insert(0, {"resource": header})
    return made


async def test_a_message_is_answered_with_a_message(door: FhirStage) -> None:
    response, told = await door.ask("lab-one", "/$process-message", message())
    assert response.status == 200
    get_fhir_model_class("Bundle").model_validate(told)
    header = told["entry"][0]["resource"]
    assert (header["response"]["identifier"], header["response"]["code"]) == ("m-1", "ok")
    assert header["eventCoding"]["code"] == "11502-2"
    again, _ = await door.ask("lab-one", "/$process-message", message())
    assert (again.status, door.receipts()) == (200, 1)
    assert [row.clinic_code for row in door.stage.records()] == ["3501200000"]


async def test_a_message_that_cannot_be_used_is_answered_fatal(door: FhirStage) -> None:
    bad = message(status="finall")
    bad["entry"] = bad["entry"][:-1]
    response, told = await door.ask("lab-one", "/$process-message", bad)
    header = told["entry"][0]["resource"]
    assert (response.status, header["response"]["code"]) == (400, "fatal-error")
    (outcome,) = header["contained"]
    assert outcome["issue"][1]["expression"] == [
        "Bundle.entry[6].resource.ofType(Observation).status"
    ]
    assert door.receipts() == 1


async def test_only_messages_are_processed_and_at_once(door: FhirStage) -> None:
    response, _ = await door.ask("lab-one", "/$process-message", full_bundle())
    assert response.status == 400
    response, _ = await door.ask("lab-one", "/$process-message?async=true", message())
    assert response.status == 400
    assert door.receipts() == 0


async def test_the_statement_says_what_is_supported(door: FhirStage) -> None:
    _, told = await door.ask("nobody", "/metadata")
    get_fhir_model_class("CapabilityStatement").model_validate(told)
    (rest,) = told["rest"]
    for described in rest["resource"]:
        codes = {it["code"] for it in described["interaction"]}
        assert codes == {"create", "update", "read", "search-type"}
        for parameter in described["searchParam"]:
            value = {"token": "x", "date": "2026-08-14", "number": "5"}[parameter["type"]]
            path = f"/{described['type']}?{parameter['name']}={value}"
            response, _ = await door.ask("clinic-a", path)
            assert response.status == 200, path
    assert rest["operation"][0]["name"] == "process-message"


async def test_a_report_may_be_updated_with_what_it_contains(door: FhirStage) -> None:
    body = report(id="rep-1", basedOn=None, specimen=None, performer=None)
    body["contained"] = [observation("o1")]
    body["result"] = [{"reference": "#o1"}]
    assert (await put(door, body, "/DiagnosticReport/rep-1"))[0] == 201
    body["status"] = "corrected"
    assert (await put(door, body, "/DiagnosticReport/rep-1"))[:2] == (200, 'W/"2"')
    _, found = await door.ask("lab-one", "/DiagnosticReport/rep-1")
    assert (found["status"], found["id"]) == ("corrected", "rep-1")


async def test_what_was_stored_and_not_named_is_named_by_the_repeat(
    door: FhirStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies, or the disk is full, between the two commits."""

    async def full(*_: Any) -> None:
        raise StorageUnavailable(reason="the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(StoredResources, "register", full)
        assert (await put(door, glucose(95)))[0] == 503
    assert (await put(door, glucose(95)))[:2] == (200, 'W/"1"')
    assert (await put(door, glucose(96), If_Match='W/"1"'))[:2] == (200, 'W/"2"')
    assert door.receipts() == 2
