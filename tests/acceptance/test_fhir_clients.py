"""Clients that others wrote, against the door and a real store: curl, fhirpy and fhirclient."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Require
from tests.fhir.samples import full_bundle, observation
from tests.fhir.stage import FhirStage, open_fhir_stage

SYSTEM = "https://lab.example/results"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[FhirStage]:
    async with open_fhir_stage(tmp_path) as opened:
        yield opened


def glucose(**changes: Any) -> dict[str, Any]:
    return observation(identifier=[{"system": SYSTEM, "value": "G-1"}], **changes)


async def curl(door: FhirStage, path: str, *options: str, data: Any = None) -> tuple[int, Any]:
    """The status and the body that curl saw."""
    command = ["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *options]
    if data is not None:
        command += ["-H", "Content-Type: application/fhir+json", "--data-binary", "@-"]
    process = await asyncio.create_subprocess_exec(
        *command,
        door.base + path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(json.dumps(data).encode() if data is not None else None)
    assert process.returncode == 0
    await door.stage.work()
    body, _, status = told.decode().rpartition("\n")
    return int(status), json.loads(body)


async def test_curl_sends_as_a_laboratory_and_reads_as_a_clinic(
    door: FhirStage, require: Require
) -> None:
    require(shutil.which("curl"), "curl is not installed")
    lab, clinic = ("Authorization: Bearer lab-one", "Authorization: Bearer clinic-a")
    status, told = await curl(door, "", "-H", lab, data=full_bundle())
    assert (status, told["type"]) == (200, "transaction-response")
    status, found = await curl(door, "/DiagnosticReport?_count=5", "-H", clinic)
    assert (status, len(found["entry"])) == (200, 1)
    status, told = await curl(door, "/Observation", "-H", "Authorization: Bearer nobody")
    assert (status, told["resourceType"]) == (401, "OperationOutcome")


async def test_fhirpy_sends_updates_and_reads(door: FhirStage, require: Require) -> None:
    require(importlib.util.find_spec("fhirpy"), "fhirpy is not installed")
    from fhirpy import AsyncFHIRClient
    from fhirpy.base.exceptions import ForbiddenError, OperationOutcome

    client = AsyncFHIRClient(door.base, authorization="Bearer lab-one")
    made = client.resource("Observation", **glucose())
    await made.save()
    await door.stage.work()
    assert made.id is not None
    found = await client.resources("Observation").fetch_all()
    assert [it["valueQuantity"]["value"] for it in found] == [95]
    same, created = await (
        client.resources("Observation")
        .search(identifier=f"{SYSTEM}|G-1")
        .get_or_create(client.resource("Observation", **glucose()))
    )
    assert (created, same.id) == (False, made.id)
    bad = client.resource("Observation", **{**glucose(), "status": "finall"})
    with pytest.raises(OperationOutcome):
        await bad.save()
    clinic = AsyncFHIRClient(door.base, authorization="Bearer clinic-a")
    assert await clinic.resources("Observation").fetch_all() == []
    with pytest.raises(ForbiddenError):
        await clinic.resource("Observation", **glucose()).save()


async def test_fhirpy_sends_a_transaction_and_a_clinic_pages_through(
    door: FhirStage, require: Require
) -> None:
    require(importlib.util.find_spec("fhirpy"), "fhirpy is not installed")
    from fhirpy import AsyncFHIRClient

    client = AsyncFHIRClient(door.base, authorization="Bearer lab-one")
    for value in range(3):
        bundle = full_bundle(valueString=str(value))
        bundle["entry"][-1]["resource"]["identifier"] = [{"value": f"F-{value}00000"}]
        await client.resource("Bundle", **bundle).save()
    await door.stage.work()
    clinic = AsyncFHIRClient(door.base, authorization="Bearer clinic-a")
    found = await clinic.resources("Observation").limit(2).fetch_all()
    assert sorted(it["valueString"] for it in found) == ["0", "1", "2"]


async def test_fhirclient_sends_and_reads(door: FhirStage, require: Require) -> None:
    require(importlib.util.find_spec("fhirclient"), "fhirclient is not installed")
    status, told = await asyncio.to_thread(_with_fhirclient, door.base)
    assert status == "created"
    await door.stage.work()
    value, total = await asyncio.to_thread(_read_with_fhirclient, door.base, told)
    assert (value, total) == (95, 1)


def _fhirclient(base: str) -> Any:
    from fhirclient import client

    made = client.FHIRClient(settings={"app_id": "labbroker-test", "api_base": base})
    assert made.server is not None
    # A static token, as a laboratory has it: fhirclient knows OAuth alone.
    made.server.session.headers["Authorization"] = "Bearer lab-one"
    return made


def _with_fhirclient(base: str) -> tuple[str, str]:
    from fhirclient.models.observation import Observation

    sent = Observation(glucose())
    sent.id = None
    told = sent.create(_fhirclient(base).server)
    return "created", str(told["id"])


def _read_with_fhirclient(base: str, identity: str) -> tuple[float, int]:
    from fhirclient.models.observation import Observation

    server = _fhirclient(base).server
    found = Observation.read(identity, server)
    listed = list(Observation.where({"date": "2026-08-13"}).perform_resources_iter(server))
    return float(found.valueQuantity.value), len(listed)
