"""Machines come in with a token or a certificate, for what it was made for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from broker.access.errors import ScopeUnknown, TokenUnknown
from broker.access.roles import Permission, Role
from broker.store.engine import open_writer
from broker.store.people import NewPerson, add_person, change_person, disable_person
from broker.store.tokens import (
    add_token,
    digest_of_certificate,
    find_token,
    revoke_token,
    tokens,
)
from tests.access.test_guard import NOW, Stage

CLINIC = "3501200000"
READ = [Permission.SEE_WORK.value]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.client.start_server()
    yield stage
    await stage.client.close()
    stage.engine.dispose()


def machine(connection: Connection, login: str = "his-1") -> str:
    new = NewPerson(login, "診所系統", Role.CLINIC, frozenset({CLINIC}))
    add_person(connection, new, NOW, by="test")
    return login


async def ask(stage: Stage, path: str, token: str, method: str = "GET") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with stage.client.request(method, path, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def test_a_token_opens_the_api_for_its_scopes_and_no_page(stage: Stage) -> None:
    with stage.connection() as connection:
        token = add_token(connection, machine(connection), "HIS", READ, NOW, "test")
    assert token.startswith("lbk_")
    assert await ask(stage, "/api/v1/records", token) == 200
    assert await ask(stage, "/api/v1/records", token, "POST") == 403, "no such scope"
    assert stage.bodies_read == 0
    assert await ask(stage, "/records", token) == 303, "pages are for people"
    for wrong in ("", "lbk_", token[:-1], token + "x", "\u738b"):
        assert await ask(stage, "/api/v1/records", wrong) == 401


async def test_a_token_needs_no_csrf_token(stage: Stage) -> None:
    with stage.connection() as connection:
        scopes = [Permission.FIX_RECORD.value]
        token = add_token(connection, machine(connection), "HIS", scopes, NOW, "test")
    assert await ask(stage, "/api/v1/records", token, "POST") == 200


async def test_a_token_ends_by_its_date_by_revocation_and_with_its_account(stage: Stage) -> None:
    with stage.connection() as connection:
        login = machine(connection)
        until = NOW + timedelta(days=30)
        dated = add_token(connection, login, "a", READ, NOW, "test", until=until)
        revoked = add_token(connection, login, "b", READ, NOW, "test")
        kept = add_token(connection, login, "c", READ, NOW, "test")
        (number,) = (each.token_id for each in tokens(connection) if each.name == "b")
        revoke_token(connection, number, NOW, "test")
    assert await ask(stage, "/api/v1/records", dated) == 200
    stage.now = until
    assert await ask(stage, "/api/v1/records", dated) == 401
    assert await ask(stage, "/api/v1/records", revoked) == 401
    assert await ask(stage, "/api/v1/records", kept) == 200
    with stage.connection() as connection:
        disable_person(connection, login, NOW, "test")
    assert await ask(stage, "/api/v1/records", kept) == 401


async def test_a_token_never_may_more_than_its_account(stage: Stage) -> None:
    with stage.connection() as connection:
        login = machine(connection)
        with pytest.raises(ScopeUnknown):
            add_token(connection, login, "x", [Permission.OPERATE.value], NOW, "test")
        token = add_token(connection, login, "x", ["fix-record"], NOW, "test")
        change_person(connection, login, NOW, "test", role=Role.COACH)
        with pytest.raises(TokenUnknown):
            revoke_token(connection, 99, NOW, "test")
    assert await ask(stage, "/api/v1/records", token, "POST") == 403


def test_a_certificate_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    certificate = b"\x30\x82 some DER bytes"
    with engine.begin() as connection:
        login = machine(connection)
        made = add_token(connection, login, "c", READ, NOW, "test", certificate=certificate)
        assert made == ""
        found = find_token(connection, digest_of_certificate(certificate), NOW)
        assert found is not None
        assert found.person.login == login
        assert found.person.institutions == {CLINIC}
        assert find_token(connection, digest_of_certificate(certificate + b"x"), NOW) is None
    engine.dispose()


def test_the_store_holds_no_token(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    with engine.begin() as connection:
        token = add_token(connection, machine(connection), "HIS", READ, NOW, "test")
    engine.dispose()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("labbroker.sqlite*"))
    assert b"his-1" in kept
    assert token.encode() not in kept
