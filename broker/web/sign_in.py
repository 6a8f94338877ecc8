"""Signing in with a password or the first code, and out.

An attempt costs the same time whether the account exists or not, and is answered alike.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from urllib.parse import quote

from aiohttp import web
from sqlalchemy import Connection

from broker.access.passwords import LONGEST, is_password
from broker.store.audit import note
from broker.store.credentials import Credentials, credentials_of, still_hold
from broker.store.sessions import Stage, close_session, open_session
from broker.store.sign_in_failures import begin_attempt, forgive_attempt
from broker.web.entrance import (
    access_of,
    address_of,
    give_cookie,
    is_at_this_machine,
    is_encrypted,
    take_cookie,
)
from broker.web.identity import for_anybody, signed_in
from broker.web.session import SESSION, session_of
from broker.web.sign_in_pages import after_of, page

_STEPS = {
    Stage.PASSWORD: "/sign-in/password",
    Stage.SECOND: "/sign-in/second",
    Stage.ENROL: "/sign-in/enrol",
}


def sign_in_routes() -> list[web.RouteDef]:
    """``/sign-in`` and ``/sign-out``."""
    return [
        web.get("/sign-in", show_sign_in),
        web.post("/sign-in", sign_in),
        web.post("/sign-out", sign_out),
    ]


@for_anybody
async def show_sign_in(request: web.Request) -> web.Response:
    """The form, or why it is not shown: a password must not cross a network in the clear."""
    after = after_of(request.query.get("next"))
    if not may_send_secrets(request):
        return page(request, "sign_in.html", status=403, message="not-encrypted", after=after)
    return page(request, "sign_in.html", after=after)


@for_anybody
async def sign_in(request: web.Request) -> web.StreamResponse:
    """Judge login and password; on to what is still missing, or in."""
    if not may_send_secrets(request):
        return page(request, "sign_in.html", status=403, message="not-encrypted")
    form = await request.post()
    after = after_of(form.get("next"))
    login, password = form.get("login", ""), form.get("password", "")
    if not isinstance(login, str) or not isinstance(password, str):
        raise web.HTTPBadRequest
    login, password = login.strip().lower()[:64], password[: LONGEST * 2]
    access, address = access_of(request), address_of(request)
    now = access.clock()
    wait: timedelta = await access.write(lambda c: begin_attempt(c, login, address, now))
    if wait:
        return paused(request, "sign_in.html", wait, after)
    known = await _judge(request, login, password, now)
    stage = Stage.FULL if known is None else _stage_after(request, known, password)

    def enter(connection: Connection) -> str | None:
        if known is None or not still_hold(connection, known, now):
            _note_refusal(connection, login, address, now)
            return None
        forgive_attempt(connection, login, address, now, whole=stage is not Stage.SECOND)
        return enter_as(request, connection, known.person_id, known.login, stage)

    token = await access.write(enter)
    if token is None:
        return page(request, "sign_in.html", status=401, message="wrong", after=after)
    return proceed(request, token, stage, after)


@signed_in
async def sign_out(request: web.Request) -> web.Response:
    """End this session, in the store and in the browser."""
    session, access = session_of(request), access_of(request)
    now = access.clock()

    def leave(connection: Connection) -> None:
        close_session(connection, session.digest)
        note_of_person(connection, session.person.login, "sign-out", now, address_of(request))

    await access.write(leave)
    answer = web.Response(status=303, headers={"Location": "/sign-in"})
    take_cookie(request, answer)
    return answer


def may_send_secrets(request: web.Request) -> bool:
    """Over TLS, or on this machine, where nobody can listen in between."""
    return is_encrypted(request) or is_at_this_machine(request)


def needs_second_factor(request: web.Request) -> bool:
    """Whether nobody may come in from there without one."""
    return access_of(request).settings.second_factor_always or not is_at_this_machine(request)


def enter_as(
    request: web.Request, connection: Connection, person_id: int, login: str, stage: Stage
) -> str:
    """End the session that asked, open one of ``stage``: no token outlives a step."""
    access, old = access_of(request), request.get(SESSION)
    now = access.clock()
    if old is not None:
        close_session(connection, old.digest)
    if stage is Stage.FULL:
        note_of_person(connection, login, "sign-in", now, address_of(request))
    return open_session(connection, person_id, stage, now, address_of(request), access.limits)


def proceed(request: web.Request, token: str, stage: Stage, after: str) -> web.Response:
    """On to the page of the next step, or to where the person wanted to go."""
    place = f"{_STEPS[stage]}?next={quote(after, safe='')}" if stage in _STEPS else after
    answer = web.Response(status=303, headers={"Location": place})
    give_cookie(request, answer, token)
    return answer


def paused(
    request: web.Request, template: str, wait: timedelta, after: str, **values: object
) -> web.Response:
    """Too many attempts failed: say how long nothing is taken."""
    seconds = int(wait.total_seconds()) + 1
    answer = page(
        request, template, status=429, message="paused", wait=seconds, after=after, **values
    )
    answer.headers["Retry-After"] = str(seconds)
    return answer


def note_of_person(
    connection: Connection, login: str, action: str, now: datetime, address: str
) -> None:
    """An event of someone's own account."""
    note(
        connection,
        person=login,
        action=action,
        kind="person",
        subject=login,
        institution="",
        at=now,
        detail={"address": address},
    )


async def _judge(
    request: web.Request, login: str, password: str, now: datetime
) -> Credentials | None:
    access = access_of(request)

    def judge() -> Credentials | None:
        with access.reader.connect() as connection:
            known = credentials_of(connection, login, now)
        # Both are judged whoever it is, so that the time tells nothing.
        right = is_password(known.password_hash if known is not None else "", password)
        if known is not None and (right or known.is_one_time_code(password)):
            return known
        return None

    async with access.hashing:
        return await asyncio.to_thread(judge)


def _stage_after(request: web.Request, known: Credentials, typed: str) -> Stage:
    if known.is_one_time_code(typed):
        return Stage.PASSWORD
    if known.second_factor:
        return Stage.SECOND
    return Stage.ENROL if needs_second_factor(request) else Stage.FULL


def _note_refusal(connection: Connection, login: str, address: str, now: datetime) -> None:
    """What was typed is not kept unless it is a login of ours: it may be a password."""
    known = credentials_of(connection, login, now)
    note_of_person(connection, known.login if known else "", "sign-in-refused", now, address)
