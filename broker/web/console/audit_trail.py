"""Audit: who saw and did what, the newest first."""

from __future__ import annotations

import json

from aiohttp import web

from broker.access.roles import Permission
from broker.store.audit_list import list_events
from broker.web.console.desk import DESK
from broker.web.console.rendering import render
from broker.web.identity import person_of, requires

PAGE = 60


@requires(Permission.SEE_AUDIT)
async def show_audit(request: web.Request) -> web.Response:
    """A page of events; by person, or by what they were about."""
    reach, given = person_of(request).reach, request.query
    person = given.get("person", "").strip().lower()[:64]
    kind, _, subject = given.get("subject", "").strip()[:80].partition(":")
    after = given.get("after", "")
    before = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    rows = await request.app[DESK].read(
        lambda c: list_events(
            c, reach, PAGE, person=person, kind=kind, subject=subject, before=before
        )
    )
    shown = [(row, json.loads(row.detail)) for row in rows[:PAGE]]
    return render(
        request,
        "audit.html",
        "audit",
        rows=shown,
        asked_person=person,
        subject=f"{kind}:{subject}" if subject else "",
        after=before,
        more=shown[-1][0].number if len(rows) > PAGE else 0,
    )
