"""A console of one person who signs in, and a browser that keeps its cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import select

from broker.access.roles import Role
from broker.access.totp import code_at, step_at
from broker.config.access_section import AccessSettings
from broker.store.access_tables import audit_event, person
from broker.store.engine import open_writer
from broker.store.people import NewPerson, add_person
from broker.web.account import access_routes
from broker.web.entrance import Access
from broker.web.identity import person_of, signed_in
from broker.web.session import install_access

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PASSWORD = "tall pine near the gate"
LOGIN = "lab-1"


class Browser:
    """Keeps cookies and the csrf field of the page that it is at; ``away`` comes through a proxy
    that speaks TLS."""

    def __init__(self, stage: Stage, address: str = "") -> None:
        self.stage = stage
        self.address = address
        self.cookies: dict[str, str] = {}
        self.csrf = ""
        self.text = ""
        self.status = 0
        self.location = ""
        self.set_cookie = ""

    async def get(self, path: str) -> Browser:
        return await self._ask("GET", path)

    async def post(self, path: str, **fields: str) -> Browser:
        return await self._ask("POST", path, {"csrf": self.csrf, **fields})

    async def follow(self) -> Browser:
        assert self.status == 303, self.text
        return await self.get(self.location)

    async def sign_in(self, login: str, password: str, after: str = "/") -> Browser:
        await self.get("/sign-in")
        return await self.post("/sign-in", login=login, password=password, next=after)

    async def _ask(self, method: str, path: str, data: Any = None) -> Browser:
        headers = {"Cookie": "; ".join(f"{name}={each}" for name, each in self.cookies.items())}
        if self.address:
            headers["x-forwarded-for"] = self.address
        async with self.stage.client.request(
            method, path, data=data, headers=headers, allow_redirects=False
        ) as answer:
            self.status, self.text = answer.status, await answer.text()
            self.location = answer.headers.get("Location", "")
            self.set_cookie = answer.headers.get("Set-Cookie", "")
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
        if found := re.search(r'name="csrf" value="([^"]*)"', self.text):
            self.csrf = found[1]
        return self


class Stage:
    def __init__(self, folder: Path, settings: AccessSettings) -> None:
        self.engine = open_writer(folder)
        self.now = NOW
        self.passwords_chosen = 0
        application = web.Application()
        access = Access(
            self.engine, self._write, lambda: self.now, settings, on_password=self._chosen
        )
        install_access(application, access)
        application.add_routes([*access_routes(), web.get("/", self.first_page)])
        self.client = TestClient(TestServer(application), cookie_jar=DummyCookieJar())

    async def _write(self, work: Any) -> Any:
        with self.engine.begin() as connection:
            return work(connection)

    def _chosen(self) -> None:
        self.passwords_chosen += 1

    @signed_in
    async def first_page(self, request: web.Request) -> web.Response:
        return web.Response(text=f"hello {person_of(request).login}")

    def add(self, login: str = LOGIN, role: Role = Role.LAB) -> str:
        with self.engine.begin() as connection:
            new = NewPerson(login, "王小明", role, frozenset({"JYVQ000000"}))
            return add_person(connection, new, self.now, by="test")

    def do(self, work: Any, *arguments: Any) -> Any:
        with self.engine.begin() as connection:
            return work(connection, *arguments)

    def audit(self) -> list[str]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(audit_event).order_by(audit_event.c.number))
            return [f"{row.person} {row.action} {row.subject}".strip() for row in rows]

    def code(self, drift: int = 0) -> str:
        with self.engine.connect() as connection:
            row = connection.execute(select(person).where(person.c.login == LOGIN)).one()
        secret = row.totp_proposed or row.totp_secret
        return code_at(secret, step_at(self.now) + drift)

    async def with_password(self) -> Browser:
        """A browser at this machine that has come in with the first code."""
        browser = Browser(self)
        await browser.sign_in(LOGIN, self.add())
        await browser.follow()
        await browser.post("/sign-in/password", password=PASSWORD, again=PASSWORD)
        return browser


async def staged(folder: Path, settings: AccessSettings) -> AsyncIterator[Stage]:
    stage = Stage(folder, settings)
    await stage.client.start_server()
    yield stage
    await stage.client.close()
    stage.engine.dispose()
