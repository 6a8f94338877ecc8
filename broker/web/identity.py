"""Who asks, and whether they may: what every handler of the console and the API uses."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote

from aiohttp import web

from broker.access.person import Person
from broker.access.roles import Permission
from broker.web.csrf import token_for
from broker.web.problem import problem

PERSON = web.RequestKey("person", Person)
ASKING: ContextVar[Person | None] = ContextVar("asking", default=None)
"""For whom the store is read while a request is answered: set by the guard alone."""
SESSION_TOKEN = web.RequestKey("session_token", str)

H = TypeVar("H", bound=Callable[..., Awaitable[web.StreamResponse]])


class Guard(Enum):
    """Who a handler is for, where it asks no single permission."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed-in"


def person_of(request: web.Request) -> Person:
    """Who asks. Raises the way to the sign-in page (console) or 401 (API)."""
    person: Person | None = request.get(PERSON)
    if person is not None:
        return person
    if is_api(request):
        raise refusal(
            web.HTTPUnauthorized, problem(401, "not-signed-in", "Sign in, or send an API token.")
        )
    after = request.path_qs if request.method == "GET" else "/"
    raise web.HTTPSeeOther("/sign-in?next=" + quote(after, safe=""))


def requires(permission: Permission) -> Callable[[H], H]:
    """A handler that only those may call who hold ``permission``; others get 403."""
    return _guarded(permission)


def signed_in(handler: H) -> H:
    """A handler for everyone who is signed in: their own account, the list of pages."""
    return _guarded(Guard.SIGNED_IN)(handler)


def for_anybody(handler: H) -> H:
    """A handler that nobody need sign in for. Its routes are few, and a test counts them."""
    handler.guard = Guard.ANYBODY  # type: ignore[attr-defined]
    return handler


def guard_of(handler: object) -> Permission | Guard | None:
    """What a handler asks of its callers; None where nobody has said, and then nobody may."""
    return getattr(handler, "guard", None)


def csrf_token(request: web.Request) -> str:
    """For the hidden form field ``csrf`` or the header ``X-CSRF-Token``; "" without a session."""
    token = request.get(SESSION_TOKEN)
    return "" if token is None else token_for(token)


def check_guard(request: web.Request, guard: Permission | Guard) -> None:
    """Raise unless the one who asks may. Reads nothing of the body."""
    if guard is Guard.ANYBODY:
        return
    person = person_of(request)
    if isinstance(guard, Permission) and not person.may(guard):
        raise forbidden(request)


def forbidden(request: web.Request) -> web.HTTPException:
    """403 in the shape that the caller reads."""
    if is_api(request):
        return refusal(
            web.HTTPForbidden,
            problem(403, "not-allowed", "This account or token may not do this."),
        )
    return web.HTTPForbidden(text="此帳號無此權限。\nThis account may not do this.\n")


def refusal(kind: type[web.HTTPException], answer: web.Response) -> web.HTTPException:
    """An answer as an exception that ends a handler."""
    return kind(text=answer.text, content_type=answer.content_type)


def is_api(request: web.Request) -> bool:
    """Whether the caller is a program that reads problem+json."""
    return request.path.startswith("/api/")


def _guarded(guard: Permission | Guard) -> Callable[[H], H]:
    def decorate(handler: H) -> H:
        @functools.wraps(handler)
        async def guarded(*arguments: Any, **named: Any) -> web.StreamResponse:
            check_guard(arguments[-1], guard)
            return await handler(*arguments, **named)

        guarded.guard = guard  # type: ignore[attr-defined]
        return cast(H, guarded)

    return decorate
