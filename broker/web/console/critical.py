"""Critical results: those that nobody has confirmed, and the confirming, audited."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.delivery.taken_note import confirmed_by
from broker.store.critical import critical_count, critical_of, earlier_of
from broker.store.result_glance import glances_of
from broker.web.console.actions import done, notice_of
from broker.web.console.desk import DESK
from broker.web.console.inbox import PAGE, row_number
from broker.web.console.rendering import not_there, render
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code


@requires(Permission.SEE_WORK)
async def show_critical(request: web.Request) -> web.Response:
    """The newest first; ``?all`` with those that were confirmed."""
    desk, reach = request.app[DESK], person_of(request).reach
    whole, before = "all" in request.query, row_number(request.query.get("after", ""))

    def look(connection: Connection) -> dict[str, Any]:
        rows = critical_of(connection, reach, unconfirmed=not whole, before=before, count=PAGE + 1)
        places = [(row.receipt_id, row.number) for row in rows]
        return {
            "rows": rows[:PAGE],
            "more": rows[PAGE - 1].id if len(rows) > PAGE else 0,
            "glances": glances_of(connection, reach, places),
            "waiting": critical_count(connection, reach),
            "earlier": earlier_of(connection, rows[:PAGE]),
        }

    values = await desk.read(look)
    codes = {code for glance in values["glances"].values() for _, code in glance.records}
    return render(
        request,
        "critical.html",
        "critical",
        notice=notice_of(request),
        whole=whole,
        after=before,
        names={code: order_code(code) for code in codes},
        **values,
    )


@requires(Permission.CONFIRM_CRITICAL)
async def confirm_result(request: web.Request) -> web.Response:
    """A person has taken note of a critical result, or of its correction, and acts on it."""
    desk, person = request.app[DESK], person_of(request)
    number = int(request.match_info["critical"])
    if await desk.write(lambda c: confirmed_by(c, number, person, desk.clock())) is None:
        raise not_there(request)
    raise done("/critical", "critical_confirmed")
