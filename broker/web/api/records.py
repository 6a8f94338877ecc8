"""Records, what waits for a person, and what a person decides about it."""

from __future__ import annotations

import json
from typing import Any

from broker.access.masking import masked_id
from broker.access.roles import Permission
from broker.finding_json import findings_from_json
from broker.states import RecordState
from broker.store.record_list import RecordQuery, list_records, next_after
from broker.store.record_way import find_record, record_way
from broker.store.rows import AnyRow
from broker.web.api.operation import (
    Answer,
    Call,
    Operation,
    instant,
    not_found,
    page,
    paged,
)
from broker.web.api.shapes import choice, shape, text, whole
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK
from broker.web.identity import person_of
from broker.worklist import open_causes, open_groups
from mapping.finding import Finding
from mapping.record import record_from_json

_ID = {"record": whole(1)}
_CODE = r"[0-9A-Za-z]*"


async def list_them(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    asked = {name: value for name, value in call.query.items() if name != "limit"}
    query = RecordQuery(**asked)
    rows = await desk.read(
        lambda c: list_records(c, person.reach, query, desk.clock(), desk.warn, call.limit)
    )
    shown = rows[: call.limit]
    more = next_after(query, shown[-1]) if len(rows) > call.limit and shown else None
    return page([_row(each) for each in shown], more)


async def show(call: Call) -> Answer:
    """The way of one record; who it is about stays masked."""
    desk, person = call.request.app[DESK], person_of(call.request)
    way = await desk.read(lambda c: record_way(c, person.reach, call.path["record"]))
    if way is None:
        raise not_found()
    return {
        **_row(way.row),
        "receipt": way.receipt.id,
        "source": way.receipt.source_id,
        "received_at": instant(way.receipt.received_at),
        "findings": [_finding(each) for each in findings_from_json(way.row.findings)],
        "verdict_code": way.row.verdict_code,
        "verdict_fields": way.row.verdict_fields,
        "task": way.row.task,
        "candidates": json.loads(way.row.candidates or "{}").get("visits", []),
        "versions": [each.id for each in way.versions],
        "packages": [
            {"package": each.id, "stem": each.stem, "state": each.state, "verdict": each.verdict}
            for each in way.packages
        ],
        "attempts": [
            {
                "package": each.package_id,
                "kind": each.kind,
                "started_at": instant(each.started_at),
                "ended_at": instant(each.ended_at),
                "outcome": each.outcome,
                "error_code": each.error_code,
            }
            for each in way.attempts
        ],
    }


async def show_patient(call: Call) -> Answer:
    """Every field of the record, the patient's too; that it was shown is in the audit trail."""
    desk, person = call.request.app[DESK], person_of(call.request)
    row = await desk.read(lambda c: find_record(c, person.reach, call.path["record"]))
    if row is None:
        raise not_found()
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(call.request, "show", subject, {"by": "api"})
    body = record_from_json(json.loads(row.body)) if row.body else None
    return {
        "id": row.id,
        "national_id": row.national_id,
        "header": {tag: each.value for tag, each in body.header.items()} if body else {},
        "rows": [{tag: each.value for tag, each in line.items()} for line in body.rows]
        if body
        else [],
    }


async def replay(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    row = await desk.read(lambda c: find_record(c, person.reach, call.path["record"]))
    if row is None:
        raise not_found()
    await desk.replay(row.receipt_id)
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(call.request, "replay", subject, {"receipt": str(row.receipt_id)})
    return {"receipt": row.receipt_id}


async def decide(call: Call) -> Answer:
    """Choose the visit of a held result, or be done with it for a reason."""
    desk, person = call.request.app[DESK], person_of(call.request)
    row = await desk.read(lambda c: find_record(c, person.reach, call.path["record"]))
    if row is None:
        raise not_found()
    body: dict[str, Any] = {"record_id": row.id, "by": name_of(call.request)}
    if "visit" in call.body:
        body["visit_id"] = call.body["visit"]
    else:
        body["reason"] = call.body["reason"]
    told = await order(call.request, "decide", body)
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(call.request, "match" if "visit" in call.body else "dismiss", subject)
    return {"requeued": told.get("requeued", 0)}


async def worklist(call: Call) -> Answer:
    """What waits, by cause, the most urgent first; each with an example and its proposal."""
    desk, person = call.request.app[DESK], person_of(call.request)
    after = call.query.get("after", "")

    def look(connection: Any) -> tuple[Any, Any, bool]:
        groups = open_groups(connection, person.reach)
        names = [group.group_id for group in groups]
        start = names.index(after) + 1 if after in names else 0
        shown = groups[start : start + call.limit]
        causes = open_causes(connection, desk.profiles, desk.today, shown, 3)
        return shown, causes, len(groups) > start + call.limit

    groups, causes, more = await desk.read(look)
    return page(
        [
            {
                "group": each.group_id,
                "records": len(each.record_ids),
                "due_at": instant(each.due_at),
                "finding": _finding(each.first.finding),
                "order_code": each.first.order_code,
                "lab_code": each.first.lab_code,
                "example_record": each.first.record_id,
                "is_proposed": bool(each.proposed),
            }
            for each in causes
        ],
        groups[-1].group_id if more and groups else None,
    )


async def fix(call: Call) -> Answer:
    """Mend all records of a cause that the caller sees."""
    person, group = person_of(call.request), call.path["group"]
    reach = None if person.reach is None else sorted(person.reach)
    body = {**call.body, "group_id": group, "by": name_of(call.request), "institutions": reach}
    told = await order(call.request, "fix", body)
    detail = {"ready": str(told["ready"]), "held": str(told["held"])}
    await audit(call.request, "fix", Subject("cause", group), detail)
    return {name: told[name] for name in ("ready", "held", "left")}


async def opt_out(call: Call) -> Answer:
    """Keep an order out of the upload, as the patient wished, or take that back."""
    person, asked = person_of(call.request), call.body
    if not person.sees(asked["institution_code"]):
        raise not_found()
    told = await order(call.request, "opt-out", {**asked, "by": name_of(call.request)})
    subject = Subject("institution", asked["institution_code"], asked["institution_code"])
    await audit(call.request, "opt-out", subject, {"order_code": asked["order_code"]})
    return told


def _row(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "version": row.version,
        "state": row.state,
        "held_reason": row.held_reason,
        "order_code": row.order_code,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "patient": masked_id(row.national_id),
        "due_at": instant(row.due_at),
        "confirmed_at": instant(row.confirmed_at),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """Without the value, which may be the patient's."""
    return {
        "code": finding.code,
        "field": finding.field,
        "place": finding.place,
        "severity": finding.severity.value,
    }


_TEXT = {"type": "string"}
_RECORD = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {"id": {"type": "integer"}, "state": _TEXT},
}
_PAGE = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {"items": {"type": "array"}, "next": {"type": ["string", "null"]}},
}
_SETTINGS = {
    "type": "object",
    "additionalProperties": text(4000),
    "minProperties": 1,
    "description": 'Field and its new value, as `{"h7": "0002"}`.',
}
_FIX = shape(
    {"accept": {"type": "boolean"}, "again": {"type": "boolean"}, "settings": _SETTINGS}, at_least=1
)

OPERATIONS = (
    Operation(
        "GET",
        "/records",
        "listRecords",
        "Records, the newest first, or by what is due",
        Permission.SEE_WORK,
        list_them,
        query=paged(
            {
                "state": choice(*RecordState),
                "clinic_code": text(10, pattern=_CODE),
                "order_code": text(12, pattern=_CODE),
                "due": choice("missed", "risk", "calm", "open"),
                "package": text(20, pattern=_CODE),
            },
            by_number=False,
        ),
        answers=_PAGE,
    ),
    Operation(
        "GET",
        "/records/{record}",
        "showRecord",
        "The way of one record, its patient masked",
        Permission.SEE_WORK,
        show,
        path_parts=_ID,
        answers=_RECORD,
    ),
    Operation(
        "GET",
        "/records/{record}/patient",
        "showPatient",
        "All fields of one record; audited",
        Permission.SEE_PATIENT,
        show_patient,
        path_parts=_ID,
    ),
    Operation(
        "POST",
        "/records/{record}/replay",
        "replayRecord",
        "Read the receipt of a record again",
        Permission.FIX_RECORD,
        replay,
        path_parts=_ID,
        body=shape({}),
    ),
    Operation(
        "POST",
        "/records/{record}/decide",
        "decideRecord",
        "Choose the visit of a held result (`visit`), or put it aside (`reason`)",
        Permission.FIX_RECORD,
        decide,
        path_parts=_ID,
        body=shape({"visit": whole(1), "reason": text(400, shortest=1)}, at_least=1),
    ),
    Operation(
        "GET",
        "/worklist",
        "listCauses",
        "What waits for a person, by cause",
        Permission.SEE_WORK,
        worklist,
        query=paged(by_number=False),
        answers=_PAGE,
    ),
    Operation(
        "POST",
        "/worklist/{group}/fix",
        "fixCause",
        "Put all records of a cause right: take the proposal, send again, or set fields",
        Permission.FIX_RECORD,
        fix,
        path_parts={"group": text(8, pattern="[0-9a-f]{8}")},
        body=_FIX,
    ),
    Operation(
        "POST",
        "/opt-outs",
        "optOut",
        "Keep an order out of the upload, as the patient wished",
        Permission.FIX_RECORD,
        opt_out,
        body=shape(
            {
                "institution_code": text(10, pattern="[0-9A-Z]{10}"),
                "national_id": text(10, pattern="[0-9A-Za-z]{10}"),
                "visit_on": text(10, pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"),
                "order_code": text(12, pattern="[0-9A-Za-z]{1,12}"),
                "opted_out": {"type": "boolean"},
            },
            "institution_code",
            "national_id",
            "visit_on",
            "order_code",
        ),
    ),
)
