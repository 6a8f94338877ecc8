"""The inbox: results that came for the person's clinics; opening one shows its patient, audited."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from adapters.ports.report_view import ReportView
from broker.access.roles import Permission
from broker.delivery.agreement import OPEN_STATES, DeliveryFormat
from broker.delivery.taken_note import read_by
from broker.store.outbox import inbox_of, inbox_row, unread_count
from broker.store.result_glance import glances_of
from broker.store.rows import AnyRow
from broker.web.api.delivery_desk import DELIVERY
from broker.web.api.inbox import document_answer
from broker.web.console.actions import Notice, Subject, audit, done, notice_of, refused
from broker.web.console.desk import DESK
from broker.web.console.rendering import language_of, not_there, render
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code
from mapping.errors import LabbrokerError

PAGE = 50
_FORMS = (DeliveryFormat.PDF, DeliveryFormat.XLSX, DeliveryFormat.CSV)


@requires(Permission.RECEIVE_RESULTS)
async def show_inbox(request: web.Request) -> web.Response:
    """The newest first; patients are masked until one is opened."""
    desk, reach = request.app[DESK], person_of(request).reach
    unread, before = "unread" in request.query, row_number(request.query.get("after", ""))

    def look(connection: Connection) -> dict[str, Any]:
        rows = inbox_of(connection, reach, before=before, count=PAGE + 1, unread=unread)
        places = [(row.receipt_id, row.number) for row in rows]
        return {
            "rows": rows[:PAGE],
            "more": rows[PAGE - 1].id if len(rows) > PAGE else 0,
            "glances": glances_of(connection, reach, places),
            "unread_count": unread_count(connection, reach),
        }

    values = await desk.read(look)
    codes = {code for glance in values["glances"].values() for _, code in glance.records}
    return render(
        request,
        "inbox.html",
        "inbox",
        notice=notice_of(request),
        unread=unread,
        after=before,
        names={code: order_code(code) for code in codes},
        open_states=OPEN_STATES,
        **values,
    )


@requires(Permission.RECEIVE_RESULTS)
async def show_result(request: web.Request) -> web.Response:
    """One result with its patient; that it was opened is in the audit trail."""
    row, view = await _view(request, trends=True)
    await audit(request, "show", Subject("delivery", str(row.id), row.clinic_code))
    return _page(request, row, view, notice_of(request))


@requires(Permission.RECEIVE_RESULTS)
async def send_document(request: web.Request) -> web.Response:
    """One result as PDF, CSV or XLSX; audited like :func:`show_result`."""
    form = next((each for each in _FORMS if each == request.query.get("format", "pdf")), None)
    if form is None:
        raise not_there(request)
    row, view = await _view(request, trends=form is DeliveryFormat.PDF)
    subject = Subject("delivery", str(row.id), row.clinic_code)
    await audit(request, "show", subject, {"format": form.value})
    try:
        body = await asyncio.to_thread(request.app[DELIVERY].documents[form], view)
    except LabbrokerError as error:
        return _page(request, row, view, refused(error, language_of(person_of(request))))
    return document_answer(row, form, body)


@requires(Permission.RECEIVE_RESULTS)
async def read_result(request: web.Request) -> web.Response:
    """Say that a person has read the result: then it counts as received."""
    desk, person = request.app[DESK], person_of(request)
    number = int(request.match_info["delivery"])
    if await desk.write(lambda c: read_by(c, number, person, desk.clock())) is None:
        raise not_there(request)
    raise done("/inbox", "read")


def _page(
    request: web.Request, row: AnyRow, view: ReportView, notice: Notice | None
) -> web.Response:
    return render(
        request,
        "result.html",
        "inbox",
        notice=notice,
        row=row,
        view=view,
        report=view.report,
        forms=_FORMS,
        is_read=row.state not in OPEN_STATES,
        back=f"/inbox/{row.id}",
    )


def row_number(text: str) -> int | None:
    """Where the page before ended; None for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 13 else None


async def _view(request: web.Request, *, trends: bool) -> tuple[AnyRow, ReportView]:
    desk, reach = request.app[DESK], person_of(request).reach
    number = int(request.match_info["delivery"])
    row = await desk.read(lambda c: inbox_row(c, reach, number))
    if row is None or (reach is not None and row.clinic_code not in reach):
        raise not_there(request)
    reading = request.app[DELIVERY].reading
    view = await asyncio.to_thread(
        lambda: reading.view(row.clinic_code, row.receipt_id, row.number, trends=trends)
    )
    if view is None:
        raise not_there(request)
    return row, view
