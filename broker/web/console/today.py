"""Today: what is due, at risk and missed, how the last day went, which alarms are open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from broker.access.person import Person
from broker.access.roles import Permission
from broker.store.critical import critical_count
from broker.store.due_work import Hour, day_flow, due_counts, most_urgent, recent_alarms
from broker.store.outbox import unread_count
from broker.web.console.desk import DESK, Desk
from broker.web.console.flow_chart import HEIGHT, WIDTH, flow_chart
from broker.web.console.kept import Kept
from broker.web.console.looks import urgency
from broker.web.console.rendering import render
from broker.web.identity import person_of, requires

FLOWS = web.AppKey("flows", Kept[tuple[Hour, ...]])
_SHOWN = 12
_ALARMS = 8
_ALARMS_SINCE = timedelta(hours=24)


@requires(Permission.SEE_WORK)
async def show_today(request: web.Request) -> web.Response:
    """The page; with ``?part`` only what changes, for the page that is open."""
    desk, person = request.app[DESK], person_of(request)
    # The chart reads through a day.
    now, reach = desk.clock(), person.reach
    flow = await request.app[FLOWS].of(reach, lambda: desk.read(lambda c: day_flow(c, reach, now)))
    values = await desk.read(lambda connection: _look(connection, desk, person))
    values["chart"] = flow_chart(flow.value)
    template = "today_part.html" if "part" in request.query else "today.html"
    return render(request, template, "today", **values)


def _look(connection: Connection, desk: Desk, person: Person) -> dict[str, Any]:
    now, reach = desk.clock(), person.reach
    counts = due_counts(connection, reach, now, desk.warn)
    urgent = most_urgent(connection, reach, _SHOWN)
    return {
        "counts": counts,
        "urgent": [(row, urgency(row.due_at, now, desk.warn)) for row in urgent],
        "alarms": recent_alarms(connection, reach, now - _ALARMS_SINCE, _ALARMS),
        "critical": critical_count(connection, reach),
        "unread": unread_count(connection, reach)
        if person.may(Permission.RECEIVE_RESULTS)
        else None,
        "chart_size": (WIDTH, HEIGHT),
        "warn_hours": desk.settings.schedule.warn_before_hours,
    }
