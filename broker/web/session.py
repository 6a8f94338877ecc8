"""Finds out who asks before anything else of a request is read, and lets through who may.

The FHIR door knows its own tokens; the health routes and static files are for anybody. Every other
handler says whom it is for (:mod:`broker.web.identity`); one that does not is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from broker.store.sessions import Session, Stage, find_session, touch_session
from broker.web.bearer import bearer_of
from broker.web.csrf import carries_token, changes_something, is_from_elsewhere
from broker.web.entrance import ACCESS, Access, access_of, cookie_name
from broker.web.headers import add_headers
from broker.web.identity import (
    ASKING,
    PERSON,
    SESSION_TOKEN,
    check_guard,
    forbidden,
    guard_of,
    is_api,
    refusal,
)
from broker.web.problem import problem

SESSION = web.RequestKey("session", Session)

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/card-agent"})
OPEN_FOLDERS = ("/fhir", "/static", "/card-agent")


def install_access(application: web.Application, access: Access) -> None:
    """Put the guard before all handlers of an application, and the headers on all answers."""
    application[ACCESS] = access
    application.middlewares.append(guard_requests)
    application.on_response_prepare.append(add_headers)


@web.middleware
async def guard_requests(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Who asks → may they → does it come from our own page → the handler."""
    if request.match_info.http_exception is not None or is_open(request.match_info.route):
        return await handler(request)
    guard = guard_of(request.match_info.handler)
    if guard is None:
        raise forbidden(request)
    bearer = await bearer_of(request) if is_api(request) else None
    if bearer is not None:
        request[PERSON] = bearer.person
        check_guard(request, guard)
        # No browser sends a token by itself, but it does show a certificate.
        if changes_something(request) and is_from_elsewhere(request):
            raise _not_our_own(request)
        return await _answer(request, handler)
    token = request.cookies.get(cookie_name(request), "")
    session = await _session(request, token) if token else None
    if session is not None:
        request[SESSION] = session
        request[SESSION_TOKEN] = token
        if session.stage is Stage.FULL:
            request[PERSON] = session.person
    check_guard(request, guard)
    if changes_something(request) and not await _is_our_own(request, session, token):
        raise _not_our_own(request)
    return await _answer(request, handler)


async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What the handler reads of the store it reads for the one who asks."""
    before = ASKING.set(request.get(PERSON))
    try:
        return await handler(request)
    finally:
        # One connection's requests follow each other in one task.
        ASKING.reset(before)


def is_open(route: web.AbstractRoute) -> bool:
    """Whether a route has a guard of its own, or needs none."""
    path = route.resource.canonical if route.resource is not None else ""
    return path in OPEN_PATHS or any(
        path == folder or path.startswith(f"{folder}/") for folder in OPEN_FOLDERS
    )


def session_of(request: web.Request) -> Session:
    """The session of someone at a browser; an API token has none and gets 403."""
    session: Session | None = request.get(SESSION)
    if session is None:
        raise forbidden(request)
    return session


async def _session(request: web.Request, token: str) -> Session | None:
    access = access_of(request)
    session = await _look(access, token)
    now = access.clock()
    if session is not None and session.is_stale(now):
        await access.write(lambda c: touch_session(c, session.digest, now))
    return session


async def _look(access: Access, token: str) -> Session | None:
    def look() -> Session | None:
        with access.reader.connect() as connection:
            return find_session(connection, token, access.clock(), access.limits)

    return await asyncio.to_thread(look)


async def _is_our_own(request: web.Request, session: Session | None, token: str) -> bool:
    if is_from_elsewhere(request):
        return False
    return session is None or await carries_token(request, token)


def _not_our_own(request: web.Request) -> web.HTTPException:
    if is_api(request):
        return refusal(
            web.HTTPForbidden,
            problem(403, "csrf", "The request does not carry the token of this session."),
        )
    return web.HTTPForbidden(
        text="頁面已過期，請重新載入後再試。\nThis page is too old: load it again, then retry.\n"
    )
