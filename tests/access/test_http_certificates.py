"""With TLS at the HTTP door a machine is known by its certificate, and a browser is told to stay
with TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from broker.access.roles import Permission, Role
from broker.bootstrap.service import Broker
from broker.config import load_settings
from broker.store.engine import open_writer
from broker.store.people import NewPerson, add_person
from broker.store.tokens import add_token
from broker.web.account import access_routes
from broker.web.entrance import Access
from broker.web.identity import person_of, requires
from broker.web.session import install_access
from tests.access.test_guard import NOW
from tests.integration.test_mllp_client import certificate


def contexts(pem: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Ours, which asks for a certificate, and theirs, which shows one."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pem))
    ours.load_cert_chain(pem)
    ours.verify_mode = ssl.CERT_OPTIONAL
    theirs = ssl.create_default_context(cafile=str(pem))
    theirs.check_hostname = False  # the certificate names no address
    theirs.load_cert_chain(pem)
    return ours, theirs


@asynccontextmanager
async def door(folder: Path, pem: Path) -> AsyncIterator[tuple[str, Any]]:
    engine = open_writer(folder)

    async def write(work: Any) -> Any:
        with engine.begin() as connection:
            return work(connection)

    @requires(Permission.SEE_WORK)
    async def records(request: web.Request) -> web.Response:
        return web.Response(text=person_of(request).login)

    application = web.Application()
    install_access(application, Access(engine, write, lambda: NOW))
    application.add_routes(
        [
            *access_routes(),
            web.get("/api/v1/records", records),
            web.post("/api/v1/records", records),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=contexts(pem)[0])
    await site.start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", engine
    finally:
        await runner.cleanup()
        engine.dispose()


async def test_a_certificate_opens_the_api_once_it_is_listed(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    der = x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)
    async with (
        door(tmp_path / "store", pem) as (url, engine),
        ClientSession(connector=TCPConnector(ssl=contexts(pem)[1])) as session,
    ):
        async with session.get(f"{url}/api/v1/records") as answer:
            assert answer.status == 401, "a certificate that nobody listed is nobody"
        with engine.begin() as connection:
            new = NewPerson("his-1", "", Role.CLINIC, frozenset({"3501200000"}))
            add_person(connection, new, NOW, by="test")
            scopes = [Permission.SEE_WORK.value]
            add_token(connection, "his-1", "HIS", scopes, NOW, "test", certificate=der)
        async with session.get(f"{url}/api/v1/records") as answer:
            assert (answer.status, await answer.text()) == (200, "his-1")
        async with session.post(f"{url}/api/v1/records") as answer:
            assert answer.status == 200
        # A browser shows its certificate to whatever page asks it to.
        for told in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            async with session.post(f"{url}/api/v1/records", headers=told) as answer:
                assert answer.status == 403
        # The certificate itself is public: as a token it opens nothing.
        headers = {"Authorization": f"Bearer {der.hex()}"}
        async with session.get(f"{url}/api/v1/records", headers=headers) as answer:
            assert answer.status == 401


async def test_with_tls_the_cookie_is_bound_and_browsers_are_told_to_stay(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    async with (
        door(tmp_path / "store", pem) as (url, engine),
        ClientSession(
            connector=TCPConnector(ssl=contexts(pem)[1]), cookie_jar=DummyCookieJar()
        ) as session,
    ):
        with engine.begin() as connection:
            code = add_person(connection, NewPerson("boss", "", Role.OPERATOR), NOW, by="test")
        form = {"login": "boss", "password": code}
        async with session.post(f"{url}/sign-in", data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            given = answer.headers["Set-Cookie"]
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert given.startswith("__Host-labbroker=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {*given.split("; ")}


async def test_the_fhir_door_knows_a_source_by_its_certificate(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    shown = x509.load_pem_x509_certificate(pem.read_bytes()).fingerprint(hashes.SHA256()).hex()
    config = tmp_path / "labbroker.toml"
    tls = f'tls_certificate = "{pem}"\ntls_key = "{pem}"\ntls_client_ca = "{pem}"\n'
    config.write_text(
        f'data_dir = "store"\n[mllp]\nenabled = false\n[http]\nport = 0\n{tls}'
        f'[[source]]\nid = "lab"\ncertificate_sha256 = ["{shown}"]\n[[source]]\nid = "other"\n',
        "utf-8",
    )
    broker = Broker(load_settings(config, {}))
    await broker.start()
    try:
        async with ClientSession(connector=TCPConnector(ssl=contexts(pem)[1])) as session:
            url = f"https://127.0.0.1:{broker.http_port}/fhir"
            async with session.post(url, data=b"{}") as answer:
                assert answer.status not in (401, 403), await answer.text()
            headers = {"Authorization": "Bearer wrong"}
            async with session.post(url, data=b"{}", headers=headers) as answer:
                assert answer.status == 401, "who shows a wrong token is not let in otherwise"
    finally:
        await broker.stop()
