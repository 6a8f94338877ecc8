"""Single entry by hand, for the result that came on paper: the visit gives who and when, the last
record of the order gives item, unit, method and range; what is left is the value."""

from __future__ import annotations

from aiohttp import web

from adapters.ports.intake import Door, Media, Payload
from broker.access.person import Person
from broker.access.roles import Permission
from broker.hand_entry import EntryRow, EntrySubject, EntryWrong, entry_csv, require_source
from broker.store.open_orders import open_orders, visit_in_reach
from broker.web.console.actions import Notice, Subject, audit, done, form_of, notice_of
from broker.web.console.desk import DESK, Desk
from broker.web.console.entry_form import form_values, rows_of
from broker.web.console.rendering import language_of, not_there, render
from broker.web.console.wording import say
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code
from mapping.visit import Visit

_LISTED = 60


@requires(Permission.ENTER_RESULT)
async def show_open_orders(request: web.Request) -> web.Response:
    """The orders that wait for a result; ``?visit=`` those of one visit."""
    desk, person = request.app[DESK], person_of(request)
    given = request.query.get("visit", "")
    visit_id = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else 0
    rows = await desk.read(
        lambda c: open_orders(c, person.reach, desk.today, _LISTED, visit_id=visit_id)
    )
    return render(
        request,
        "entry_list.html",
        "entry",
        rows=[(row, order_code(row.order_code)) for row in rows],
        visit_id=visit_id,
        notice=notice_of(request),
    )


@requires(Permission.ENTER_RESULT)
async def show_entry(request: web.Request) -> web.Response:
    """The form for one order of one visit."""
    return await _form(request)


@requires(Permission.ENTER_RESULT)
async def take_entry(request: web.Request) -> web.Response:
    """Take the result in through the same door as a file of the source."""
    desk, person = request.app[DESK], person_of(request)
    language, form = language_of(person), await form_of(request)
    visit, code = await _visit(request, desk, person), request.match_info["order"]
    rows = rows_of(form)
    try:
        source = require_source(form.get("source", ""), desk.profiles, person)
        subject = EntrySubject(visit.national_id, visit.birth_on, visit.institution_code)
        raw = entry_csv(subject, code, form, rows, desk.clock())
    except EntryWrong as wrong:
        notice = Notice("bad", say(language, f"entry.{wrong.name}"))
        return await _form(request, notice=notice, form=form, rows=rows)
    receipt_id = await receive_entry(request, source, code, visit.institution_code, raw)
    raise done(f"/entry?visit={request.match_info['visit']}", "entered", n=receipt_id)


async def receive_entry(
    request: web.Request, source: str, code: str, institution: str, raw: bytes
) -> int:
    """Take an entry in, noted in the audit trail; the number of its receipt."""
    desk, person = request.app[DESK], person_of(request)
    payload = Payload(source, Door.COMMAND, Media.CSV, raw, name=f"entry-{person.login}.csv")
    accepted = await desk.receive(payload)
    subject = Subject("receipt", str(accepted.receipt_id), institution)
    await audit(request, "enter", subject, {"order_code": code})
    return accepted.receipt_id


async def _visit(request: web.Request, desk: Desk, person: Person) -> Visit:
    visit_id = int(request.match_info["visit"])
    visit = await desk.read(lambda c: visit_in_reach(c, person.reach, visit_id))
    code = request.match_info["order"]
    if visit is None or all(each.order_code != code for each in visit.orders):
        raise not_there(request)
    return visit


async def _form(
    request: web.Request,
    notice: Notice | None = None,
    form: dict[str, str] | None = None,
    rows: list[EntryRow] | None = None,
) -> web.Response:
    desk, person = request.app[DESK], person_of(request)
    visit, code = await _visit(request, desk, person), request.match_info["order"]
    values = await form_values(desk, person, code, form or {}, rows or ())
    return render(
        request,
        "entry.html",
        "entry",
        notice=notice,
        visit=visit,
        visit_id=int(request.match_info["visit"]),
        **values,
    )
