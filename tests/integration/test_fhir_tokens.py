"""The whole service with its settings: which token sends, which reads, and for whom."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from broker.bootstrap.service import Broker
from broker.config import load_settings
from tests.fhir.samples import CLINIC_CODE, encode, full_bundle, national_id

SETTINGS = """
data_dir = "store"
[mllp]
enabled = false
[http]
port = 0
[[source]]
id = "lab"
token_sha256 = ["{lab}"]
[[source]]
id = "clinic"
reads_for = ["{clinic_code}"]
token_sha256 = ["{clinic}"]
[[source]]
id = "stranger"
reads_for = ["3501200099"]
token_sha256 = ["{stranger}"]
"""


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    tokens = {name: digest(name) for name in ("lab", "clinic", "stranger")}
    path = tmp_path / "labbroker.toml"
    path.write_text(SETTINGS.format(clinic_code=CLINIC_CODE, **tokens), "utf-8")
    running = Broker(load_settings(path, {}), environ={})
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def ask(broker: Broker, who: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {who}", "Content-Type": "application/fhir+json"}
    url = f"http://127.0.0.1:{broker.http_port}/fhir{path}"
    async with (
        ClientSession() as session,
        session.request("GET" if body is None else "POST", url, data=body, headers=headers) as it,
    ):
        return it.status, json.loads(await it.text())


async def test_a_result_goes_from_its_sender_to_its_clinic_and_to_nobody_else(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert (await ask(broker, "lab", "", encode(full_bundle())))[0] == 200
    async with asyncio.timeout(30):
        await broker.pipeline.idle.wait()
    counts = {}
    for who in ("lab", "clinic", "stranger"):
        status, found = await ask(broker, who, "/DiagnosticReport?_include=DiagnosticReport:result")
        assert status == 200
        counts[who] = len(found.get("entry", []))
    assert counts == {"lab": 2, "clinic": 2, "stranger": 0}
    path = f"/Observation?patient.identifier={national_id()}"
    assert len((await ask(broker, "clinic", path))[1]["entry"]) == 1
    assert (await ask(broker, "clinic", "", encode(full_bundle())))[0] == 403
    assert (await ask(broker, "nobody", "/Observation"))[0] == 401
    own = [it.getMessage() for it in caplog.records if it.name.startswith(("adapters", "broker"))]
    assert own
    assert not any(national_id() in message for message in own)
