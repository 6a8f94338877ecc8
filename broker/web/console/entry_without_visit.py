"""Single entry where no visit is known yet: the form asks whose result it is and who ordered it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from broker.access.person import Person
from broker.access.roles import Permission, Role
from broker.hand_entry import (
    EntryRow,
    EntryWrong,
    entry_csv,
    order_said,
    require_source,
    subject_said,
)
from broker.web.console.actions import Notice, done, form_of
from broker.web.console.desk import DESK
from broker.web.console.entry import receive_entry
from broker.web.console.entry_form import form_values, rows_of
from broker.web.console.rendering import language_of, render
from broker.web.console.wording import say
from broker.web.identity import person_of, requires


@requires(Permission.ENTER_RESULT)
async def show_entry_without_visit(request: web.Request) -> web.Response:
    """Which order; with ``?order=`` its form. A patient is never in an address."""
    asked = request.query.get("order")
    if asked is None:
        return _order_form(request)
    try:
        return await _form(request, order_said(asked.strip()))
    except EntryWrong as wrong:
        return _order_form(request, _notice(request, wrong))


@requires(Permission.ENTER_RESULT)
async def take_entry_without_visit(request: web.Request) -> web.Response:
    """Take the result in; it waits for its visit as any other result does."""
    desk, person, form = request.app[DESK], person_of(request), await form_of(request)
    try:
        code = order_said(form.get("order_code", ""))
    except EntryWrong as wrong:
        return _order_form(request, _notice(request, wrong))
    rows = rows_of(form)
    try:
        subject = subject_said(form, person)
        source = require_source(form.get("source", ""), desk.profiles, person)
        raw = entry_csv(subject, code, form, rows, desk.clock())
    except EntryWrong as wrong:
        return await _form(request, code, form, rows, _notice(request, wrong))
    receipt_id = await receive_entry(request, source, code, subject.institution_code, raw)
    raise done("/entry", "entered_without_visit", n=receipt_id)


def _notice(request: web.Request, wrong: EntryWrong) -> Notice:
    return Notice("bad", say(language_of(person_of(request)), f"entry.{wrong.name}"))


def _order_form(request: web.Request, notice: Notice | None = None) -> web.Response:
    return render(request, "entry_order.html", "entry", notice=notice, back="/entry/without-visit")


async def _form(
    request: web.Request,
    code: str,
    form: Mapping[str, str] | None = None,
    rows: Sequence[EntryRow] = (),
    notice: Notice | None = None,
) -> web.Response:
    desk, person, given = request.app[DESK], person_of(request), form or {}
    clinics = _clinics(person)
    values: dict[str, Any] = {
        "clinics": clinics,
        "clinic_code": given.get("clinic_code", clinics[0] if len(clinics) == 1 else ""),
        "national_id": given.get("national_id", ""),
        "birth_on": given.get("birth_on", ""),
        "back": f"/entry/without-visit?order={code}",
    }
    values |= await form_values(desk, person, code, given, rows)
    return render(request, "entry_without_visit.html", "entry", notice=notice, **values)


def _clinics(person: Person) -> list[str]:
    return sorted(person.institutions) if person.role is Role.CLINIC else []
