"""Codes: what laboratories' own codes mean; those that wait come first, with suggestions."""

from __future__ import annotations

from typing import Any, TypeAlias

from aiohttp import web
from sqlalchemy import Connection

from broker.access.person import Person
from broker.access.roles import Permission
from broker.store.code_maps import standing_decisions
from broker.store.line_habits import changed_habits
from broker.store.reading import beyond_reach
from broker.unmapped_codes import UnmappedCode, gather_evidence, unmapped_codes
from broker.web.console.actions import (
    Notice,
    Subject,
    audit,
    done,
    form_of,
    name_of,
    notice_of,
    order,
    refused,
)
from broker.web.console.desk import DESK, Desk
from broker.web.console.kept import Kept
from broker.web.console.looks import urgency
from broker.web.console.rendering import language_of, not_there, render
from broker.web.console.source_reach import sees_source, sources_of
from broker.web.identity import person_of, requires
from mapping.catalogue.tables import order_code
from mapping.code_suggestions import CodeEvidence, Suggestion, suggest_codes
from mapping.errors import LabbrokerError

_WAITING = 10
_STANDING = 100
Evidence: TypeAlias = tuple[CodeEvidence, tuple[Suggestion, ...]]
EVIDENCE = web.AppKey("evidence", Kept[Evidence])


@requires(Permission.SEE_SOURCES)
async def show_codes(request: web.Request, notice: Notice | None = None) -> web.Response:
    """What waits, what changed, what is decided."""
    desk, person = request.app[DESK], person_of(request)
    after = request.query.get("after", "")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0
    values = await desk.read(lambda c: _look(c, desk, person, start))
    # What speaks for a meaning takes reading many results: kept while the same ones wait.
    values["cards"] = [
        (each, *(await _evidence(request, each)), level) for each, level in values["cards"]
    ]
    return render(request, "codes.html", "codes", notice=notice or notice_of(request), **values)


@requires(Permission.DECIDE_CODE)
async def decide_code(request: web.Request) -> web.Response:
    """Link a local code to an order code, or say that its lines are never uploaded."""
    form, person = await form_of(request), person_of(request)
    desk = request.app[DESK]
    source, code = form.get("source", ""), form.get("code", "")
    if not sees_source(person, desk, source):
        raise not_there(request)
    chosen, _, item = form.get("meaning", "").partition("/")
    if chosen in ("", "other"):
        chosen, item = form.get("order_code", "").upper(), form.get("item", "")
    elif chosen == "never":
        chosen, item = "", ""
    is_item = item.isascii() and item.isdigit() and len(item) < 4
    plain = {
        "source": source,
        "code": code,
        "specimen": "",
        "unit": "",
        "method": "",
        "order_code": chosen,
        "item": int(item) if is_item else None,
        "withdrawn": form.get("way") == "withdraw",
        "name": form.get("name", "")[:100],
        "by": name_of(request),
        "reason": form.get("reason", "")[:200],
    }
    language = language_of(person)
    if not chosen and form.get("meaning") != "never" and not plain["withdrawn"]:
        plain["order_code"] = "?"
    try:
        told = await order(request, "codes", [plain])
    except LabbrokerError as error:
        return await show_codes(request, notice=refused(error, language))
    await audit(request, "decide-code", Subject("source", source), {"order_code": chosen})
    raise done("/codes", "decided", n=told["requeued"])


@requires(Permission.DECIDE_CODE)
async def confirm_habit(request: web.Request) -> web.Response:
    """Say that a changed unit, or changed ranges, of a code are right."""
    form, person = await form_of(request), person_of(request)
    source = form.get("source", "")
    if not sees_source(person, request.app[DESK], source):
        raise not_there(request)
    body = {
        "source_id": source,
        "code": form.get("code", ""),
        "unit": form.get("unit", ""),
        "keep": form.get("keep") == "yes",
        "by": name_of(request),
    }
    try:
        told = await order(request, "codes-confirm", body)
    except LabbrokerError as error:
        return await show_codes(request, notice=refused(error, language_of(person)))
    await audit(request, "confirm-code", Subject("source", source))
    raise done("/codes", "confirmed", n=told["confirmed"])


async def _evidence(request: web.Request, code: UnmappedCode) -> Evidence:
    desk = request.app[DESK]

    def look(connection: Connection) -> Evidence:
        # What speaks for a meaning is what others decided too, and what clinics ordered.
        with beyond_reach(connection):
            found = gather_evidence(connection, code, desk.profiles, desk.readers)
        return found, suggest_codes(found)

    key = (code.source_id, code.code, code.receipt_ids)
    return (await request.app[EVIDENCE].of(key, lambda: desk.read(look))).value


def _look(connection: Connection, desk: Desk, person: Person, start: int) -> dict[str, Any]:
    now = desk.clock()
    sources = sources_of(person, desk)
    waiting = unmapped_codes(connection, sources)
    cards = [(each, urgency(each.due_at, now, desk.warn)) for each in waiting[:_WAITING]]
    decided = sorted(
        (
            each
            for each in standing_decisions(connection)
            if sees_source(person, desk, each.source_id)
        ),
        key=lambda each: -each.version,
    )
    shown = decided[start : start + _STANDING]
    return {
        "cards": cards,
        "waiting": len(waiting),
        "changed": changed_habits(connection, sources),
        "decided": [(each, order_code(each.order_code)) for each in shown],
        "more": f"/codes?after={start + _STANDING}" if len(decided) > start + _STANDING else "",
        "settings": [
            (source_id, code, link, order_code(link.order_code))
            for source_id, profile in sorted(desk.settings.profiles.items())
            if sees_source(person, desk, source_id)
            for code, link in sorted(profile.codes.items())
        ][:_STANDING],
    }
