"""Our report of cases not uploaded, to be saved as NHI lays it out: patients are in it. And NHI's
own, to be compared."""

from __future__ import annotations

import asyncio
from datetime import date
from urllib.parse import quote

from aiohttp import web

from broker.access.roles import Permission
from broker.rates.nhi_files import NhiOverviewFile, ReportOfAnother, institution_of, keep
from broker.rates.unuploaded_report import UnuploadedReport, newest_days, report_of
from broker.web.console.actions import Notice, Subject, audit, done, refused
from broker.web.console.desk import DESK
from broker.web.console.rates import show_clinic_rates
from broker.web.console.rendering import language_of, not_there
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError

FORMS = {
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
    if form not in FORMS or not person.sees(clinic):
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

    try:
        return await asyncio.to_thread(report_answer, report, form)
    except LabbrokerError as error:
        language = language_of(person)
        text = f"{error.sentence(language)}\n{error.remedy(language)}\n"
        return web.Response(status=422, text=text, headers={"Cache-Control": "no-store"})


def report_answer(report: UnuploadedReport, form: str) -> web.Response:
    """The report in one of ``FORMS``, to be saved; nothing keeps it on the way. Raises
    ``ReportUnwritable``."""
    if form == "xlsx":
        body = report.as_xlsx()
    else:
        body = report.as_csv("big5" if form == "big5" else "utf-8")
    ending = "csv" if form == "big5" else form
    days = f"{report.from_on:%Y%m%d}-{report.until_on:%Y%m%d}"
    plain = f"unuploaded-{report.institution_code}-{days}.{ending}"
    named = quote(f"{report.stem}.{ending}", safe="")
    return web.Response(
        body=body,
        content_type=FORMS[form],
        charset={"csv": "utf-8", "big5": "big5"}.get(form),
        headers={
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}",
            "Cache-Control": "no-store",
        },
    )


@requires(Permission.SETTLE)
async def take_nhi_report(request: web.Request) -> web.StreamResponse:
    """NHI's report of a clinic (xlsx), whose figures are NHI's own. It names no patient; NHI's list
    of cases, which does, is for the command and the API, where it is never in a temporary file."""
    desk, person = request.app[DESK], person_of(request)
    clinic, language = request.match_info["clinic"], language_of(person)
    if not person.sees(clinic):
        raise not_there(request)
    given = (await request.post()).get("report")
    if not isinstance(given, web.FileField):
        raise done(f"/rates/{clinic}", "no_file")
    raw, name = given.file.read(), given.filename
    try:
        file = await asyncio.to_thread(desk.read_nhi_file, raw, name, clinic, ())
        if not isinstance(file, NhiOverviewFile) or institution_of(file) != clinic:
            raise ReportOfAnother
    except LabbrokerError as error:
        return await show_clinic_rates(request, notice=refused(error, language))
    await keep(file, desk.write, desk.clock())
    overview = file.overview
    days = {"from": str(overview.from_on), "until": str(overview.until_on)}
    await audit(request, "import-nhi-report", Subject("clinic", clinic, clinic), days)
    if file.findings:
        told = " ".join(each.message(language) for each in file.findings)
        return await show_clinic_rates(request, notice=Notice("info", told))
    raise done(f"/rates/{clinic}?month={overview.until_on:%Y-%m}", "nhi_report")


def _day(text: str, usual: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return usual
