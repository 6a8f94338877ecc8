"""What may follow the password: choosing one, the second factor, setting it up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web
from sqlalchemy import Connection

from broker.access.codes import new_recovery_codes
from broker.access.passwords import hash_password, weakness
from broker.access.totp import matching_step, new_secret, otpauth_uri, qr_svg
from broker.store.credentials import (
    begin_second_factor,
    credentials_of,
    keep_password,
    propose_second_factor,
    take_recovery_code,
    take_step,
)
from broker.store.sessions import Session, Stage, close_sessions_of, still_open
from broker.store.sign_in_failures import begin_attempt, forgive_attempt
from broker.web.entrance import access_of, address_of, give_cookie
from broker.web.identity import for_anybody
from broker.web.session import SESSION
from broker.web.sign_in import (
    enter_as,
    needs_second_factor,
    note_of_person,
    paused,
    proceed,
)
from broker.web.sign_in_pages import after_of, page


def sign_in_step_routes() -> list[web.RouteDef]:
    """The pages between the password and the first page."""
    return [
        web.get("/sign-in/password", show_password),
        web.post("/sign-in/password", choose_password),
        web.get("/sign-in/second", show_second),
        web.post("/sign-in/second", give_second),
        web.get("/sign-in/enrol", show_enrolment),
        web.post("/sign-in/enrol", enrol),
    ]


@for_anybody
async def show_password(request: web.Request) -> web.Response:
    """The form for the first password."""
    _pending(request, Stage.PASSWORD)
    return page(request, "password.html", after=after_of(request.query.get("next")))


@for_anybody
async def choose_password(request: web.Request) -> web.Response:
    """Keep it, and end whatever else was signed in as this person."""
    session = _pending(request, Stage.PASSWORD)
    form = await request.post()
    after = after_of(form.get("next"))
    password, problem = new_password(session, form.get("password"), form.get("again"))
    if problem:
        return page(request, "password.html", status=422, message=problem, after=after)
    access = access_of(request)
    stage = Stage.ENROL if needs_second_factor(request) else Stage.FULL
    async with access.hashing:
        kept = await asyncio.to_thread(hash_password, password)

    def keep(connection: Connection) -> str | None:
        person = session.person
        if not still_open(connection, session):
            return None
        keep_password(connection, person.person_id, kept)
        close_sessions_of(connection, person.person_id)
        note_of_person(
            connection, person.login, "choose-password", access.clock(), address_of(request)
        )
        return enter_as(request, connection, person.person_id, person.login, stage)

    token = await access.write(keep)
    if token is None:
        raise web.HTTPSeeOther("/sign-in")
    access.on_password()
    return proceed(request, token, stage, after)


@for_anybody
async def show_second(request: web.Request) -> web.Response:
    """The form for the app's code."""
    _pending(request, Stage.SECOND)
    return page(request, "second.html", after=after_of(request.query.get("next")))


@for_anybody
async def give_second(request: web.Request) -> web.Response:
    """Judge the app's code, or one of the recovery codes; each opens once."""
    session = _pending(request, Stage.SECOND)
    form = await request.post()
    after, typed = after_of(form.get("next")), str(form.get("code", ""))[:64]
    access, person = access_of(request), session.person
    now, address = access.clock(), address_of(request)
    wait: timedelta = await access.write(lambda c: begin_attempt(c, person.login, address, now))
    if wait:
        return paused(request, "second.html", wait, after)

    def judge(connection: Connection) -> str | None:
        known = credentials_of(connection, person.login, now)
        if known is None or not known.second_factor or not still_open(connection, session):
            return None
        step = matching_step(known.totp_secret, typed, now, known.totp_step)
        if step is not None and take_step(connection, known.person_id, step):
            pass
        elif take_recovery_code(connection, known.person_id, typed):
            note_of_person(connection, known.login, "use-recovery-code", now, address)
        else:
            note_of_person(connection, known.login, "sign-in-refused", now, address)
            return None
        forgive_attempt(connection, person.login, address, now)
        return enter_as(request, connection, known.person_id, known.login, Stage.FULL)

    token = await access.write(judge)
    if token is None:
        return page(request, "second.html", status=401, message="wrong-code", after=after)
    return proceed(request, token, Stage.FULL, after)


@for_anybody
async def show_enrolment(request: web.Request) -> web.Response:
    """The secret as a picture and as text, for the app."""
    session = _pending(request, Stage.ENROL)
    return await enrolment_page(request, session, after=after_of(request.query.get("next")))


@for_anybody
async def enrol(request: web.Request) -> web.Response:
    """The app showed the right code: the second factor is in force, and the person is in."""
    session = _pending(request, Stage.ENROL)
    form = await request.post()
    return await take_enrolment(
        request, session, str(form.get("code", "")), after_of(form.get("next"))
    )


async def enrolment_page(
    request: web.Request, session: Session, *, after: str, message: str = "", status: int = 200
) -> web.Response:
    """For the step here, and for someone's own account."""
    access, new = access_of(request), new_secret()

    def propose(connection: Connection) -> str | None:
        # A secret that was shown before a reset must not become the one that is shown after it.
        if not still_open(connection, session):
            return None
        return propose_second_factor(connection, session.person.person_id, new)

    secret = await access.write(propose)
    if secret is None:
        raise web.HTTPSeeOther("/sign-in")
    return page(
        request,
        "enrol.html",
        status=status,
        message=message,
        after=after,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        svg=qr_svg(otpauth_uri(secret, session.person.login)),
    )


async def take_enrolment(
    request: web.Request, session: Session, typed: str, after: str
) -> web.Response:
    """Show the recovery codes once, or the form again."""
    access, person = access_of(request), session.person
    now, codes = access.clock(), new_recovery_codes()

    def begin(connection: Connection) -> str | None:
        known = credentials_of(connection, person.login, now)
        if known is None or not known.totp_proposed or not still_open(connection, session):
            return None
        step = matching_step(known.totp_proposed, typed, now, 0)
        if step is None:
            return None
        begin_second_factor(connection, person.person_id, step, codes, now)
        close_sessions_of(connection, person.person_id)
        note_of_person(connection, person.login, "set-second-factor", now, address_of(request))
        return enter_as(request, connection, person.person_id, person.login, Stage.FULL)

    token = await access.write(begin)
    if token is None:
        return await enrolment_page(request, session, after=after, message="wrong-code", status=401)
    answer = page(request, "recovery.html", after=after, codes=codes)
    give_cookie(request, answer, token)
    return answer


def new_password(session: Session, password: object, again: object) -> tuple[str, str]:
    """The password, or the name of the text that says why it is not taken."""
    if not isinstance(password, str) or not isinstance(again, str):
        raise web.HTTPBadRequest
    if password != again:
        return "", "differ"
    person = session.person
    weak = weakness(password, person.login, person.name, *person.institutions)
    return (password, "") if weak is None else ("", f"weak-{weak.value}")


def _pending(request: web.Request, stage: Stage) -> Session:
    session: Session | None = request.get(SESSION)
    if session is None or session.stage is not stage:
        raise web.HTTPSeeOther("/sign-in")
    return session
