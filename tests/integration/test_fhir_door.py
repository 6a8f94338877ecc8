"""The FHIR door over real sockets: durable first, then answered; no credential, no reading."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer

from adapters.fhir import answers, receiving
from adapters.fhir.representation import Format, write
from adapters.fhir.routes import fhir_application
from adapters.ports.intake import Accepted, Door, Media, Payload, Settle, StorageUnavailable
from tests.fhir.samples import bundle, encode, full_bundle, national_id, observation, report

JSON = {"Content-Type": "application/fhir+json", "Authorization": "Bearer good"}


@dataclass
class GatedIntake:
    """Stores in memory; ``gate`` holds the commit back, ``failure`` makes it fail."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    payloads: list[Payload] = field(default_factory=list)
    answers: list[tuple[int, bool]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, payload: Payload) -> Accepted:
        self.arrived.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        known = [stored.raw for stored in self.payloads]
        if payload.raw in known:
            return Accepted(known.index(payload.raw) + 1, duplicate=True)
        self.payloads.append(payload)
        return Accepted(len(self.payloads))

    def offer(self, payload: Payload, settle: Settle) -> None:
        raise NotImplementedError

    def acknowledged(self, receipt_id: int, delivered: bool) -> None:
        self.answers.append((receipt_id, delivered))
        self.told.set()


@dataclass
class Client:
    """A sender at ``url`` and what stands behind the door."""

    session: ClientSession
    url: str
    intake: GatedIntake

    async def post(
        self, body: Any, path: str = "/fhir", **headers: str
    ) -> tuple[ClientResponse, Any]:
        raw = body if isinstance(body, bytes) else encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            self.url + path, data=raw, headers={**JSON, **named}
        ) as response:
            text = await response.text()
            is_json = text and "json" in response.content_type
            return response, json.loads(text) if is_json else text


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    intake = GatedIntake()
    intake.gate.set()

    async def authenticate(request: web.Request) -> str | None:
        await asyncio.sleep(0)
        known = request.headers.get("Authorization") == "Bearer good"
        return "lab-one" if known else None

    application = web.Application()
    application.add_subapp("/fhir", fhir_application(intake, authenticate, 300_000, 0.5))
    async with TestServer(application) as server, ClientSession() as session:
        yield Client(session, str(server.make_url("")).rstrip("/"), intake)


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
async def test_a_bundle_is_stored_as_sent_and_answered(client: Client, path: str) -> None:
    raw = encode(full_bundle())
    response, told = await client.post(raw, path)
    assert response.status == 200
    assert response.content_type == "application/fhir+json"
    assert [entry["response"]["status"] for entry in told["entry"]] == ["201 Created"] * 7
    (stored,) = client.intake.payloads
    assert stored.raw == raw
    assert (stored.source_id, stored.control_id) == ("lab-one", "MSG-1")
    assert (stored.door, stored.media) == (Door.HTTP, Media.FHIR_JSON)
    assert client.intake.answers == [(1, True)]


async def test_no_answer_leaves_before_the_commit(client: Client) -> None:
    client.intake.gate.clear()
    asked = asyncio.create_task(client.post(full_bundle()))
    await client.intake.arrived.wait()
    done, _ = await asyncio.wait([asked], timeout=0.2)
    assert not done
    client.intake.gate.set()
    response, _ = await asked
    assert response.status == 200


async def test_a_store_that_fails_is_said_with_503(client: Client) -> None:
    client.intake.failure = StorageUnavailable(reason="disk full")
    response, told = await client.post(full_bundle())
    assert (response.status, response.headers["Retry-After"]) == (503, "30")
    assert told["issue"][0]["code"] == "transient"
    assert client.intake.answers == []


async def test_an_unexpected_fault_says_nothing_of_the_payload(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.intake.failure = RuntimeError(national_id())
    response, told = await client.post(full_bundle())
    assert response.status == 500
    assert national_id() not in json.dumps(told) + caplog.text


async def test_without_a_credential_nothing_is_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(receiving, "judge", lambda raw, *_: parsed.append(raw))
    for path in ("/fhir", "/fhir/", "/fhir/Observation", "/fhir/DiagnosticReport", "/fhir/nothing"):
        for body in (encode(full_bundle()), b"{", b"x" * 1000):
            response, told = await client.post(body, path, Authorization="Bearer bad")
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert told["issue"][0]["code"] == "login"
    assert parsed == []
    assert client.intake.payloads == []


async def test_the_body_of_a_stranger_is_not_awaited(client: Client) -> None:
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
        b"Content-Length: 100000\r\n\r\n"
    )
    async with asyncio.timeout(5):
        line = await reader.readline()
    assert b" 401 " in line
    writer.close()


async def test_bad_bytes_are_kept_and_then_refused(client: Client) -> None:
    for body in (b'{"resourceType": "Bundle",', b'{"a":1,"a":2}', b"[]", b"\xff"):
        response, told = await client.post(body)
        assert response.status == 400
        assert told["issue"][0]["severity"] == "fatal"
    assert [payload.raw[:1] for payload in client.intake.payloads] == [b"{", b"{", b"[", b"\xff"]


async def test_a_lone_result_is_created_and_a_repeat_is_known(client: Client) -> None:
    raw = encode(observation("mine"))
    first, told = await client.post(raw, "/fhir/Observation")
    assert first.status == 201
    assert first.headers["Location"] == f"{client.url}/fhir/Observation/r1-0/_history/1"
    assert first.headers["ETag"] == 'W/"1"'
    assert told["id"] == "r1-0"
    again, _ = await client.post(raw, "/fhir/Observation")
    assert (again.status, again.headers["Location"]) == (200, first.headers["Location"])
    assert len(client.intake.payloads) == 1


async def test_prefer_minimal_has_no_body(client: Client) -> None:
    response, told = await client.post(
        observation(), "/fhir/Observation", Prefer="respond-async, return=minimal"
    )
    assert (response.status, told) == (201, "")


async def test_the_wrong_resource_for_a_url_is_not_stored(client: Client) -> None:
    for path, body in (
        ("/fhir/DiagnosticReport", observation()),
        ("/fhir/Observation", full_bundle()),
        ("/fhir", observation()),
    ):
        response, _ = await client.post(body, path)
        assert response.status == 400
    assert client.intake.payloads == []


async def test_a_report_without_its_results_is_kept_and_answered_422(client: Client) -> None:
    response, told = await client.post(report("o1"), "/fhir/DiagnosticReport")
    assert response.status == 422
    assert told["issue"][1]["expression"] == ["DiagnosticReport.result[0]"]
    assert len(client.intake.payloads) == 1


async def test_xml_goes_in_and_comes_out(client: Client) -> None:
    body = write(full_bundle(), Format.XML)
    response, told = await client.post(
        body, Content_Type="application/fhir+xml", Accept="application/fhir+xml"
    )
    assert response.status == 200
    assert response.content_type == "application/fhir+xml"
    assert '<type value="transaction-response"/>' in told
    assert client.intake.payloads[0].media is Media.FHIR_XML


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/fhir+json; charset=big5"}, 415),
        ({"Content_Type": "application/fhir+json; fhirVersion=5.0"}, 415),
        ({"Content_Type": "application/fhir+json; fhirVersion=4.0; charset=UTF-8"}, 200),
        ({"Content_Type": "application/json"}, 200),
        ({"Content_Type": "application/json+fhir"}, 200),
        ({"Content_Type": "text/json"}, 200),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "text/turtle"}, 406),
        ({"Accept": "application/fhir+json, */*; q=0.1"}, 200),
    ],
)
async def test_media_types_are_negotiated(
    client: Client, headers: dict[str, str], status: int
) -> None:
    body = b"\x1f\x8b" if "Content_Encoding" in headers else encode(full_bundle())
    response, told = await client.post(body, **headers)
    assert response.status == status
    if status != 200:
        assert told["resourceType"] == "OperationOutcome"
        assert client.intake.payloads == []


async def test_too_large_a_body_is_cut_off(client: Client) -> None:
    response, told = await client.post(b"x" * 300_001)
    assert response.status == 413
    assert told["issue"][0]["code"] == "too-long"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    async with client.session.post(f"{client.url}/fhir", data=chunks(), headers=JSON) as cut:
        assert cut.status == 413
    assert client.intake.payloads == []


async def test_a_slow_body_is_given_up(client: Client) -> None:
    async def drops() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    async with client.session.post(f"{client.url}/fhir", data=drops(), headers=JSON) as slow:
        assert slow.status == 408
    assert client.intake.payloads == []


async def test_an_empty_body_is_refused(client: Client) -> None:
    response, _ = await client.post(b"")
    assert response.status == 400
    assert client.intake.payloads == []


async def test_a_peer_that_left_is_told_to_the_intake(client: Client) -> None:
    client.intake.gate.clear()
    host, port = client.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = encode(full_bundle())
    head = (
        "POST /fhir HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await client.intake.arrived.wait()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    client.intake.gate.set()
    async with asyncio.timeout(5):
        await client.intake.told.wait()
    assert client.intake.answers == [(1, False)]


async def test_a_large_body_is_read_off_the_loop(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []
    main = asyncio.get_running_loop()

    def noted(*arguments: Any) -> answers.Judged:
        try:
            threads.append(asyncio.get_running_loop() is main)
        except RuntimeError:
            threads.append(False)
        return answers.judge(*arguments)

    monkeypatch.setattr(receiving, "judge", noted)
    large = bundle(*(observation(f"o{number}") for number in range(700)))
    assert len(encode(large)) > receiving.OFF_LOOP_BYTES
    response, _ = await client.post(large)
    assert response.status == 200
    await client.post(full_bundle())
    assert threads == [False, True]


async def test_metadata_is_open_and_says_what_is_supported(client: Client) -> None:
    async with client.session.get(f"{client.url}/fhir/metadata") as response:
        made = await response.json(content_type="application/fhir+json")
    assert (response.status, made["fhirVersion"]) == (200, "4.0.1")
    async with client.session.get(f"{client.url}/fhir/metadata?_format=xml") as response:
        assert response.content_type == "application/fhir+xml"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/fhir/metadata", 405),
        ("GET", "/fhir", 405),
        ("PUT", "/fhir/Observation", 405),
        ("DELETE", "/fhir/DiagnosticReport", 405),
        ("GET", "/fhir/Observation/r1-0", 404),
        ("POST", "/fhir/Patient", 404),
    ],
)
async def test_what_is_not_offered_is_said_so(
    client: Client, method: str, path: str, status: int
) -> None:
    async with client.session.request(method, client.url + path, headers=JSON) as response:
        assert response.status == status
        assert ("Allow" in response.headers) == (status == 405)
        if method != "HEAD":
            made = await response.json(content_type="application/fhir+json")
            assert made["resourceType"] == "OperationOutcome"


async def test_the_language_of_the_sender_is_spoken(client: Client) -> None:
    _, told = await client.post(b"{", Accept_Language="zh-TW")
    assert "JSON 格式錯誤" in told["issue"][0]["details"]["text"]


async def test_no_body_is_ever_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = national_id()
    bodies: list[Callable[[], bytes]] = [
        lambda: encode(full_bundle()),
        lambda: encode(full_bundle(status=secret)),
        lambda: encode(full_bundle())[:-9],
        lambda: encode({"resourceType": secret}),
    ]
    for body in bodies:
        await client.post(body(), f"/fhir?identifier=http://www.moi.gov.tw|{secret}")
    assert "fhir payload stored" in caplog.text
    own = [record.getMessage() for record in caplog.records if record.name.startswith("adapters")]
    assert own
    assert not any(secret in message for message in own)
