"""Results for clinics: the inbox, documents, deliveries, critical results and their alarms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from adapters.ports.report_view import ReportView
from broker.access.masking import masked_id
from broker.access.roles import Permission
from broker.delivery.agreement import DeliveryFormat, DeliveryState
from broker.delivery.reading import ReportReading
from broker.delivery.refused import sent_again_by, settled_by
from broker.delivery.taken_note import confirmed_by, read_by
from broker.store.critical import critical_of, is_corrected
from broker.store.outbox import (
    attempts_of,
    deliveries_of,
    delivery_row,
    inbox_of,
    inbox_row,
)
from broker.store.result_glance import Glance, Place, glances_of
from broker.store.rows import AnyRow
from broker.web.api.operation import (
    Answer,
    Call,
    Operation,
    instant,
    listing,
    not_found,
    paged,
)
from broker.web.api.shapes import (
    DAY,
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    or_null,
    page_of,
    shape,
    told,
    whole,
)
from broker.web.console.actions import Subject, audit
from broker.web.console.desk import DESK
from broker.web.identity import person_of
from mapping.moment import Moment, Precision
from mapping.report import Observation

Document = Callable[[ReportView], bytes]
"""Writes one form of a report. Pure."""


@dataclass(frozen=True, slots=True)
class DeliveryDesk:
    """What shows results: ``documents`` by their form, ``wake`` tells the senders of new work."""

    reading: ReportReading
    documents: Mapping[DeliveryFormat, Document]
    wake: Callable[[], None]


DELIVERY = web.AppKey("delivery", DeliveryDesk)
_MEDIA = {
    DeliveryFormat.PDF: "application/pdf",
    DeliveryFormat.CSV: "text/csv; charset=utf-8",
    DeliveryFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def inbox(call: Call) -> Answer:
    """Patients are masked until one is opened."""
    person = person_of(call.request)
    return await _with_glances(
        call,
        lambda c: inbox_of(
            c,
            person.reach,
            before=call.query.get("after"),
            count=call.limit + 1,
            unread=call.query.get("unread", False),
        ),
        delivery_json,
    )


async def show_result(call: Call) -> Answer:
    """The result with its patient; that it was shown is in the audit trail."""
    row, view = await _view(call, trends=True)
    await audit(call.request, "show", _subject(row), {"by": "api"})
    return {**delivery_json(row), "result": view_json(view)}


async def show_document(call: Call) -> Answer:
    """The result as PDF, CSV or XLSX; audited like :func:`show_result`."""
    form = DeliveryFormat(call.query.get("format", DeliveryFormat.PDF.value))
    row, view = await _view(call, trends=form is DeliveryFormat.PDF)
    body = await asyncio.to_thread(call.request.app[DELIVERY].documents[form], view)
    await audit(call.request, "show", _subject(row), {"by": "api", "format": form.value})
    return document_answer(row, form, body)


def document_answer(row: AnyRow, form: DeliveryFormat, body: bytes) -> web.Response:
    """A document of a delivery, to be saved; nothing keeps it on the way."""
    kind, _, charset = _MEDIA[form].partition("; charset=")
    return web.Response(
        body=body,
        content_type=kind,
        charset=charset or None,
        headers={
            "Content-Disposition": f'attachment; filename="result-{row.id}.{form.value}"',
            "Cache-Control": "no-store",
        },
    )


async def read_result(call: Call) -> Answer:
    """Say that a person has read a result of the inbox."""
    desk, person = call.request.app[DESK], person_of(call.request)

    row = await desk.write(lambda c: read_by(c, call.path["delivery"], person, desk.clock()))
    if row is None:
        raise not_found()
    return {"read": True}


async def deliveries(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    state = call.query.get("state")
    rows = await desk.read(
        lambda c: deliveries_of(
            c,
            person.reach,
            receipt_id=call.query.get("receipt"),
            state=DeliveryState(state) if state else None,
            before=call.query.get("after"),
            count=call.limit + 1,
        )
    )
    return listing(rows, call.limit, delivery_json)


async def show_delivery(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Any) -> tuple[AnyRow | None, list[AnyRow]]:
        row = delivery_row(connection, person.reach, call.path["delivery"])
        return row, attempts_of(connection, row.id) if row is not None else []

    row, tries = await desk.read(look)
    if row is None:
        raise not_found()
    return {
        **delivery_json(row),
        "tries": [
            {
                "started_at": instant(each.started_at),
                "ended_at": instant(each.ended_at),
                "outcome": each.outcome,
                "error_code": each.error_code,
            }
            for each in tries
        ],
    }


async def deliver_again(call: Call) -> Answer:
    """Send once more what has arrived or was refused."""
    desk, person = call.request.app[DESK], person_of(call.request)
    made = await desk.write(lambda c: sent_again_by(c, call.path["delivery"], person, desk.clock()))
    if made is None:
        raise not_found()
    call.request.app[DELIVERY].wake()
    return {"id": made}


async def settle_delivery(call: Call) -> Answer:
    """A person has seen to a refused result in another way; its alarm ends. Audited."""
    desk, person = call.request.app[DESK], person_of(call.request)
    if not await desk.write(lambda c: settled_by(c, call.path["delivery"], person, desk.clock())):
        raise not_found()
    return {"settled": True}


async def critical(call: Call) -> Answer:
    """Patients are masked."""
    person = person_of(call.request)
    return await _with_glances(
        call,
        lambda c: critical_of(
            c,
            person.reach,
            unconfirmed=call.query.get("unconfirmed", True),
            before=call.query.get("after"),
            count=call.limit + 1,
        ),
        critical_json,
    )


async def _with_glances(
    call: Call,
    rows_of: Callable[[Connection], list[AnyRow]],
    make: Callable[[AnyRow], dict[str, Any]],
) -> Answer:
    """A page of rows that tell of results, each with what a list shows of its result."""
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Connection) -> tuple[list[AnyRow], dict[Place, Glance]]:
        rows = rows_of(connection)
        places = [(row.receipt_id, row.number) for row in rows]
        return rows, glances_of(connection, person.reach, places)

    rows, glances = await desk.read(look)

    def whole_row(row: AnyRow) -> dict[str, Any]:
        seen = glances[row.receipt_id, row.number]
        records = [{"id": number, "order_code": code} for number, code in seen.records]
        return {**make(row), "patient": masked_id(seen.national_id), "records": records}

    return listing(rows, call.limit, whole_row)


async def confirm(call: Call) -> Answer:
    """A person has taken note of a critical result, or of its correction; audited."""
    desk, person = call.request.app[DESK], person_of(call.request)

    row = await desk.write(lambda c: confirmed_by(c, call.path["critical"], person, desk.clock()))
    if row is None:
        raise not_found()
    first = row.noted_by if is_corrected(row) else row.confirmed_by
    return {"confirmed_by": person.login if row.waits else first}


def delivery_json(row: AnyRow) -> dict[str, Any]:
    """A delivery without a word of what it holds."""
    return {
        "id": row.id,
        "destination": row.destination,
        "kind": row.kind,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "receipt": row.receipt_id,
        "report": row.number,
        "state": row.state,
        "attempts": row.attempts,
        "queued_at": instant(row.queued_at),
        "sent_at": instant(row.sent_at),
        "ended_at": instant(row.ended_at),
        "answer": row.answer,
        "error_code": row.error_code,
        "settled_at": instant(row.settled_at),
        "settled_by": row.settled_by,
    }


def critical_json(row: AnyRow) -> dict[str, Any]:
    """A critical result without its value: that is in the result itself."""
    return {
        "id": row.id,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "receipt": row.receipt_id,
        "report": row.number,
        "line": row.line,
        "reason": row.reason,
        "found_at": instant(row.found_at),
        "confirmed_at": instant(row.confirmed_at),
        "confirmed_by": row.confirmed_by,
        "earlier": row.earlier_id,
        "ending": row.ending,
        "ended_at": instant(row.ended_at),
        "noted_at": instant(row.noted_at),
        "noted_by": row.noted_by,
    }


def view_json(view: ReportView) -> dict[str, Any]:
    """A result in the laboratory's own characters."""
    report = view.report
    return {
        "status": report.status.value,
        "version": view.version,
        "patient": {
            "national_id": report.patient.national_id,
            "name": report.patient.name,
            "chart_number": report.patient.chart_number,
            "birth_on": report.patient.birth_on.isoformat() if report.patient.birth_on else None,
            "sex": report.patient.sex,
        },
        "placer_order_number": report.placer_order_number,
        "filler_order_number": report.filler_order_number,
        "specimen": report.specimen.kind,
        "collected_at": _moment(report.specimen.collected_at),
        "reported_at": _moment(report.reported_at),
        "notes": list(report.notes),
        "lines": [
            {
                **_line_json(line),
                "before": [
                    {"at": _moment(point.at), "value": point.value}
                    for point in view.trends.get(at, ())
                ],
            }
            for at, line in enumerate(view.lines)
        ],
    }


def _line_json(line: Observation) -> dict[str, Any]:
    return {
        "codings": [
            {"code": each.code, "display": each.display, "system": each.system}
            for each in line.codings
        ],
        "value": line.value,
        "unit": line.unit,
        "range": {
            "low": line.reference.low,
            "high": line.reference.high,
            "text": line.reference.text,
        },
        "flags": list(line.abnormal_flags),
        "status": line.status.value,
        "method": line.method,
        "notes": list(line.notes),
    }


def _moment(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    if moment.precision is Precision.DAY:
        return moment.day.isoformat()
    return instant(moment.at)


async def _view(call: Call, *, trends: bool) -> tuple[AnyRow, ReportView]:
    desk, person = call.request.app[DESK], person_of(call.request)
    row = await desk.read(lambda c: inbox_row(c, person.reach, call.path["delivery"]))
    if row is None:
        raise not_found()
    reading = call.request.app[DELIVERY].reading
    view = await asyncio.to_thread(
        lambda: reading.view(row.clinic_code, row.receipt_id, row.number, trends=trends)
    )
    if view is None:
        raise not_found()
    return row, view


def _subject(row: AnyRow) -> Subject:
    return Subject("delivery", str(row.id), row.clinic_code)


_ID = {"delivery": whole(1)}
_P = Permission
_DELIVERY = {
    "id": NUMBER,
    "destination": TEXT,
    "kind": TEXT,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "receipt": NUMBER,
    "report": NUMBER,
    "state": choice(*DeliveryState),
    "attempts": NUMBER,
    "queued_at": INSTANT,
    "sent_at": INSTANT,
    "ended_at": INSTANT,
    "answer": TEXT,
    "error_code": TEXT,
    "settled_at": INSTANT,
    "settled_by": TEXT,
}
_GLANCE = {"patient": TEXT, "records": every(told(id=NUMBER, order_code=TEXT))}
_CRITICAL = {
    "id": NUMBER,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "receipt": NUMBER,
    "report": NUMBER,
    "line": NUMBER,
    "reason": TEXT,
    "found_at": INSTANT,
    "confirmed_at": INSTANT,
    "confirmed_by": TEXT,
    "earlier": or_null(NUMBER),
    "ending": TEXT,
    "ended_at": INSTANT,
    "noted_at": INSTANT,
    "noted_by": TEXT,
}
_PATIENT = told(national_id=TEXT, name=TEXT, chart_number=TEXT, birth_on=or_null(DAY), sex=TEXT)
_LINE = told(
    codings=every(told(code=TEXT, display=TEXT, system=TEXT)),
    value=TEXT,
    unit=TEXT,
    range=told(low=TEXT, high=TEXT, text=TEXT),
    flags=every(TEXT),
    status=TEXT,
    method=TEXT,
    notes=every(TEXT),
    before=every(told(at=or_null(TEXT), value=TEXT)),
)
_RESULT = told(
    status=TEXT,
    version=NUMBER,
    patient=_PATIENT,
    placer_order_number=TEXT,
    filler_order_number=TEXT,
    specimen=TEXT,
    collected_at=or_null(TEXT),
    reported_at=or_null(TEXT),
    notes=every(TEXT),
    lines=every(_LINE),
)
OPERATIONS = (
    Operation(
        "GET",
        "/inbox",
        "listInbox",
        "Results for the caller's clinics, the newest first",
        _P.RECEIVE_RESULTS,
        inbox,
        query=paged({"unread": {"type": "boolean"}}),
        answers=page_of(**_DELIVERY, **_GLANCE),
    ),
    Operation(
        "GET",
        "/inbox/{delivery}",
        "showResult",
        "One result with its patient and earlier values; audited",
        _P.RECEIVE_RESULTS,
        show_result,
        path_parts=_ID,
        answers=told(**_DELIVERY, result=_RESULT),
    ),
    Operation(
        "GET",
        "/inbox/{delivery}/document",
        "showDocument",
        "One result as PDF, CSV or XLSX; audited",
        _P.RECEIVE_RESULTS,
        show_document,
        path_parts=_ID,
        query={"format": choice("pdf", "csv", "xlsx")},
        answers={"type": "string", "format": "binary"},
        media=tuple(kind.partition(";")[0] for kind in _MEDIA.values()),
    ),
    Operation(
        "POST",
        "/inbox/{delivery}/read",
        "readResult",
        "Say that a person has read a result",
        _P.RECEIVE_RESULTS,
        read_result,
        path_parts=_ID,
        body=shape({}),
        answers=told(read=TRUTH),
    ),
    Operation(
        "GET",
        "/deliveries",
        "listDeliveries",
        "What was delivered, or is to be",
        _P.SEE_WORK,
        deliveries,
        query=paged({"receipt": whole(1), "state": choice(*DeliveryState)}),
        answers=page_of(**_DELIVERY),
    ),
    Operation(
        "GET",
        "/deliveries/{delivery}",
        "showDelivery",
        "One delivery with its tries",
        _P.SEE_WORK,
        show_delivery,
        path_parts=_ID,
        answers=told(
            **_DELIVERY,
            tries=every(told(started_at=INSTANT, ended_at=INSTANT, outcome=TEXT, error_code=TEXT)),
        ),
    ),
    Operation(
        "POST",
        "/deliveries/{delivery}/again",
        "deliverAgain",
        "Send a result once more",
        _P.FIX_RECORD,
        deliver_again,
        path_parts=_ID,
        body=shape({}),
        answers=told(id=NUMBER),
    ),
    Operation(
        "POST",
        "/deliveries/{delivery}/settle",
        "settleDelivery",
        "Say that a refused result was seen to otherwise; audited",
        _P.FIX_RECORD,
        settle_delivery,
        path_parts=_ID,
        body=shape({}),
        answers=told(settled=TRUTH),
    ),
    Operation(
        "GET",
        "/critical",
        "listCritical",
        "Critical results; those that nobody has confirmed unless asked otherwise",
        _P.SEE_WORK,
        critical,
        query=paged({"unconfirmed": {"type": "boolean"}}),
        answers=page_of(**_CRITICAL, **_GLANCE),
    ),
    Operation(
        "POST",
        "/critical/{critical}/confirm",
        "confirmCritical",
        "Say that the clinic has heard of a critical result; audited",
        _P.CONFIRM_CRITICAL,
        confirm,
        path_parts={"critical": whole(1)},
        body=shape({}),
        answers=told(confirmed_by=TEXT),
    ),
)
