"""``/api/v1/events``: server-sent events for live views, each only of what the caller sees.

An event ``pulse`` comes when something changed: counts, never contents. All who watch share one
look at the store. The stream ends within seconds when the session or token does, and when the
person sees something else from then on.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from broker.access.roles import Permission
from broker.web.api.live_views import LIVE, View
from broker.web.api.operation import Answer, Call, Operation
from broker.web.bearer import bearer_digest
from broker.web.identity import SESSION_TOKEN, person_of

_QUIET_SECONDS = 15.0
_PATIENCE_SECONDS = 30.0
"""A browser that takes nothing for so long has gone."""


async def events(call: Call) -> Answer:
    request = call.request
    view = View(
        person_of(request),
        request.get(SESSION_TOKEN, ""),
        bearer_digest(request),
        lambda: request.transport is None or request.transport.is_closing(),
        call.query.get("looks") or 0,
    )
    answer = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    async with request.app[LIVE].joined(view):
        await answer.prepare(request)
        try:
            while True:
                text = await view.next_text(_QUIET_SECONDS)
                if view.is_over and not text:
                    break
                said = f"event: pulse\ndata: {text}\n\n" if text else ": still here\n\n"
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await answer.write(said.encode())
            await answer.write_eof()
        except (ConnectionResetError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
    return answer


OPERATIONS = (
    Operation(
        "GET",
        "/events",
        "watch",
        "Server-sent events: `pulse` with counts whenever they change",
        Permission.SEE_WORK,
        events,
        query={"looks": {"type": "integer", "minimum": 1, "maximum": 1000}},
        answers={"type": "string"},
        media="text/event-stream",
    ),
)
