"""A clinic's system subscribes by FHIR, and is told of its own results: all, once, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from fhir.resources.R4B import get_fhir_model_class
from sqlalchemy import select

from adapters.fhir.representation import Format, write
from adapters.fhir.routes import fhir_application
from adapters.ports.intake import StorageUnavailable
from broker.bootstrap.readers import READERS
from broker.bootstrap.subscriptions import Stores, SubscriptionSenders
from broker.config.secret import SecretReference
from broker.config.subscription_section import SubscriptionSettings
from broker.delivery.agreement import Agreements
from broker.demo.people import CLINIC
from broker.results import ReadResults
from broker.store.delivery_tables import outgoing, subscription
from tests.integration.broker_stage import PROFILE, Stage, open_stage
from tests.integration.delivery_stage import OTHER, PERSON, at_once, oru, until

READS = {"his": frozenset({CLINIC}), "other": frozenset({OTHER})}
SECRET = "Bearer k3ep-me"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass
class Hook:
    """A clinic's endpoint. ``answer`` gives the status for the n-th call."""

    answer: Callable[[int], int] = lambda count: 200
    came: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.came.append((request.method, request.path, request.headers.copy(), body))
        status = self.answer(len(self.came))
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Hook]:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self.take)
        async with TestServer(application) as server:
            self.url = str(server.make_url("/hook"))
            yield self

    @property
    def resources(self) -> list[Any]:
        return [json.loads(body) for method, _, _, body in self.came if method == "PUT"]


@dataclass
class Place:
    stage: Stage
    session: ClientSession
    base: str
    senders: SubscriptionSenders
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def ask(
        self, who: str, path: str, body: Any = None, method: str = "", **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method or ("GET" if body is None else "POST"),
            path if path.startswith("http") else self.base + path,
            data=body if isinstance(body, bytes | None) else json.dumps(body),
            headers={
                "Authorization": f"Bearer {who}",
                "Content-Type": "application/fhir+json",
                **named,
            },
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, answer.headers.copy()

    async def subscribe(self, hook: Hook, who: str = "his", **more: Any) -> Any:
        status, made, _ = await self.ask(who, "/Subscription", wanted(hook.url, **more))
        assert status == 201, made
        return made

    async def status_of(self, number: str, who: str = "his") -> str:
        return str((await self.ask(who, f"/Subscription/{number}"))[1]["status"])

    async def until_status(self, number: str, wanted: str) -> None:
        async with asyncio.timeout(20):
            while await self.status_of(number) != wanted:  # noqa: ASYNC110 - it is the store's
                await asyncio.sleep(0.01)

    async def receive(self, raw: bytes) -> None:
        await self.stage.receive(raw)
        self.senders.wake()

    def rows(self) -> list[Any]:
        with self.stage.reader.connect() as connection:
            return list(connection.execute(select(outgoing).order_by(outgoing.c.id)))

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]


def wanted(url: str, criteria: str = "DiagnosticReport", **more: Any) -> dict[str, Any]:
    channel = {"type": "rest-hook", "endpoint": url}
    channel |= {name: more.pop(name) for name in ("payload", "header") if name in more}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "results for the chart",
        "criteria": criteria,
        "channel": channel,
        **more,
    }


@asynccontextmanager
async def open_place(
    folder: Path, reads: Mapping[str, frozenset[str]] = READS, **more: Any
) -> AsyncIterator[Place]:
    key = more.pop("key", SecretReference(variable="KEY"))
    settings = SubscriptionSettings(key=key, networks=more.pop("networks", LOOPBACK), **more)
    async with open_stage(folder) as stage:
        stage.pipeline._deliveries = Agreements((), reads)
        results = ReadResults(stage.reader, READERS, {"lab": PROFILE})

        def clinics_of(source_id: str) -> frozenset[str]:
            return reads.get(source_id, frozenset())

        senders = SubscriptionSenders(
            settings,
            Stores(stage.writer, stage.reader, results),
            clinics_of,
            lambda: stage.now,
            {"KEY": "of the operator"},
            sleep=at_once,
        )
        senders.start()
        door = fhir_application(
            stage.intake,
            lambda request: request.headers["Authorization"].removeprefix("Bearer "),
            results=results,
            clinics_of=clinics_of,
            subscriptions=senders.desk,
            endpoint_networks=settings.networks,
        )
        application = web.Application()
        application.add_subapp("/fhir", door)
        try:
            async with TestServer(application) as server, ClientSession() as session:
                base = str(server.make_url("")).rstrip("/") + "/fhir"
                yield Place(stage, session, base, senders)
        finally:
            await senders.stop()


async def test_a_subscription_is_active_once_its_endpoint_has_answered_and_then_told_of_each_word(
    tmp_path: Path,
) -> None:
    async with Hook().listening() as hook, open_place(tmp_path) as place:
        made = await place.subscribe(hook, header=[f"Authorization: {SECRET}"])
        assert (made["status"], made["meta"]["versionId"]) == ("requested", "1")
        await place.until_status(made["id"], "active")
        await place.receive(oru("F1", "90"))
        await place.receive(oru("F2", "91", clinic=OTHER))
        await place.receive(oru("F1", "96", reported="202611191300"))
        await until(lambda: place.states() == ["acknowledged"] * 2)
        _, found, _ = await place.ask("his", "/DiagnosticReport?_since=2026-01-01")
    assert [(method, path) for method, path, _, _ in hook.came] == [("POST", "/hook")] * 3
    assert all(body == b"" for *_, body in hook.came)
    assert {headers["Authorization"] for _, _, headers, _ in hook.came} == {SECRET}
    keys = [headers.get("Idempotency-Key") for _, _, headers, _ in hook.came]
    assert keys == [None, "LB1", "LB2"]
    assert len(found["entry"]) == 1


async def test_with_a_payload_each_resource_is_put_below_the_endpoint_in_its_newest_form(
    tmp_path: Path,
) -> None:
    for name in ("DiagnosticReport", "Observation"):
        async with Hook().listening() as hook, open_place(tmp_path / name) as place:
            made = await place.subscribe(hook, criteria=name, payload="application/fhir+json")
            await place.receive(oru("F1", "5.10"))
            await place.until_status(made["id"], "active")
            await place.receive(oru("F1", "5.20", reported="202611191300"))
            await until(lambda place=place: place.states() == ["acknowledged"] * 2)  # type: ignore[misc]
            _, read, _ = await place.ask("his", f"/{hook.came[0][1].removeprefix('/hook/')}")
        assert {path for _, path, _, _ in hook.came} == {f"/hook/{name}/{read['id']}"}
        told = hook.resources
        for each in told:
            get_fhir_model_class(name).model_validate(each)
        assert told[-1] == read
        assert [each["meta"]["versionId"] for each in told] == ["1", "2"]
        if name == "Observation":
            assert b'"value":5.10' in hook.came[0][3]
            assert b'"value":5.20' in hook.came[1][3]


async def test_only_its_own_clinics_results_and_only_the_patient_of_the_criteria(
    tmp_path: Path,
) -> None:
    async with Hook().listening() as hook, open_place(tmp_path) as place:
        system = "http://www.moi.gov.tw"
        made = await place.subscribe(
            hook, criteria=f"Observation?patient.identifier={system}|{PERSON}"
        )
        theirs = await place.subscribe(hook, "other")
        await place.receive(oru("F1", "1"))
        await place.receive(oru("F2", "2", person="B123456780"))
        await place.receive(oru("F3", "3", clinic=OTHER))
        await until(lambda: place.states() == ["acknowledged"] * 2)
        assert [(row.destination, row.receipt_id) for row in place.rows()] == [
            (f"subscription-{made['id']}", 1),
            (f"subscription-{theirs['id']}", 3),
        ]
        # Another's is not there, for whatever is asked of it.
        for method, body in (("GET", None), ("PUT", wanted(hook.url)), ("DELETE", None)):
            status, *_ = await place.ask("other", f"/Subscription/{made['id']}", body, method)
            assert status == (204 if method == "DELETE" else 404)
        assert await place.status_of(made["id"]) != "off"
        _, found, _ = await place.ask("other", "/Subscription")
        assert found["total"] == 1
        # Who sends results, and reads for nobody, subscribes to nothing.
        for who in ("lab", "nobody"):
            assert (await place.ask(who, "/Subscription", wanted(hook.url)))[0] == 403
            assert (await place.ask(who, "/Subscription"))[0] == 403


async def test_an_endpoint_that_fails_is_told_as_error_and_catches_up_in_order(
    tmp_path: Path,
) -> None:
    down = True
    async with (
        Hook(lambda count: 503 if down else 200).listening() as hook,
        open_place(tmp_path) as place,
    ):
        made = await place.subscribe(hook, payload="application/fhir+json", criteria="Observation")
        for number in range(3):
            await place.receive(oru(f"F{number}", str(number)))
        await place.until_status(made["id"], "error")
        _, shown, _ = await place.ask("his", f"/Subscription/{made['id']}")
        assert shown["error"] == "http-503"
        get_fhir_model_class("Subscription").model_validate(shown)
        hook.came.clear()
        down = False
        await until(lambda: place.states() == ["acknowledged"] * 3)
        assert await place.status_of(made["id"]) == "active"
        assert [each["valueQuantity"]["value"] for each in hook.resources[-3:]] == [0, 1, 2]
        # What the hook told and what a search since then tells are the same, page by page.
        ids, url = [], "/Observation?_since=2026-01-01&_count=1"
        while url:
            _, page, _ = await place.ask("his", url)
            ids += [each["resource"]["id"] for each in page["entry"]]
            links = {each["relation"]: each["url"] for each in page["link"]}
            url = links.get("next", "")
        assert ids == [each["id"] for each in hook.resources[-3:]]


async def test_one_that_is_off_removed_or_gone_is_sent_nothing_more(tmp_path: Path) -> None:
    async with (
        Hook(lambda count: 503).listening() as hook,
        Hook(lambda count: 410).listening() as gone,
        open_place(tmp_path) as place,
    ):
        off = await place.subscribe(hook)
        removed = await place.subscribe(hook)
        ended = await place.subscribe(gone, payload="application/fhir+xml")
        await place.receive(oru("F1", "1"))
        status, changed, _ = await place.ask(
            "his", f"/Subscription/{off['id']}", wanted(hook.url, status="off"), "PUT"
        )
        assert (status, changed["status"], changed["meta"]["versionId"]) == (200, "off", "2")
        for _ in range(2):
            assert (await place.ask("his", f"/Subscription/{removed['id']}", None, "DELETE"))[
                0
            ] == 204
        assert (await place.ask("his", f"/Subscription/{removed['id']}"))[0] == 404
        await place.until_status(ended["id"], "off")
        await place.receive(oru("F2", "2"))
        rows = place.rows()
        assert [row.state for row in rows] == ["refused"] * 3
        assert {row.error_code for row in rows} == {"subscription-off"}
        # What its owner has ended alarms nobody; what the other side ended is for a person.
        assert [row.settled_at is not None for row in rows] == [True, True, False]
        # Asked for again, it goes on; what was missed is read by _since.
        again = await place.ask("his", f"/Subscription/{off['id']}", wanted(hook.url), "PUT")
        assert again[1]["status"] == "requested"
        await place.receive(oru("F3", "3"))
        assert place.rows()[-1].state in ("queued", "sent", "failed")


async def test_a_header_is_encrypted_never_told_and_stays_when_it_is_sent_back_masked(
    tmp_path: Path,
) -> None:
    async with Hook().listening() as hook, open_place(tmp_path) as place:
        made = await place.subscribe(hook, header=[f"X-Key: {SECRET}", "X-Site: 7"])
        assert made["channel"]["header"] == ["X-Key: ***", "X-Site: ***"]
        with place.stage.reader.connect() as connection:
            row = connection.execute(select(subscription)).one()
        assert SECRET.encode() not in row.headers
        assert SECRET not in str(row)
        await place.until_status(made["id"], "active")
        made["channel"]["header"].append("X-New: 8")
        status, *_ = await place.ask(
            "his", f"/Subscription/{made['id']}", made, "PUT", If_Match='W/"1"'
        )
        assert status == 200
        stale = await place.ask("his", f"/Subscription/{made['id']}", made, "PUT", If_Match='W/"1"')
        assert stale[0] == 412
        await until(lambda: len(hook.came) == 2)
        headers = hook.came[1][2]
        assert [headers[name] for name in ("X-Key", "X-Site", "X-New")] == [SECRET, "7", "8"]
        elsewhere = {**made, "channel": {**made["channel"], "endpoint": f"{hook.url}/of-another"}}
        assert (await place.ask("his", f"/Subscription/{made['id']}", elsewhere, "PUT"))[0] == 422
        made["channel"]["header"] = ["X-Other: ***"]
        assert (await place.ask("his", f"/Subscription/{made['id']}", made, "PUT"))[0] == 422
    async with Hook().listening() as hook, open_place(tmp_path / "keyless", key=None) as place:
        keyless = wanted(hook.url, header=["X-Key: 1"])
        status, told, _ = await place.ask("his", "/Subscription", keyless)
        assert (status, told["resourceType"]) == (422, "OperationOutcome")


async def test_no_redirect_is_followed_and_no_inner_address_is_ever_called(tmp_path: Path) -> None:
    async with Hook(lambda count: 307).listening() as hook:
        async with open_place(tmp_path) as place:
            made = await place.subscribe(hook)
            await place.until_status(made["id"], "error")
            shown = (await place.ask("his", f"/Subscription/{made['id']}"))[1]
        assert shown["error"] == "http-307"
        assert {path for _, path, _, _ in hook.came} == {"/hook"}
        hook.came.clear()
        # The operator has taken the network back since: not even a try.
        async with open_place(tmp_path, networks=()) as place:
            await place.until_status(made["id"], "error")
            status, told, _ = await place.ask("his", "/Subscription", wanted(hook.url))
        assert status == 422
        assert told["issue"][0]["expression"] == ["Subscription.channel.endpoint"]
        assert hook.came == []


async def test_what_cannot_be_done_is_refused_with_its_place(tmp_path: Path) -> None:
    good = wanted("https://clinic.example/hook")
    faulty: list[tuple[int, dict[str, Any], str]] = [
        (400, {**good, "resourceType": "Patient"}, ""),
        (400, {key: value for key, value in good.items() if key != "criteria"}, "criteria"),
        (400, {**good, "reason": 7}, "reason"),
        (400, {**good, "end": "tomorrow"}, "end"),
        (422, {**good, "criteria": "Patient"}, "criteria"),
        (422, {**good, "criteria": "Observation?code=1"}, "criteria"),
        (422, {**good, "criteria": "Observation?patient.identifier=http://x|1"}, "criteria"),
        (422, {**good, "channel": {"type": "email", "endpoint": "mailto:a@b"}}, "channel.type"),
        (422, wanted("http://clinic.example/"), "channel.endpoint"),
        (422, wanted("https://169.254.169.254/latest"), "channel.endpoint"),
        (422, wanted("https://a.example/", payload="text/plain"), "channel.payload"),
        (422, wanted("https://a.example/", header=["Host: b"]), "channel.header"),
        (422, wanted("https://a.example/", header=["X: a\r\nY: b"]), "channel.header"),
    ]
    async with open_place(tmp_path, most_of_source=1) as place:
        for status, body, where in faulty:
            got, told, _ = await place.ask("his", "/Subscription", body)
            assert got == status, (body, told)
            places = told["issue"][0].get("expression", [""])
            assert places == ([f"Subscription.{where}"] if where else [""]), (body, told)
        xml = write({**good, "end": "2030-01-01T00:00:00Z"}, Format.XML)
        form = {"Content_Type": "application/fhir+xml"}
        for raw, status in ((b"<Subscription", 400), (b"<!DOCTYPE a>" + xml, 400), (xml, 201)):
            got, made, _ = await place.ask("his", "/Subscription", raw, **form)
            assert got == status, made
        assert made["end"] == "2030-01-01T00:00:00.000Z"
        assert (await place.ask("his", "/Subscription", good))[0] == 422
        assert (await place.ask("his", "/Subscription?code=1"))[0] == 400
        assert (await place.ask("his", "/Subscription?status=requested,error"))[1]["total"] == 1
        assert (await place.ask("his", "/Subscription?url=https://b.example"))[1]["total"] == 0


async def test_a_clinic_that_is_taken_from_a_source_is_sent_to_it_no_more(tmp_path: Path) -> None:
    reads = dict(READS)
    async with (
        Hook(lambda count: 503).listening() as hook,
        open_place(tmp_path, reads) as place,
    ):
        await place.subscribe(hook, payload="application/fhir+json")
        reads["his"] = frozenset({OTHER})
        await place.receive(oru("F1", "1"))
        await until(lambda: place.states() == ["refused"])
        assert place.rows()[0].error_code == "delivery-not-theirs"
    assert hook.came == []


async def test_a_clinic_that_is_taken_from_a_source_between_two_tries_is_sent_to_it_no_more(
    tmp_path: Path,
) -> None:
    reads = dict(READS)
    down = True
    async with (
        Hook(lambda count: 503 if down else 200).listening() as hook,
        open_place(tmp_path, reads) as place,
    ):
        await place.subscribe(hook, payload="application/fhir+json")
        await place.receive(oru("F1", "1"))
        await until(lambda: len(hook.came) > 1)
        reads["his"] = frozenset({OTHER})
        await until(lambda: place.states() == ["refused"])
        hook.came.clear()
        down = False
        assert place.rows()[0].error_code == "delivery-not-theirs"
        await asyncio.sleep(0.05)
    assert hook.came == []


async def test_what_was_taken_is_not_sent_again_because_the_status_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StorageUnavailable(reason="away")

    async with Hook().listening() as hook, open_place(tmp_path) as place:
        monkeypatch.setattr(place.senders, "_note", away)
        await place.subscribe(hook, payload="application/fhir+json")
        await place.receive(oru("F1", "1"))
        await until(lambda: place.states() == ["acknowledged"])
    assert len(hook.came) == 1


async def test_what_waits_is_sent_in_the_form_of_the_newest_version(tmp_path: Path) -> None:
    down = True
    async with (
        Hook(lambda count: 503 if down else 200).listening() as hook,
        open_place(tmp_path) as place,
    ):
        made = await place.subscribe(hook, payload="application/fhir+json")
        await place.receive(oru("F1", "1"))
        await until(lambda: len(hook.came) > 1)
        xml = wanted(hook.url, payload="application/fhir+xml")
        await place.ask("his", f"/Subscription/{made['id']}", xml, "PUT")
        down = False
        await until(lambda: place.states() == ["acknowledged"])
    *_, headers, body = hook.came[-1]
    assert headers["Content-Type"].startswith("application/fhir+xml")
    assert body.lstrip().startswith(b"<")


async def test_no_id_that_is_none_of_ours_stands_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_place(tmp_path) as place:
        with caplog.at_level("INFO"):
            await place.ask("his", f"/Subscription/{PERSON}", None, "DELETE")
    told = [each.getMessage() for each in caplog.records if "subscription ended" in each.msg]
    assert told == ["fhir subscription ended: source=his id=-"]
