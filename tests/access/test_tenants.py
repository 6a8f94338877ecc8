"""Every route of the running service, as every role, for institutions that are not one's own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from sqlalchemy import func, insert, select

from broker.access.masking import masked_id
from broker.access.roles import EVERYWHERE, Permission, Role, permissions_of
from broker.demo.people import CLINIC, LAB
from broker.store.access_tables import audit_event, person
from broker.store.audit_check import verify_trail
from broker.store.code_tables import code_decision
from broker.store.delivery_tables import critical_result, outgoing
from broker.store.nhi_overviews import store_overview
from broker.store.report_tables import lab_report
from broker.store.schema import package, receipt, record, visit, visit_order
from broker.store.unuploaded import ListHead, begin_list, end_list
from broker.web.api.openapi import BASE
from broker.web.api.routes import OPERATIONS
from broker.web.api.shapes import what_is_wrong
from broker.web.identity import Guard, guard_of
from broker.web.session import OPEN_PATHS, is_open
from mapping.rates.nhi_overview import NhiOverview
from tests.access.bad_bodies import bad_bodies, bodies_for
from tests.access.web_people import SignedIn
from tests.console.running_console import RunningConsole, running_console

FOREIGN_CLINIC = "3599999999"
FOREIGN_LAB = "JYZZ999999"
# A group of a worklist is a cause, which is nobody's own: there nothing is found to be fixed.
_OF_ONE = re.compile(r"\{(?!group\b)")
BOUND = [role for role in Role if role not in EVERYWHERE]
ANYBODYS = {
    ("GET", "/static/console/{name}"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/openapi.json"),
    *(("GET", f"/sign-in{step}") for step in ("", "/password", "/second", "/enrol")),
    *(("POST", f"/sign-in{step}") for step in ("", "/password", "/second", "/enrol")),
}
"""All routes that need no sign-in beside health, static files and the doors with their own
secrets. A new one is a decision, not an accident."""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("tenants")) as running:
        yield running


@pytest.fixture(scope="module")
def routes(console: RunningConsole) -> list[tuple[str, str, web.AbstractRoute]]:
    application = console.stage.broker._runner.app
    found = []
    for route in application.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.append((route.method, route.resource.canonical, route))
    return found


@pytest.fixture(scope="module")
def places(console: RunningConsole) -> dict[str, str]:
    """For each part of a path: what the clinic's results are known by."""

    def look(connection: Any) -> dict[str, str]:
        def first(column: Any) -> str:
            return str(connection.execute(select(column).order_by(column)).scalars().first())

        report = connection.execute(select(lab_report)).first()
        assert report is not None
        connection.execute(
            insert(critical_result).values(
                receipt_id=report.receipt_id,
                number=report.number,
                line=1,
                said=b"",
                clinic_code=CLINIC,
                lab_code=LAB,
                source_id=report.source_id,
                reason="flag",
                found_at=report.stored_at,
            )
        )
        now = report.stored_at
        head = ListHead(CLINIC, now.date(), now.date(), bytes(32))
        list_id = begin_list(connection, head, now)[0]
        end_list(connection, list_id, 0)
        store_overview(connection, NhiOverview(CLINIC, now.date(), now.date(), now.date(), ()), now)
        return {
            "list": str(list_id),
            "record": first(record.c.id),
            "package": first(package.c.id),
            "receipt": first(receipt.c.id),
            "visit": first(visit.c.id),
            "order": first(visit_order.c.order_code),
            "delivery": first(outgoing.c.id),
            "critical": first(critical_result.c.id),
            "clinic": CLINIC,
            "institution": CLINIC,
            "lab": LAB,
            "source": report.source_id,
        }

    _, worklist = ask(console, "GET", "/worklist", console.sign_in(Role.OPERATOR))
    groups = re.findall(r"/worklist/([0-9a-f]{8})\b", worklist)
    assert groups, "the operator must see a group to be fixed"
    _, codes = ask(console, "GET", "/api/v1/codes/unmapped", console.sign_in(Role.OPERATOR))
    waiting = json.loads(codes)["items"][0]["id"]
    return {**console.write(look), "group": groups[0], "waiting": waiting}


@pytest.fixture(scope="module")
def canaries(console: RunningConsole) -> list[str]:
    """What only those may read to whom the results belong: institutions, people, packages."""

    def look(connection: Any) -> list[str]:
        ids = connection.execute(select(visit.c.national_id).distinct()).scalars().all()
        stems = connection.execute(select(package.c.stem)).scalars()
        return [CLINIC, LAB, *ids, *map(masked_id, ids), *stems]

    return [each for each in console.write(look) if each]


def path_of(pattern: str, places: dict[str, str]) -> str:
    """What is not known is 1: a number that something of the clinic has."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: places.get(part[1], "1"), pattern)


def ask(
    console: RunningConsole, method: str, path: str, who: SignedIn | None, **asked: Any
) -> tuple[int, str]:
    """Status and body; a live view is left after its first words."""
    more = asked.pop("headers", {})

    async def go() -> tuple[int, str]:
        async with (
            ClientSession(cookie_jar=DummyCookieJar(), cookies=None) as session,
            session.request(
                method,
                console.url + path,
                headers={
                    **({} if who is None else who.headers),
                    **more,
                    "Cookie": ""
                    if who is None
                    else "; ".join(f"{name}={text}" for name, text in who.cookies.items()),
                },
                allow_redirects=False,
                **asked,
            ) as answer,
        ):
            if answer.content_type == "text/event-stream":
                text = await answer.content.readany()
            else:
                text = await answer.read()
            return answer.status, text.decode("utf-8", "backslashreplace")

    return asyncio.run(go())


def test_the_clinic_itself_sees_what_others_must_not(
    console: RunningConsole, canaries: list[str]
) -> None:
    who = console.sign_in(Role.CLINIC, (CLINIC,))
    _, text = ask(console, "GET", "/records", who)
    assert [each for each in canaries if each in text], "else the probes below prove nothing"


def test_a_patient_is_masked_until_shown_and_the_showing_is_noted(
    console: RunningConsole, places: dict[str, str]
) -> None:
    def national_id(connection: Any) -> str:
        number = record.c.id == int(places["record"])
        return str(connection.execute(select(record.c.national_id).where(number)).scalar_one())

    def shown(connection: Any) -> list[tuple[str, str]]:
        rows = connection.execute(
            select(audit_event.c.person, audit_event.c.subject).where(
                audit_event.c.kind.in_(("record", "patient")),
                audit_event.c.action == "show-patient",
            )
        )
        return [tuple(row) for row in rows]

    who, secret = console.sign_in(Role.CLINIC, (CLINIC,)), console.write(national_id)
    path = f"/records/{places['record']}"
    _, text = ask(console, "GET", path, who)
    assert secret not in text
    assert masked_id(secret) in text, "two patients of a list are told apart"
    before = console.write(shown)
    status, text = ask(console, "POST", f"{path}/patient", who)
    assert status == 200
    assert secret in text
    assert console.write(shown)[len(before) :] == [("clinic-zh-1", places["record"])]
    assert console.write(lambda c: verify_trail(c).faults) == ()


def test_every_route_says_whom_it_is_for(
    routes: list[tuple[str, str, web.AbstractRoute]],
) -> None:
    unguarded = [
        (method, path)
        for method, path, route in routes
        if guard_of(route.handler) is None and not is_open(route)
    ]
    assert unguarded == []
    anybodys = {
        (method, path) for method, path, route in routes if guard_of(route.handler) is Guard.ANYBODY
    }
    assert anybodys <= ANYBODYS, "a route for anybody that nobody decided on"
    opened = {path for _, path, route in routes if is_open(route)}
    assert {path for path in opened if not path.startswith(("/fhir", "/static/"))} <= OPEN_PATHS


def test_who_is_not_signed_in_gets_in_nowhere(
    console: RunningConsole,
    routes: list[tuple[str, str, web.AbstractRoute]],
    places: dict[str, str],
    canaries: list[str],
) -> None:
    for method, pattern, route in routes:
        if is_open(route) or (method, pattern) in ANYBODYS:
            continue
        path = path_of(pattern, places)
        status, text = ask(console, method, path, None, data={"login": "x"})
        expected = (401,) if path.startswith("/api/") else (303,)
        assert status in expected, (method, pattern, status)
        assert not [each for each in canaries if each in text], (method, pattern)


def test_nothing_that_a_stranger_sends_is_read(
    console: RunningConsole,
    routes: list[tuple[str, str, web.AbstractRoute]],
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guarded = sorted(
        {
            (method, path_of(pattern, places), is_open(route))
            for method, pattern, route in routes
            if not is_open(route) or pattern.startswith("/fhir")
            if (method, pattern) not in ANYBODYS and not pattern.endswith("/metadata")
        }
    )
    read: list[str] = []
    watch_reading(monkeypatch, read)
    asked = [
        (method, path, media, body)
        for number, (method, path, _) in enumerate(guarded)
        for media, body in bodies_for(number, bad_bodies())
    ]
    assert {path.split("/")[1] for _, path, _, _ in asked} >= {"api", "fhir", "records"}
    refused = asyncio.run(_send_all(console.url, asked))
    assert not [each for each in refused if each[2] not in (401, 403, 303)]
    assert read == []


def watch_reading(monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    """Note the path of each request whose body a handler or a guard asks for."""

    def noting(way: Callable[[web.BaseRequest], Any]) -> Callable[[web.BaseRequest], Any]:
        def noted(request: web.BaseRequest) -> Any:
            read.append(request.path)
            return way(request)

        return noted

    for name in ("read", "text", "json", "post", "multipart"):
        monkeypatch.setattr(web.BaseRequest, name, noting(getattr(web.BaseRequest, name)))

    class Watched:
        """A body whose reading shows; whether it has ended may be asked."""

        def __init__(self, request: web.BaseRequest) -> None:
            self._request = request

        def __getattr__(self, name: str) -> Any:
            if name.startswith(("read", "iter")):
                read.append(self._request.path)
            return getattr(self._request._payload, name)

    monkeypatch.setattr(web.BaseRequest, "content", property(Watched))


async def _send_all(
    url: str, asked: list[tuple[str, str, str, bytes]]
) -> list[tuple[str, str, int]]:
    """Method, path and status of each; a few at a time."""
    room = asyncio.Semaphore(16)
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:

        async def send(method: str, path: str, media: str, body: bytes) -> tuple[str, str, int]:
            headers = {"Content-Type": media}
            async with (
                room,
                session.request(
                    method, url + path, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return method, path, answer.status

        return list(await asyncio.gather(*(send(*each) for each in asked)))


def test_the_watch_would_see_a_body_that_is_read(
    console: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    watch_reading(monkeypatch, read)
    ask(console, "POST", "/sign-in", None, data={"login": "x"})
    assert "/sign-in" in read


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
def test_a_role_is_refused_at_every_route_whose_permission_it_lacks(
    console: RunningConsole,
    routes: list[tuple[str, str, web.AbstractRoute]],
    places: dict[str, str],
    role: Role,
) -> None:
    who = console.sign_in(role, () if role in EVERYWHERE else (CLINIC, LAB))
    refused = 0
    for method, pattern, route in routes:
        guard = guard_of(route.handler)
        if isinstance(guard, Permission) and guard not in permissions_of(role):
            status, _ = ask(console, method, path_of(pattern, places), who)
            assert status == 403, (method, pattern, status)
            refused += 1
    assert refused > 0 or role is Role.OPERATOR


@pytest.mark.parametrize("role", BOUND, ids=lambda role: role.value)
def test_what_belongs_to_others_is_not_there(
    console: RunningConsole,
    routes: list[tuple[str, str, web.AbstractRoute]],
    places: dict[str, str],
    canaries: list[str],
    role: Role,
) -> None:
    who = console.sign_in(role, (FOREIGN_CLINIC, FOREIGN_LAB, "another-lab"))
    seen, leaks = 0, []
    for method, pattern, route in routes:
        if method != "GET" or not isinstance(guard_of(route.handler), Permission):
            continue
        path = path_of(pattern, places)
        questions = ["", f"?q={places['record']}", f"?institution={CLINIC}&clinic={CLINIC}"]
        for question in questions:
            status, text = ask(console, method, path + question, who)
            asked_for = {each for each in (*places.values(), CLINIC) if each in question + path}
            found = [each for each in canaries if each in text and each not in asked_for]
            if found or status >= 500:
                leaks.append((path + question, status, found[:3]))
            if "{" in pattern and question == "" and status not in (403, 404):
                leaks.append((path, status, ["not hidden"]))
            seen += status == 200
    assert leaks == []
    assert seen > 0, "the probe must be able to see pages at all"


def test_the_probes_of_the_api_have_the_shape_that_it_asks_for(places: dict[str, str]) -> None:
    for each in OPERATIONS:
        if each.method == "POST" and each.takes == "application/json":
            probes = fitting(each.method, BASE + each.path, places)
            assert probes, each.name
            assert each.body is not None
            for asked in probes:
                wrong = what_is_wrong(each.body, asked["json"])
                assert not wrong or each.guard is Permission.MANAGE_PEOPLE, (each.name, wrong)


@pytest.mark.parametrize("role", BOUND, ids=lambda role: role.value)
def test_what_belongs_to_others_cannot_be_changed(
    console: RunningConsole,
    routes: list[tuple[str, str, web.AbstractRoute]],
    places: dict[str, str],
    canaries: list[str],
    role: Role,
) -> None:
    who = console.sign_in(role, (FOREIGN_CLINIC, FOREIGN_LAB, "another-lab"))
    before = console.write(what_stands)
    fields = {
        "csrf": who.csrf,
        "source": places["source"],
        "source_id": places["source"],
        "local_code": "GLUC",
        "code": "GLUC",
        "order_code": "09005C",
        "order": "09005C",
        "visit_id": places["visit"],
        "visit": places["visit"],
        "record": places["record"],
        "institution": CLINIC,
        "reason": "probe",
        "way": "dismiss",
        "value": "1",
        "again": "1",
        "accept": "1",
        "confirmed": "1",
        "receipt_number": "123456789",
    }
    reached = []
    for method, pattern, route in routes:
        guard = guard_of(route.handler)
        if method == "GET" or not isinstance(guard, Permission) or is_open(route):
            continue
        path = path_of(pattern, places)
        for body in ({"data": fields}, {"json": fields}, *fitting(method, pattern, places)):
            status, text = ask(console, method, path, who, **body)
            hidden = status >= 400 or not _OF_ONE.search(pattern)
            if status >= 500 or not hidden or [each for each in canaries if each in text]:
                reached.append((method, pattern, status))
    console.at_rest()
    assert reached == []
    assert console.write(what_stands) == before


def fitting(method: str, pattern: str, places: dict[str, str]) -> list[dict[str, Any]]:
    """For an operation of the API: a body in just its shape that names what is another's, so that
    it comes as far as the rule of whose it is."""
    for each in OPERATIONS:
        if (each.method, BASE + each.path) == (method, re.sub(r"\{(\w+)[^}]*\}", r"{\1}", pattern)):
            if each.takes != "application/json":
                return [{"data": b"?", "headers": {"Content-Type": each.takes}}]
            asked = each.body or {}
            parts = asked.get("properties", {}).items()
            if "maxProperties" in asked:
                return [{"json": {name: sample(name, part, places)}} for name, part in parts]
            return [{"json": {name: sample(name, part, places) for name, part in parts}}]
    return []


def sample(name: str, schema: Any, places: dict[str, str]) -> Any:
    """A value of that shape; of a known name, what is another's."""
    known = {
        "source": places["source"],
        "clinic_code": CLINIC,
        "institution_code": CLINIC,
        "order_code": places["order"],
        "code": "GLUC",
        "national_id": "A199000017",
        **dict.fromkeys(("birth_on", "visit_on"), "2000-01-02"),
        **dict.fromkeys(("collected_at", "reported_at", "received_at"), "2026-03-01T09:00"),
        "receipt_number": "1151120000017",
        "uploaded_at": "2026-03-01T09:00",
    }
    if name in known:
        return known[name]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"]
    if kind == "array":
        return [sample("", schema["items"], places)]
    if kind == "object":
        inner = schema.get("properties", {"h7": {"type": "string"}})
        return {each: sample(each, part, places) for each, part in inner.items()}
    return {"integer": int(places["visit"]), "boolean": True}.get(kind, "probe")


def what_stands(connection: Any) -> dict[str, Any]:
    """What a probe could have changed."""
    tables = (record, receipt, package, code_decision, person, visit)
    counts = {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar()
        for table in tables
    }
    states = connection.execute(select(record.c.id, record.c.state, record.c.held_reason))
    read = connection.execute(select(outgoing.c.id, outgoing.c.state))
    confirmed = connection.execute(select(critical_result.c.id, critical_result.c.confirmed_by))
    return {
        "read": sorted(map(tuple, read)),
        "confirmed": sorted(map(tuple, confirmed)),
        **counts,
        "states": sorted(map(tuple, states)),
    }
