"""The FHIR door before a real store, with senders and clinics that each have a token."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer

from adapters.fhir.routes import fhir_application
from broker.bootstrap.readers import READERS
from broker.resources import StoredResources
from broker.results import ReadResults
from tests.fhir.samples import CLINIC_CODE, encode
from tests.integration.broker_stage import Stage, open_stage

OTHER_CLINIC = "3501200099"
CLINICS = {
    "clinic-a": frozenset({CLINIC_CODE}),
    "clinic-b": frozenset({OTHER_CLINIC}),
}
SENDERS = ("lab-one", "lab-two", "lab")


@dataclass
class FhirStage:
    """``base`` is the URL of the door. A token is the name of its holder."""

    stage: Stage
    session: ClientSession
    base: str

    async def ask(
        self,
        who: str,
        path: str,
        body: Any = None,
        method: str = "",
        **headers: str,
    ) -> tuple[ClientResponse, Any]:
        """The answer to a request, its body read. What was sent is worked off before it returns."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        wanted = {"Authorization": f"Bearer {who}", **named}
        data = None
        if body is not None:
            data = io.BytesIO(body if isinstance(body, bytes) else encode(body))
            wanted.setdefault("Content-Type", "application/fhir+json")
        verb = method or ("GET" if body is None else "POST")
        url = path if path.startswith("http") else self.base + path
        async with self.session.request(verb, url, data=data, headers=wanted) as response:
            text = await response.text()
        await self.stage.work()
        is_json = text and "json" in response.content_type
        return response, json.loads(text) if is_json else text

    def receipts(self) -> int:
        with self.stage.reader.connect() as connection:
            found: int = connection.exec_driver_sql("SELECT count(*) FROM receipt").scalar_one()
            return found


def authenticate(request: web.Request) -> str | None:
    """A token is the name of its holder."""
    name = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return name if name in (*CLINICS, *SENDERS) else None


@asynccontextmanager
async def open_fhir_stage(folder: Path) -> AsyncIterator[FhirStage]:
    """The door at work on a store in ``folder``."""
    async with open_stage(folder) as stage:
        application = web.Application()
        door = fhir_application(
            stage.intake,
            authenticate,
            results=ReadResults(stage.reader, READERS, {}),
            ledger=StoredResources(stage.writer, stage.reader),
            clinics_of=lambda source_id: CLINICS.get(source_id, frozenset()),
        )
        application.add_subapp("/fhir", door)
        async with TestServer(application) as server, ClientSession() as session:
            yield FhirStage(stage, session, str(server.make_url("")).rstrip("/") + "/fhir")
