"""Nothing of a request is read before it is known who asks and that they may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Connection, select

from broker.access.roles import Permission, Role
from broker.store.access_tables import web_session
from broker.store.engine import open_writer
from broker.web.csrf import token_for
from broker.web.entrance import Access
from broker.web.identity import csrf_token, for_anybody, person_of, requires, signed_in
from broker.web.session import install_access
from broker.web.sign_in import sign_in_routes
from tests.access.web_people import SignedIn, sign_in_as

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Stage:
    """A small application behind the guard, and the store that it asks."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_writer(folder)
        self.now = NOW
        self.bodies_read = 0
        application = web.Application()
        install_access(application, Access(self.engine, self._write, lambda: self.now))
        application.add_routes(
            [
                *sign_in_routes(),
                web.get("/records", self.records),
                web.post("/records", self.fix),
                web.post("/api/v1/records", self.fix),
                web.get("/api/v1/records", self.records),
                web.get("/own", self.own),
                web.get("/open", self.open),
                web.get("/forgotten", self.forgotten),
                web.get("/healthz", self.forgotten),
            ]
        )
        self.client = TestClient(TestServer(application), cookie_jar=DummyCookieJar())

    async def _write(self, work: Any) -> Any:
        with self.engine.begin() as connection:
            return work(connection)

    def connection(self) -> Any:
        return self.engine.begin()

    @requires(Permission.SEE_WORK)
    async def records(self, request: web.Request) -> web.Response:
        return web.Response(text=person_of(request).login + " " + csrf_token(request))

    @requires(Permission.FIX_RECORD)
    async def fix(self, request: web.Request) -> web.Response:
        await request.read()
        self.bodies_read += 1
        return web.Response(text="fixed")

    @signed_in
    async def own(self, request: web.Request) -> web.Response:
        return web.Response(text="own")

    @for_anybody
    async def open(self, request: web.Request) -> web.Response:
        return web.Response(text="open")

    async def forgotten(self, request: web.Request) -> web.Response:
        return web.Response(text="seen")

    async def get(self, path: str, who: SignedIn | None = None) -> ClientResponse:
        return await self.client.get(
            path, cookies=who.cookies if who else None, allow_redirects=False
        )

    async def post(self, path: str, who: SignedIn, **asked: Any) -> ClientResponse:
        return await self.client.post(path, cookies=who.cookies, allow_redirects=False, **asked)

    def sign_in(self, role: Role, *institutions: str) -> SignedIn:
        with self.engine.begin() as connection:
            return sign_in_as(connection, role, institutions, now=self.now)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.client.start_server()
    yield stage
    await stage.client.close()
    stage.engine.dispose()


async def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(stage: Stage) -> None:
    answer = await stage.get("/records?cause=unmapped")
    assert answer.status == 303
    assert answer.headers["Location"] == "/sign-in?next=/records?cause%3Dunmapped"


async def test_a_program_that_is_not_signed_in_gets_a_problem(stage: Stage) -> None:
    answer = await stage.get("/api/v1/records")
    assert answer.status == 401
    assert answer.content_type == "application/problem+json"
    assert (await answer.json(content_type=None))["code"] == "not-signed-in"


async def test_a_handler_that_names_no_guard_is_refused_to_everybody(stage: Stage) -> None:
    assert (await stage.get("/forgotten")).status == 403
    assert (await stage.get("/forgotten", stage.sign_in(Role.OPERATOR))).status == 403


async def test_health_and_what_is_for_anybody_need_no_session(stage: Stage) -> None:
    assert (await stage.get("/healthz")).status == 200
    assert (await stage.get("/open")).status == 200
    assert (await stage.get("/no-such-page")).status == 404


async def test_who_has_the_permission_comes_in_and_who_has_not_gets_403(stage: Stage) -> None:
    auditor = stage.sign_in(Role.AUDITOR)
    assert (await stage.get("/records", auditor)).status == 200
    assert (await stage.get("/own", auditor)).status == 200
    assert (await stage.post("/records", auditor, headers=auditor.headers)).status == 403
    assert stage.bodies_read == 0


@pytest.mark.parametrize("path", ["/records", "/api/v1/records"])
async def test_a_post_without_the_token_of_the_session_changes_nothing(
    stage: Stage, path: str
) -> None:
    lab = stage.sign_in(Role.LAB, "JYVQ000000")
    assert (await stage.post(path, lab)).status == 403
    assert (await stage.post(path, lab, data={"csrf": token_for("another")})).status == 403
    assert stage.bodies_read == 0
    assert (await stage.post(path, lab, data={"csrf": lab.csrf})).status == 200
    assert (await stage.post(path, lab, headers=lab.headers)).status == 200


@pytest.mark.parametrize(
    "told",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=["cross-site", "same-site", "origin", "null-origin"],
)
async def test_a_post_that_another_site_made_is_refused_even_with_the_token(
    stage: Stage, told: dict[str, str]
) -> None:
    lab = stage.sign_in(Role.LAB)
    assert (await stage.post("/records", lab, headers={**lab.headers, **told})).status == 403
    assert stage.bodies_read == 0


async def test_a_session_ends_when_it_is_idle_and_when_it_is_old(stage: Stage) -> None:
    lab = stage.sign_in(Role.LAB)
    stage.now = NOW + timedelta(minutes=59)
    assert (await stage.get("/records", lab)).status == 200
    stage.now = NOW + timedelta(minutes=118)
    assert (await stage.get("/records", lab)).status == 200, "use keeps it alive"
    stage.now = NOW + timedelta(minutes=179)
    assert (await stage.get("/records", lab)).status == 303, "idle for over an hour"

    lab = stage.sign_in(Role.LAB)
    began = stage.now
    for quarter in range(1, 48):
        stage.now = began + timedelta(minutes=15 * quarter)
        assert (await stage.get("/records", lab)).status == 200
    stage.now = began + timedelta(hours=12)
    assert (await stage.get("/records", lab)).status == 303, "twelve hours are the most"


async def test_sessions_that_are_over_do_not_stay_in_the_store(stage: Stage) -> None:
    stage.sign_in(Role.LAB)
    stage.now = NOW + timedelta(days=1)
    stage.sign_in(Role.CLINIC)
    with stage.connection() as connection:
        assert len(connection.execute(select(web_session)).all()) == 1


async def test_signing_out_ends_the_session_in_the_store(stage: Stage) -> None:
    lab = stage.sign_in(Role.LAB)
    answer = await stage.post("/sign-out", lab, headers=lab.headers)
    assert answer.status == 303
    assert (await stage.get("/records", lab)).status == 303


async def test_every_answer_carries_the_headers_that_bind_the_browser(stage: Stage) -> None:
    for path in ("/open", "/records", "/no-such-page", "/healthz"):
        headers = (await stage.get(path)).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers
        assert "Strict-Transport-Security" not in headers, "only with TLS"


def test_the_token_of_a_session_is_not_kept(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    with engine.begin() as connection:
        who = sign_in_as(connection, Role.CLINIC, ["3501200000"])
        stored = _everything(connection)
    engine.dispose()
    assert who.cookies["labbroker"].encode() not in stored


def _everything(connection: Connection) -> bytes:
    rows = connection.exec_driver_sql("SELECT * FROM web_session").all()
    return b" ".join(
        each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row
    )
