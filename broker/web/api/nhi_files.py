"""NHI's lists and reports of cases not uploaded: brought, listed, worked down, saved; and ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from broker.access.roles import Permission
from broker.rates.compared_overview import compared, compared_to_json
from broker.rates.nhi_files import NhiOverviewFile, institution_of, keep
from broker.rates.nhi_list_export import list_csv
from broker.rates.plain import overview_to_json
from broker.rates.unuploaded_report import newest_days, report_of
from broker.store.nhi_lists import nhi_list, nhi_lists
from broker.store.nhi_overviews import newest_overview, overviews_of
from broker.store.rows import AnyRow
from broker.store.unuploaded import reconcile
from broker.web.api.operation import (
    MOST,
    Answer,
    Call,
    Operation,
    bad,
    instant,
    listing,
    not_found,
    page,
    paged,
)
from broker.web.api.rate_details import INSTITUTION, MONTH, ORDER, month_of
from broker.web.api.shapes import (
    DAY,
    INSTANT,
    NUMBER,
    TEXT,
    choice,
    every,
    or_null,
    page_of,
    text,
    told,
    whole,
)
from broker.web.console.actions import Subject, audit
from broker.web.console.desk import DESK
from broker.web.console.unuploaded import FORMS, report_answer
from broker.web.identity import person_of
from mapping.unuploaded import Outcome, UnuploadedRow


async def bring(call: Call) -> Answer:
    """A list (ZIP or CSV) or a report (xlsx), of an institution that the caller sees."""
    desk, person = call.request.app[DESK], person_of(call.request)
    name, whose = call.query.get("name", ""), call.query.get("institution", "")
    file = await asyncio.to_thread(desk.read_nhi_file, call.body, name, whose, ())
    institution = institution_of(file)
    if not person.sees(institution) or (whose and whose != institution):
        raise not_found()
    number = await keep(file, desk.write, desk.clock())
    is_report = isinstance(file, NhiOverviewFile)
    action = "import-nhi-report" if is_report else "import-nhi-list"
    await audit(call.request, action, Subject("clinic", institution, institution))
    return {
        "kind": "report" if is_report else "list",
        "institution_code": institution,
        "list": number or None,
        "findings": [
            {"code": each.code, "place": each.place, "text": each.message("en")}
            for each in file.findings
        ],
    }


async def lists(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: nhi_lists(c, person.reach, call.limit + 1, call.query.get("after", 0))
    )
    return listing(list(rows), call.limit, _list)


async def show_list(call: Call) -> Answer:
    """How many rows of a list are where, as things stand now; nobody is named."""
    row, found = await _reconciled(call)
    counts = Counter(outcome for outcome, _ in found)
    codes = Counter((outcome, each.order_code) for outcome, each in found)
    return {
        **_list(row),
        "outcomes": [
            {
                "outcome": outcome.value,
                "rows": counts[outcome],
                "order_codes": {
                    code: number for (which, code), number in codes.items() if which is outcome
                },
            }
            for outcome in Outcome
            if counts[outcome]
        ],
    }


async def list_rows(call: Call) -> Answer:
    """The rows of a list with what is known of each; patients are in it, audited."""
    row, found = await _reconciled(call)
    asked, begin = call.query.get("outcome"), call.query.get("after", 0)
    chosen = [each for each in found if asked in (None, each[0].value)]
    shown = chosen[begin : begin + call.limit]
    await _seen(call, row, len(shown), "json")
    end = begin + len(shown)
    items = [
        {
            "outcome": outcome.value,
            "national_id": each.national_id,
            "card_at": each.card_at,
            "visit_type": each.visit_type,
            "visit_serial": each.visit_serial,
            "order_code": each.order_code,
            "quantity": each.quantity,
        }
        for outcome, each in shown
    ]
    return page(items, end if end < len(chosen) else None)


async def list_document(call: Call) -> Answer:
    """The rows of a list as a CSV; patients are in it, audited."""
    row, found = await _reconciled(call)
    asked, form = call.query.get("outcome"), call.query.get("format", "csv")
    chosen = [each for each in found if asked in (None, each[0].value)]
    await _seen(call, row, len(chosen), form)
    body = await asyncio.to_thread(list_csv, chosen, "big5" if form == "big5" else "utf-8")
    return web.Response(
        body=body,
        content_type="text/csv",
        charset="big5" if form == "big5" else "utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="nhi-list-{row.id}.csv"',
            "Cache-Control": "no-store",
        },
    )


async def overviews(call: Call) -> Answer:
    """NHI's own figures that were imported, the newest data first."""
    desk, person = call.request.app[DESK], person_of(call.request)
    found = await desk.read(lambda c: overviews_of(c, person.reach, MOST))
    return {"items": [overview_to_json(each) for each in found]}


async def show_overview(call: Call) -> Answer:
    """The newest one of a month beside our own count, each day's difference explained."""
    desk, institution, month = call.request.app[DESK], _institution(call), month_of(call)

    def look(connection: Connection) -> dict[str, Any] | None:
        mine = frozenset({institution})
        found = newest_overview(connection, mine, month.first, month.last)
        return None if found is None else compared_to_json(compared(connection, found))

    told_of = await desk.read(look)
    if told_of is None:
        raise not_found()
    return told_of


async def our_report(call: Call) -> Answer:
    """The report of cases not uploaded of one institution; patients are in it, audited."""
    desk, person = call.request.app[DESK], person_of(call.request)
    institution, form, now = _institution(call), call.query.get("format", "xlsx"), desk.clock()
    usual = newest_days(now)
    try:
        first, last = (
            date.fromisoformat(call.query[name]) if name in call.query else usual[at]
            for at, name in enumerate(("from", "until"))
        )
    except ValueError:
        raise bad(web.HTTPBadRequest, "wrong-parameter", "There is no such day.") from None
    report = await desk.read(
        lambda c: report_of(c, institution, first, last, now, institutions=person.reach)
    )
    detail = {
        "format": form,
        "from": str(report.from_on),
        "until": str(report.until_on),
        "rows": str(len(report.rows)),
        "by": "api",
    }
    subject = Subject("clinic", institution, institution)
    await audit(call.request, "download-unuploaded", subject, detail)
    return await asyncio.to_thread(report_answer, report, form)


def _institution(call: Call) -> str:
    institution: str = call.path["institution"]
    if not person_of(call.request).sees(institution):
        raise not_found()
    return institution


async def _reconciled(call: Call) -> tuple[AnyRow, list[tuple[Outcome, UnuploadedRow]]]:
    desk, person, list_id = call.request.app[DESK], person_of(call.request), call.path["list"]

    def look(connection: Connection) -> tuple[AnyRow, list[tuple[Outcome, UnuploadedRow]]] | None:
        row = nhi_list(connection, person.reach, list_id)
        return None if row is None else (row, list(reconcile(connection, list_id)))

    found = await desk.read(look)
    if found is None:
        raise not_found()
    return found


async def _seen(call: Call, row: AnyRow, rows: int, form: str) -> None:
    subject = Subject("nhi-list", str(row.id), row.institution_code)
    detail = {"format": form, "rows": str(rows), "by": "api"}
    await audit(call.request, "show-nhi-list", subject, detail)


def _list(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "institution_code": row.institution_code,
        "from_on": row.from_on.isoformat() if row.from_on else None,
        "until_on": row.until_on.isoformat() if row.until_on else None,
        "taken_at": instant(row.taken_at),
        "rows": row.row_count,
    }


_P = Permission
_LIST = {
    "id": NUMBER,
    "institution_code": TEXT,
    "from_on": or_null(DAY),
    "until_on": or_null(DAY),
    "taken_at": INSTANT,
    "rows": NUMBER,
}
_OVERVIEW: dict[str, Any] = {
    "institution_code": TEXT,
    "from_on": DAY,
    "until_on": DAY,
    "data_on": DAY,
    "days": every(told(visit_on=DAY, due=TEXT, uploaded=TEXT, own=TEXT, commissioned=TEXT)),
}
_RATE = {"type": "object"}
_OF_LIST = {"list": whole(1)}
_OUTCOME = {"outcome": choice(*Outcome)}
_ON = text(
    10, pattern="20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", about="A day of a month."
)
OPERATIONS = (
    Operation(
        "POST",
        "/nhi-files",
        "bringNhiFile",
        "Bring NHI's list of cases not uploaded (ZIP or CSV) or its report (xlsx); a ZIP is opened "
        "with the password of the settings",
        _P.SETTLE,
        bring,
        query={
            "name": text(200, pattern=r"[^\x00/\\]*", about="The name of its file."),
            "institution": INSTITUTION,
        },
        body={"type": "string", "format": "binary"},
        takes="application/octet-stream",
        answers=told(
            kind=TEXT,
            institution_code=TEXT,
            list=or_null(NUMBER),
            findings=every(told(code=TEXT, place=TEXT, text=TEXT)),
        ),
    ),
    Operation(
        "GET",
        "/nhi-lists",
        "listNhiLists",
        "NHI's lists of cases not uploaded that were brought, the newest first",
        _P.SEE_RATES,
        lists,
        query=paged(),
        answers=page_of(**_LIST),
    ),
    Operation(
        "GET",
        "/nhi-lists/{list}",
        "showNhiList",
        "What is known here of a list's rows, in numbers",
        _P.SEE_RATES,
        show_list,
        path_parts=_OF_LIST,
        answers=told(
            **_LIST,
            outcomes=every(
                told(
                    outcome=TEXT,
                    rows=NUMBER,
                    order_codes={"type": "object", "additionalProperties": NUMBER},
                )
            ),
        ),
    ),
    Operation(
        "GET",
        "/nhi-lists/{list}/rows",
        "listNhiListRows",
        "The rows of a list with what is known of each; audited",
        _P.SEE_PATIENT,
        list_rows,
        path_parts=_OF_LIST,
        query=paged(_OUTCOME),
        answers=page_of(
            outcome=TEXT,
            national_id=TEXT,
            card_at=TEXT,
            visit_type=TEXT,
            visit_serial=TEXT,
            order_code=TEXT,
            quantity=TEXT,
        ),
    ),
    Operation(
        "GET",
        "/nhi-lists/{list}/document",
        "saveNhiList",
        "The rows of a list as CSV in UTF-8 or Big5; audited",
        _P.SEE_PATIENT,
        list_document,
        path_parts=_OF_LIST,
        query={**_OUTCOME, "format": choice("csv", "big5")},
        answers={},
        media="text/csv",
    ),
    Operation(
        "GET",
        "/nhi-reports",
        "listNhiReports",
        "NHI's own figures that were brought, the newest data first",
        _P.SEE_RATES,
        overviews,
        answers=told(items=every(told(**_OVERVIEW))),
    ),
    Operation(
        "GET",
        "/nhi-reports/{institution}",
        "showNhiReport",
        "NHI's own figures of a month beside ours, each day's difference explained",
        _P.SEE_RATES,
        show_overview,
        path_parts={"institution": INSTITUTION},
        query={"month": MONTH},
        answers=told(
            **_OVERVIEW,
            nhi=_RATE,
            here=_RATE,
            gaps=every(
                told(visit_on=DAY, cause=TEXT, uploaded=TEXT, due=TEXT, orders=every(told(**ORDER)))
            ),
        ),
    ),
    Operation(
        "GET",
        "/unuploaded/{institution}",
        "saveUnuploaded",
        "Our report of cases not uploaded, laid out as NHI's; audited",
        _P.SEE_PATIENT,
        our_report,
        path_parts={"institution": INSTITUTION},
        query={"from": _ON, "until": _ON, "format": choice(*FORMS)},
        answers={},
        media="*/*",
    ),
)
