"""Signing in and out."""

from __future__ import annotations

from aiohttp import web

from broker.store.sessions import close_session
from broker.web.identity import for_anybody, signed_in
from broker.web.session import ACCESS, SESSION, cookie_name


def sign_in_routes() -> list[web.RouteDef]:
    """``/sign-in`` and ``/sign-out``."""
    return [web.get("/sign-in", show_sign_in), web.post("/sign-out", sign_out)]


@for_anybody
async def show_sign_in(request: web.Request) -> web.Response:
    """The form."""
    return web.Response(text="<!doctype html><title>labbroker</title>", content_type="text/html")


@signed_in
async def sign_out(request: web.Request) -> web.Response:
    """End this session."""
    digest = request[SESSION].digest
    await request.config_dict[ACCESS].write(lambda c: close_session(c, digest))
    answer = web.HTTPSeeOther("/sign-in")
    answer.del_cookie(cookie_name(request), path="/")
    raise answer
