"""People: who may sign in, as what, for whom; new ones get a code for their first sign-in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from broker.access.roles import Permission, Role
from broker.store.people import accounts
from broker.web.console.actions import Notice, form_of, order, refused
from broker.web.console.desk import DESK
from broker.web.console.rendering import language_of, render
from broker.web.console.wording import say
from broker.web.identity import person_of, requires
from mapping.errors import LabbrokerError

_ORDERS = {
    "add": "people-add",
    "change": "people-change",
    "disable": "people-disable",
    "enable": "people-enable",
    "reset": "people-reset",
}
_BETWEEN = re.compile(r"[\s,、，;]+")


@requires(Permission.MANAGE_PEOPLE)
async def show_people(
    request: web.Request,
    notice: Notice | None = None,
    code: str = "",
    given: Mapping[str, str] | None = None,
) -> web.Response:
    """Everyone; ``code`` is shown once, to be handed on. ``given`` is a form that was refused."""
    everyone = await request.app[DESK].read(accounts)
    return render(
        request,
        "people.html",
        "people",
        people=everyone,
        roles=[role.value for role in Role],
        notice=notice,
        code=code,
        given=given or {},
    )


@requires(Permission.MANAGE_PEOPLE)
async def change_people(request: web.Request) -> web.Response:
    """Add, change, disable, enable or reset a person."""
    form, person = await form_of(request), person_of(request)
    name = _ORDERS.get(form.get("way", ""))
    if name is None:
        raise web.HTTPBadRequest
    language = language_of(person)
    told: dict[str, Any] = {"login": form.get("login", ""), "by": person.login}
    if form["way"] in ("add", "change"):
        if form.get("role", "") not in {each.value for each in Role}:
            raise web.HTTPBadRequest
        told["role"] = form["role"]
        listed = _BETWEEN.split(form.get("institutions", ""))
        told["institutions"] = [each for each in listed if each]
    if form["way"] == "add":
        told |= {"name": form.get("name", "")[:80], "language": form.get("language", "zh")}
    try:
        done = await order(request, name, told)
    except LabbrokerError as error:
        return await show_people(request, notice=refused(error, language), given=form)
    notice = Notice("good", say(language, f"people.done_{form['way']}", login=done["login"]))
    return await show_people(request, notice=notice, code=done.get("code", ""))
