"""The inbox of a clinic: its results, one with its patient, documents, what was read."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from adapters.ports.report_view import ReportView
from broker.access.roles import Permission
from broker.delivery.agreement import DeliveryFormat
from broker.delivery.taken_note import read_by
from broker.store.outbox import inbox_of, inbox_row
from broker.store.rows import AnyRow
from broker.web.api.deliveries import DELIVERY_SHAPE, delivery_json
from broker.web.api.delivery_desk import DELIVERY
from broker.web.api.operation import Answer, Call, Operation, instant, not_found, paged
from broker.web.api.result_glances import GLANCE, listed_with_glances
from broker.web.api.shapes import (
    DAY,
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

_MEDIA = {
    DeliveryFormat.PDF: "application/pdf",
    DeliveryFormat.CSV: "text/csv; charset=utf-8",
    DeliveryFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def inbox(call: Call) -> Answer:
    """Patients are masked until one is opened."""
    person = person_of(call.request)
    return await listed_with_glances(
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
        answers=page_of(**DELIVERY_SHAPE, **GLANCE),
    ),
    Operation(
        "GET",
        "/inbox/{delivery}",
        "showResult",
        "One result with its patient and earlier values; audited",
        _P.RECEIVE_RESULTS,
        show_result,
        path_parts=_ID,
        answers=told(**DELIVERY_SHAPE, result=_RESULT),
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
)
