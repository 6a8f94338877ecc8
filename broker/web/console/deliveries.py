"""Deliveries: what left for the clinics, or is to leave, and each try."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.delivery.agreement import DeliveryState
from broker.delivery.refused import sent_again_by, settled_by
from broker.store.outbox import attempts_of, deliveries_of, delivery_row
from broker.store.rows import AnyRow
from broker.web.api.delivery_desk import DELIVERY
from broker.web.console.actions import done, notice_of
from broker.web.console.desk import DESK
from broker.web.console.inbox import PAGE, row_number
from broker.web.console.rendering import not_there, render
from broker.web.identity import person_of, requires


@requires(Permission.SEE_WORK)
async def show_deliveries(request: web.Request) -> web.Response:
    """The newest first, by state where one is asked for."""
    desk, reach = request.app[DESK], person_of(request).reach
    state = next((each for each in DeliveryState if each == request.query.get("state")), None)
    before = row_number(request.query.get("after", ""))
    rows = await desk.read(
        lambda c: deliveries_of(c, reach, state=state, before=before, count=PAGE + 1)
    )
    return render(
        request,
        "deliveries.html",
        "deliveries",
        rows=rows[:PAGE],
        more=rows[PAGE - 1].id if len(rows) > PAGE else 0,
        state=state.value if state else "",
        states=[each.value for each in DeliveryState],
        after=before,
    )


@requires(Permission.SEE_WORK)
async def show_delivery(request: web.Request) -> web.Response:
    """One delivery with its tries, without a word of what it holds."""
    desk, reach = request.app[DESK], person_of(request).reach
    number = int(request.match_info["delivery"])

    def look(connection: Connection) -> tuple[AnyRow | None, list[AnyRow]]:
        row = delivery_row(connection, reach, number)
        return row, attempts_of(connection, row.id) if row is not None else []

    row, tries = await desk.read(look)
    if row is None:
        raise not_there(request)
    return render(
        request,
        "delivery.html",
        "deliveries",
        notice=notice_of(request),
        row=row,
        tries=tries,
        back=request.path,
    )


@requires(Permission.FIX_RECORD)
async def send_delivery_again(request: web.Request) -> web.Response:
    """Once more, under a new number; a refusal is settled by it."""
    desk, person = request.app[DESK], person_of(request)
    number = int(request.match_info["delivery"])
    made = await desk.write(lambda c: sent_again_by(c, number, person, desk.clock()))
    if made is None:
        raise not_there(request)
    request.app[DELIVERY].wake()
    raise done(f"/deliveries/{made}", "sent_again")


@requires(Permission.FIX_RECORD)
async def settle_delivery(request: web.Request) -> web.Response:
    """A person has seen to a refused result in another way."""
    desk, person = request.app[DESK], person_of(request)
    number = int(request.match_info["delivery"])
    if not await desk.write(lambda c: settled_by(c, number, person, desk.clock())):
        raise not_there(request)
    raise done(f"/deliveries/{number}", "delivery_settled")
