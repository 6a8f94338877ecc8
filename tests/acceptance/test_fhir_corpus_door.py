"""Every FHIR file of the corpus goes through the door by HTTP into a real store, and out again.

``LABBROKER_CORPUS`` names the folder. The tally is shown at the end of the run.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.acceptance.test_fhir_corpus import fhir_files, pytestmark
from tests.conftest import Tell
from tests.fhir.stage import FhirStage, open_fhir_stage

__all__ = ["pytestmark"]
LONGEST_SECONDS = 10.0
REFUSALS = frozenset({400, 413, 422})


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[FhirStage]:
    async with open_fhir_stage(tmp_path) as opened:
        yield opened


async def test_every_file_is_taken_or_refused_with_a_reason_and_shown_as_sound_fhir(
    door: FhirStage, tell: Tell
) -> None:
    tally: Counter[str] = Counter()
    shown = 0
    for path in fhir_files():
        raw = path.read_bytes()
        async with asyncio.timeout(LONGEST_SECONDS):
            response, told = await _send(door, path, raw)
        if response.status in REFUSALS:
            issues = told["issue"]
            assert all(it["details"]["text"] for it in issues), path
            why = next(it["details"]["coding"][0]["code"] for it in issues if _code(it))
            tally[f"{response.status} {why}"] += 1
            continue
        assert response.status in (200, 201), (path, response.status)
        tally[f"{response.status} {'XML' if path.suffix == '.xml' else 'JSON'}"] += 1
    url = "/Observation?_count=200"
    while url:
        response, found = await door.ask("lab-one", url)
        assert response.status == 200
        for entry in found.get("entry", []):
            resource = entry["resource"]
            get_fhir_model_class("Observation").model_validate(resource)
            shown += 1
        url = next((it["url"] for it in found["link"] if it["relation"] == "next"), "")
    lines = [f"{count:5}  {line}" for line, count in sorted(tally.items())]
    tell("\n".join((*lines, f"{shown:5}  Observations shown")))
    assert sum(tally.values()) == len(fhir_files())
    assert shown > 500


def _code(told: dict[str, Any]) -> bool:
    return bool(told["details"].get("coding"))


async def _send(door: FhirStage, path: Path, raw: bytes) -> Any:
    name = _resource_type(raw)
    url = f"/{name}" if name in ("DiagnosticReport", "Observation") else ""
    kind = "application/fhir+xml" if path.suffix == ".xml" else "application/fhir+json"
    response, told = await door.ask("lab-one", url, raw, Content_Type=kind)
    if response.status == 400 and not any(map(_code, told["issue"])):
        # A resource of a type that has no URL here, or none that can be told.
        told["issue"][0]["details"]["coding"] = [{"code": "wrong-url"}]
    return response, told


def _resource_type(raw: bytes) -> str:
    try:
        found = json.loads(raw)
    except ValueError:
        for name in ("DiagnosticReport", "Observation"):
            if f"<{name} ".encode() in raw[:2000] or f"<{name}>".encode() in raw[:2000]:
                return name
        return ""
    return str(found.get("resourceType", "")) if isinstance(found, dict) else ""
