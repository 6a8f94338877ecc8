"""One's own account: another password, another telephone, signing out everywhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web
from sqlalchemy import Connection

from broker.access.passwords import LONGEST, hash_password, is_password
from broker.store.credentials import Credentials, credentials_of, keep_password
from broker.store.sessions import Stage, close_sessions_of, still_open
from broker.store.sign_in_failures import begin_attempt, forgive_attempt
from broker.web.entrance import access_of, address_of, give_cookie, take_cookie
from broker.web.identity import signed_in
from broker.web.session import session_of
from broker.web.sign_in import enter_as, note_of_person, paused, sign_in_routes
from broker.web.sign_in_pages import page
from broker.web.sign_in_steps import (
    enrolment_page,
    new_password,
    sign_in_step_routes,
    take_enrolment,
)

_PAGE = "account.html"


def access_routes() -> list[web.RouteDef]:
    """Signing in and out, and ``/account`` with what is done there."""
    return [
        *sign_in_routes(),
        *sign_in_step_routes(),
        web.get("/account", show_account),
        web.post("/account/password", change_password),
        web.post("/account/second-factor", renew_second_factor),
        web.post("/account/second-factor/code", confirm_second_factor),
        web.post("/account/sign-out-everywhere", sign_out_everywhere),
    ]


@signed_in
async def show_account(request: web.Request) -> web.Response:
    """Who one is, and what can be changed."""
    return page(request, _PAGE, person=session_of(request).person)


@signed_in
async def change_password(request: web.Request) -> web.Response:
    """Needs the present one; every other session of the person ends."""
    session, form = session_of(request), await request.post()
    password, problem = new_password(session, form.get("password"), form.get("again"))
    refused = await _unless_present(request, form.get("present"))
    if refused is not None:
        return refused
    if problem:
        return page(request, _PAGE, status=422, message=problem, person=session.person)
    access, person = access_of(request), session.person
    async with access.hashing:
        kept = await asyncio.to_thread(hash_password, password)

    def keep(connection: Connection) -> str | None:
        if not still_open(connection, session):
            return None
        keep_password(connection, person.person_id, kept)
        close_sessions_of(connection, person.person_id)
        now, address = access.clock(), address_of(request)
        note_of_person(connection, person.login, "change-password", now, address)
        return enter_as(request, connection, person.person_id, person.login, Stage.FULL)

    answer_token = await access.write(keep)
    if answer_token is None:
        raise web.HTTPSeeOther("/sign-in")
    answer = page(request, _PAGE, message="password-changed", person=person)
    give_cookie(request, answer, answer_token)
    return answer


@signed_in
async def renew_second_factor(request: web.Request) -> web.Response:
    """Needs the present password; what was in force ends when the new app's code was right."""
    session, form = session_of(request), await request.post()
    refused = await _unless_present(request, form.get("present"))
    if refused is not None:
        return refused
    return await enrolment_page(request, session, after="/account")


@signed_in
async def confirm_second_factor(request: web.Request) -> web.Response:
    """The code of the new app."""
    form = await request.post()
    return await take_enrolment(request, session_of(request), str(form.get("code", "")), "/account")


@signed_in
async def sign_out_everywhere(request: web.Request) -> web.Response:
    """End every session of the person, this one too."""
    session, access = session_of(request), access_of(request)

    def leave(connection: Connection) -> None:
        close_sessions_of(connection, session.person.person_id)
        note_of_person(
            connection,
            session.person.login,
            "sign-out-everywhere",
            access.clock(),
            address_of(request),
        )

    await access.write(leave)
    answer = web.Response(status=303, headers={"Location": "/sign-in"})
    take_cookie(request, answer)
    return answer


async def _unless_present(request: web.Request, typed: object) -> web.Response | None:
    """The answer where the present password was not given; None where it was."""
    session, access = session_of(request), access_of(request)
    login, now, address = session.person.login, access.clock(), address_of(request)
    wait: timedelta = await access.write(lambda c: begin_attempt(c, login, address, now))
    if wait:
        return paused(request, _PAGE, wait, "/account", person=session.person)
    password = typed[: LONGEST * 2] if isinstance(typed, str) else ""

    def judge() -> Credentials | None:
        with access.reader.connect() as connection:
            known = credentials_of(connection, login, now)
        right = is_password(known.password_hash if known is not None else "", password)
        return known if right else None

    async with access.hashing:
        known = await asyncio.to_thread(judge)
    if known is None:
        return page(request, _PAGE, status=401, message="wrong", person=session.person)
    await access.write(lambda c: forgive_attempt(c, login, address, now))
    return None
