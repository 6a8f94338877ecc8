"""``/api/v1/events``: server-sent events for live views, each only of what the caller sees.

An event ``pulse`` comes when something changed: counts, never contents. Those who see the same
share one look at the store every two seconds. The stream ends when the session or token does.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, func, select

from broker.access.person import Person
from broker.access.roles import Permission
from broker.delivery.agreement import OPEN_STATES, DeliveryKind
from broker.store.alarms import open_alarms
from broker.store.delivery_tables import critical_result, outgoing
from broker.store.reach import record_in_reach
from broker.store.schema import record
from broker.web.api.operation import Answer, Call, Operation, instant
from broker.web.bearer import bearer_of
from broker.web.console.desk import DESK, Desk
from broker.web.identity import person_of
from broker.web.session import still_signed_in

EVERY = 2.0
"""Seconds between two looks."""
_QUIET_LOOKS = 8
_FRESH = timedelta(seconds=EVERY)


class Pulse:
    """What was last seen, for each set of institutions."""

    def __init__(self) -> None:
        self._known: dict[frozenset[str] | None, tuple[datetime, dict[str, Any]]] = {}
        self._locks: dict[frozenset[str] | None, asyncio.Lock] = {}

    async def of(self, desk: Desk, reach: frozenset[str] | None) -> dict[str, Any]:
        """The counts of ``reach``, at most two seconds old."""
        async with self._locks.setdefault(reach, asyncio.Lock()):
            now = desk.clock()
            known = self._known.get(reach)
            if known is None or not known[0] <= now < known[0] + _FRESH:
                told = await desk.read(lambda c: look(c, reach))
                known = self._known[reach] = (now, told)
            return known[1]


PULSE = web.AppKey("pulse", Pulse)


def look(connection: Connection, reach: frozenset[str] | None) -> dict[str, Any]:
    """Held and rejected records, unread results, critical results, alarms of ``reach``."""
    waiting = connection.execute(
        select(record.c.state, func.count())
        .where(record.c.state.in_(("held", "rejected", "ready", "unknown")), record_in_reach(reach))
        .group_by(record.c.state)
    )
    unread = select(func.count()).where(
        outgoing.c.kind == DeliveryKind.INBOX.value,
        outgoing.c.state.in_([state.value for state in OPEN_STATES]),
    )
    urgent = select(func.count()).where(critical_result.c.waits)
    if reach is not None:
        mine = sorted(reach - {""})
        unread = unread.where(outgoing.c.clinic_code.in_(mine))
        urgent = urgent.where(
            critical_result.c.clinic_code.in_(mine) | critical_result.c.lab_code.in_(mine)
        )
    return {
        "records": {row[0]: row[1] for row in waiting},
        "unread": connection.execute(unread).scalar_one(),
        "critical": connection.execute(urgent).scalar_one(),
        "alarms": [
            {
                "kind": row.kind,
                "reason": row.reason,
                "records": row.records,
                "due_at": instant(row.due_at),
            }
            for row in open_alarms(connection)
            if reach is None or row.institution_code in reach
        ],
    }


async def events(call: Call) -> Answer:
    request, person = call.request, person_of(call.request)
    desk, pulse = request.app[DESK], request.app[PULSE]
    answer = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    told = await pulse.of(desk, person.reach)
    await answer.prepare(request)
    last: dict[str, Any] | None = None
    quiet, number = 0, 0
    looks = call.query.get("looks")
    while looks is None or number < looks:
        if told != last:
            text = json.dumps(told, ensure_ascii=False)
            await answer.write(f"event: pulse\ndata: {text}\n\n".encode())
            last, quiet = told, 0
        elif (quiet := quiet + 1) >= _QUIET_LOOKS:
            await answer.write(b": still here\n\n")
            quiet = 0
        number += 1
        if looks is not None and number >= looks:
            break
        await asyncio.sleep(EVERY)
        if not await _may_stay(request, person):
            break
        told = await pulse.of(desk, person.reach)
    await answer.write_eof()
    return answer


async def _may_stay(request: web.Request, person: Person) -> bool:
    bearer = await bearer_of(request)
    if bearer is not None:
        return bearer.person == person
    return await still_signed_in(request)


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
