"""The audit trail: who saw and did what, whether it is as it was written, and as FHIR."""

from __future__ import annotations

import json
from typing import Any

from broker.access.roles import Permission
from broker.audit_export import fhir_audit_event
from broker.store.audit_check import Fault, read_anchors, verify_trail
from broker.store.audit_list import events_after, list_events
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, instant, listing, paged
from broker.web.api.shapes import INSTANT, NUMBER, TEXT, choice, every, or_null, page_of, text, told
from broker.web.console.desk import DESK
from broker.web.identity import person_of


async def audit_trail(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: list_events(
            c,
            person.reach,
            call.limit,
            person=call.query.get("person", ""),
            kind=call.query.get("kind", ""),
            subject=call.query.get("subject", ""),
            before=call.query.get("after", 0),
        )
    )
    return listing(list(rows), call.limit, _event, "number")


async def verify(call: Call) -> Answer:
    """Holds every row against the chain and the anchors of the data folder."""
    desk = call.request.app[DESK]
    folder = desk.settings.data_dir
    found = await desk.read(lambda c: verify_trail(c, read_anchors(folder)))
    return {
        "events": found.events,
        "digest": found.digest.hex(),
        "anchors": found.anchors,
        "faults": [{"fault": fault.value, "number": number} for fault, number in found.faults],
    }


async def as_fhir(call: Call) -> Answer:
    """FHIR R4 AuditEvents, the oldest first, so that whoever collects them goes on where they
    stopped."""
    desk, person = call.request.app[DESK], person_of(call.request)
    rows = await desk.read(
        lambda c: events_after(c, person.reach, call.query.get("after", 0), call.limit + 1)
    )
    return listing(list(rows), call.limit, fhir_audit_event, "number")


def _event(row: AnyRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": instant(row.at),
        "person": row.person,
        "action": row.action,
        "kind": row.kind,
        "subject": row.subject,
        "institution": row.institution,
        "detail": json.loads(row.detail),
    }


_WORD = text(60, pattern=r"[A-Za-z0-9_.@:-]*")
OPERATIONS = (
    Operation(
        "GET",
        "/audit",
        "listAudit",
        "Who saw and did what, the newest first",
        Permission.SEE_AUDIT,
        audit_trail,
        query=paged({"person": _WORD, "kind": _WORD, "subject": _WORD}),
        answers=page_of(
            number=NUMBER,
            at=INSTANT,
            person=TEXT,
            action=TEXT,
            kind=TEXT,
            subject=TEXT,
            institution=TEXT,
            detail={"type": "object", "additionalProperties": TEXT},
        ),
    ),
    Operation(
        "GET",
        "/audit/verification",
        "verifyAudit",
        "Whether the trail is as it was written; reads all of it",
        Permission.SEE_AUDIT,
        verify,
        answers=told(
            events=NUMBER,
            digest=TEXT,
            anchors=NUMBER,
            faults=every(told(fault=choice(*Fault), number=NUMBER)),
        ),
    ),
    Operation(
        "GET",
        "/audit/fhir",
        "exportAudit",
        "The trail as FHIR R4 AuditEvents, the oldest first",
        Permission.SEE_AUDIT,
        as_fhir,
        query=paged(),
        answers=told(
            items=every(
                {
                    **told(resourceType=choice("AuditEvent"), id=TEXT),
                    "additionalProperties": True,
                    "description": "As FHIR R4 says.",
                }
            ),
            next=or_null(TEXT),
        ),
    ),
)
