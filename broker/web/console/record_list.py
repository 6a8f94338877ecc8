"""The list of records, and where a search leads."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from broker.access.roles import Permission
from broker.states import RecordState
from broker.store.record_list import RecordQuery, list_records, next_after
from broker.web.console.desk import DESK
from broker.web.console.looks import urgency
from broker.web.console.rendering import render
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code

PAGE = 50
_DUE = ("open", "missed", "risk", "calm")


@requires(Permission.SEE_WORK)
async def show_records(request: web.Request) -> web.Response:
    """A page of records; a plain number in ``q`` leads to that record at once."""
    desk, person = request.app[DESK], person_of(request)
    search = request.query.get("q", "").strip()[:40].removesuffix(".zip")
    if search.isascii() and search.isdigit() and len(search) < 12:
        raise web.HTTPSeeOther(f"/records/{int(search)}")
    query = read_query(request, search.upper())
    now = desk.clock()
    rows = await desk.read(lambda c: list_records(c, person.reach, query, now, desk.warn, PAGE))
    shown = rows[:PAGE]
    more = ""
    if len(rows) > PAGE:
        kept = {name: value for name, value in request.query.items() if name != "after"}
        more = "/records?" + urlencode({**kept, "after": next_after(query, shown[-1])})
    listed = [
        (row, urgency(row.due_at if row.confirmed_at is None else None, now, desk.warn))
        for row in shown
    ]
    names = {row.order_code: order_code(row.order_code) for row in shown}
    return render(
        request,
        "records.html",
        "records",
        search=search,
        query=query,
        rows=listed,
        names=names,
        more=more,
        states=[state.value for state in RecordState],
        dues=_DUE,
    )


def read_query(request: web.Request, search: str) -> RecordQuery:
    """The query of the address; what cannot be meant is left out."""
    given = request.query
    state = given.get("state", "")
    due = given.get("due", "")
    # A file name is institution, date and serial; an order code is short; a clinic has ten.
    is_stem, is_clinic = len(search) == 20, len(search) == 10
    return RecordQuery(
        state=state if state in {each.value for each in RecordState} else "",
        clinic_code=search if is_clinic else given.get("clinic", "")[:10],
        order_code="" if is_stem or is_clinic else (search or given.get("order", ""))[:12],
        due=due if due in _DUE else "",
        package=search if is_stem else given.get("package", "")[:20],
        after=given.get("after", "")[:40],
    )
