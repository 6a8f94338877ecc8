"""Our report of cases not uploaded, to be saved as NHI lays it out: patients are in it."""

from __future__ import annotations

import asyncio
from datetime import date
from urllib.parse import quote

from aiohttp import web

from broker.access.roles import Permission
from broker.rates.unuploaded_report import newest_days, report_of
from broker.web.console.actions import Subject, audit
from broker.web.console.desk import DESK
from broker.web.console.rendering import language_of, not_there
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError

_MEDIA = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "big5": "text/csv",
}
"""Forms of the file; ``big5`` is a CSV in CP950."""


@requires(Permission.SEE_PATIENT)
async def send_unuploaded(request: web.Request) -> web.Response:
    """The report of one clinic, of the last thirty days unless ``from`` and ``until`` say
    otherwise. It holds national ids: each saving is in the audit trail before it begins."""
    desk, person = request.app[DESK], person_of(request)
    clinic, form = request.match_info["clinic"], request.query.get("format", "xlsx")
    if form not in _MEDIA or not person.sees(clinic):
        raise not_there(request)
    if not person.may(Permission.SEE_RATES):
        raise web.HTTPForbidden
    now = desk.clock()
    usual = newest_days(now)
    from_on = _day(request.query.get("from", ""), usual[0])
    until_on = _day(request.query.get("until", ""), usual[1])
    report = await desk.read(
        lambda c: report_of(c, clinic, from_on, until_on, now, institutions=person.reach)
    )
    detail = {
        "format": form,
        "from": str(report.from_on),
        "until": str(report.until_on),
        "rows": str(len(report.rows)),
    }
    await audit(request, "download-unuploaded", Subject("clinic", clinic, clinic), detail)

    def write() -> bytes:
        if form == "xlsx":
            return report.as_xlsx()
        return report.as_csv("big5" if form == "big5" else "utf-8")

    try:
        body = await asyncio.to_thread(write)
    except LabbrokerError as error:
        language = language_of(person)
        text = f"{error.sentence(language)}\n{error.remedy(language)}\n"
        return web.Response(status=422, text=text, headers={"Cache-Control": "no-store"})
    ending = "csv" if form == "big5" else form
    plain = f"unuploaded-{clinic}-{report.from_on:%Y%m%d}-{report.until_on:%Y%m%d}.{ending}"
    named = quote(f"{report.stem}.{ending}", safe="")
    return web.Response(
        body=body,
        content_type=_MEDIA[form],
        charset={"csv": "utf-8", "big5": "big5"}.get(form),
        headers={
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}",
            "Cache-Control": "no-store",
        },
    )


def _day(text: str, usual: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return usual
