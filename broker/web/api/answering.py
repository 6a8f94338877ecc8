"""From a request to its answer: guard, shapes, idempotency key, errors in one shape."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from adapters.ports.intake import StorageUnavailable
from broker.access.person import Person
from broker.store.api_calls import begin_call, end_call, forget_call
from broker.web.api.operation import Operation, bad, call_of
from broker.web.console.desk import DESK
from broker.web.identity import check_guard, is_api, person_of
from broker.web.problem import problem
from mapping.errors import LabbrokerError

_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def handler_of(operation: Operation) -> Handler:
    """The handler of one operation. Its guard is asked before anything is read."""

    async def handle(request: web.Request) -> web.StreamResponse:
        check_guard(request, operation.guard)
        call = await call_of(operation, request)

        async def answer() -> web.StreamResponse:
            try:
                told = await operation.handler(call)
            except LabbrokerError as error:
                return _refused(error)
            return told if isinstance(told, web.StreamResponse) else _json(told)

        key = request.headers.get("Idempotency-Key")
        if key is None or operation.method != "POST":
            return await answer()
        try:
            return await _once(request, key, answer, keep=not operation.is_secret)
        except StorageUnavailable as error:
            return _refused(error)

    handle.guard = operation.guard  # type: ignore[attr-defined]
    return handle


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What aiohttp says itself (404, 405, 413 …) in the shape of all other errors."""
    if not is_api(request):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.content_type == "application/problem+json":
            raise
        code = (error.reason or "error").lower().replace(" ", "-")
        told = problem(error.status, code, error.reason or "Error")
        if "Allow" in error.headers:
            told.headers["Allow"] = error.headers["Allow"]
        return told


async def _once(
    request: web.Request,
    key: str,
    answer: Callable[[], Awaitable[web.StreamResponse]],
    *,
    keep: bool,
) -> web.StreamResponse:
    if _KEY.fullmatch(key) is None:
        what = "An Idempotency-Key is 1 to 100 letters, digits, - or _."
        raise bad(web.HTTPBadRequest, "wrong-parameter", what)
    desk, person = request.app[DESK], person_of(request)
    caller, said = person.login, f"{request.method} {request.path_qs}\n{_reach_of(person)}\n"
    digest = hashlib.sha256(said.encode() + await request.read()).digest()
    known = await desk.write(lambda c: begin_call(c, caller, key, digest, desk.clock()))
    if known is not None:
        if known.digest != digest:
            what = "This Idempotency-Key was used for another call, or with other rights."
            remedy = "Look whether it was done; if not, send it under a new key."
            raise bad(web.HTTPConflict, "key-used", what, remedy)
        if known.status == 0:
            what = "The first call under this key has no answer yet; look at what it changed."
            raise bad(web.HTTPConflict, "outcome-unknown", what)
        kind = "application/json" if known.status < 400 else "application/problem+json"
        return web.Response(status=known.status, body=known.body, content_type=kind)
    try:
        told = await answer()
    except web.HTTPException:
        # Refused before anything was done. After any other end, a store that is away among them,
        # nobody knows, and the key says so.
        await desk.write(lambda c: forget_call(c, caller, key))
        raise
    if told.status == web.HTTPServiceUnavailable.status_code:
        return told
    body = told.body if isinstance(told, web.Response) else None
    if isinstance(body, bytes):
        status = told.status
        if status < 400 and not keep:
            # Done, and not to be done again; but what was told once is in no store.
            what = "It was done under this key; what it answered was shown once."
            told_again = problem(409, "answer-not-kept", what)
            assert isinstance(told_again.body, bytes)  # noqa: S101 - of our own making
            status, body = told_again.status, told_again.body
        await desk.write(lambda c: end_call(c, caller, key, status, body))
    else:
        await desk.write(lambda c: forget_call(c, caller, key))
    return told


def _reach_of(person: Person) -> str:
    """What the caller may see: an answer kept for more is not told to one who may see less."""
    scopes = "all" if person.scopes is None else sorted(person.scopes)
    return json.dumps([person.role, sorted(person.institutions), scopes])


def _json(told: Any) -> web.Response:
    text = json.dumps(told, ensure_ascii=False) + "\n"
    return web.Response(
        text=text, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _refused(error: LabbrokerError) -> web.Response:
    return problem(
        503 if isinstance(error, StorageUnavailable) else 409,
        error.code,
        error.sentence("en"),
        error.remedy("en"),
        more={"title_zh": error.sentence("zh"), "detail_zh": error.remedy("zh")},
    )
