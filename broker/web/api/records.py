"""Records: their whole way, their patients when asked for, and what a person decides about one."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from broker.access.masking import masked_id
from broker.access.roles import Permission
from broker.finding_json import findings_from_json
from broker.replay_trial import ReplayLine, try_replay
from broker.states import RecordState
from broker.store.reading import beyond_reach
from broker.store.record_list import RecordQuery, list_records, next_after
from broker.store.record_way import RecordWay, find_record, record_way
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
from broker.web.api.shapes import (
    DAY,
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    or_null,
    page_of,
    shape,
    text,
    told,
    whole,
)
from broker.web.console.actions import Subject, audit, name_of, order
from broker.web.console.desk import DESK, Desk
from broker.web.console.looks import masked_text
from broker.web.console.masking import masked_bytes_of
from broker.web.console.provenance import origin_kind, shown_fields
from broker.web.console.record import report_of_way
from broker.web.identity import person_of
from mapping.finding import Finding
from mapping.record import Fields, record_from_json
from mapping.report import LabReport
from mapping.visit import Visit

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

    def look(connection: Connection) -> tuple[RecordWay, LabReport | None] | None:
        found = record_way(connection, person.reach, call.path["record"])
        return None if found is None else (found, report_of_way(found, desk))

    found = await desk.read(look)
    if found is None:
        raise not_found()
    way, report = found
    fields = _fields(way.row, desk)
    return {
        **_row(way.row),
        "receipt": way.receipt.id,
        "source": way.receipt.source_id,
        "received_at": instant(way.receipt.received_at),
        "findings": [_finding(each) for each in findings_from_json(way.row.findings)],
        "verdict_code": way.row.verdict_code,
        "verdict_fields": way.row.verdict_fields,
        "task": way.row.task,
        "candidates": [
            {name: each[name] for name in _CANDIDATE}
            for each in json.loads(way.row.candidates or "{}").get("visits", [])
        ],
        "visit": None if way.visit is None else _visit(way.row.visit_id, way.visit),
        "raw": masked_bytes_of(way),
        "report": None if report is None else _report(report),
        "header": fields[0] if fields else [],
        "rows": fields[1:],
        "versions": [each.id for each in way.versions],
        "beside": [each.id for each in way.beside],
        "packages": [
            {
                "package": each.id,
                "stem": each.stem,
                "state": each.state,
                "position": each.position,
                "receipt_number": each.receipt_number,
                "verdict": each.verdict,
            }
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
        "deliveries": [
            {
                "id": each.id,
                "destination": each.destination,
                "kind": each.kind,
                "state": each.state,
                "attempts": each.attempts,
                "queued_at": instant(each.queued_at),
                "ended_at": instant(each.ended_at),
                "error_code": each.error_code,
            }
            for each in way.deliveries
        ],
        "events": [
            {"at": instant(each.at), "person": each.person, "action": each.action}
            for each in way.events
        ],
    }


async def show_patient(call: Call) -> Answer:
    """Every field of the record, the patient's too; that it was shown is in the audit trail."""
    desk, person = call.request.app[DESK], person_of(call.request)
    row = await desk.read(lambda c: find_record(c, person.reach, call.path["record"]))
    if row is None:
        raise not_found()
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(call.request, "show-patient", subject, {"by": "api"})
    body = record_from_json(json.loads(row.body)) if row.body else None
    return {
        "id": row.id,
        "national_id": row.national_id,
        "header": {tag: each.value for tag, each in body.header.items()} if body else {},
        "rows": [{tag: each.value for tag, each in line.items()} for line in body.rows]
        if body
        else [],
    }


async def try_again(call: Call) -> Answer:
    """What reading the receipt of a record again would change; nothing is changed by looking."""
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Connection) -> tuple[ReplayLine, ...] | None:
        row = find_record(connection, person.reach, call.path["record"])
        if row is None:
            return None
        # Results are matched with visits that a laboratory does not see.
        with beyond_reach(connection):
            parts = (desk.profiles, desk.readers, desk.drafting)
            return try_replay(connection, row.receipt_id, *parts, person.reach)

    found = await desk.read(look)
    if found is None:
        raise not_found()
    return {
        "items": [
            {
                "place": each.place,
                "order_code": each.order_code,
                "before": each.before,
                "after": each.after,
                "has_left": each.has_left,
                "changes": list(each.changes),
                "is_change": each.is_change,
            }
            for each in found
        ]
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
    done = await order(call.request, "decide", body)
    subject = Subject("record", str(row.id), row.clinic_code)
    await audit(call.request, "match" if "visit" in call.body else "dismiss", subject)
    return {"requeued": done.get("requeued", 0)}


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


def _fields(row: AnyRow, desk: Desk) -> list[list[dict[str, Any]]]:
    """The header, then each row, the patient masked."""
    if not row.body:
        return []
    body = record_from_json(json.loads(row.body))
    return [_part(part, desk) for part in (body.header, *body.rows)]


def _part(part: Fields, desk: Desk) -> list[dict[str, Any]]:
    return [
        {
            "tag": each.tag,
            "value": each.value,
            "meaning": each.meaning,
            "origin": origin_kind(part[each.tag].origin),
            "place": each.place,
            "assumed": each.assumed,
        }
        for each in shown_fields(part, desk.today, "en")
    ]


def _report(report: LabReport) -> dict[str, Any]:
    """As it is read today; running text, which may name the patient, is masked."""
    return {
        "status": report.status.value,
        "reported_at": instant(report.reported_at.at) if report.reported_at else None,
        "specimen": report.specimen.kind,
        "place": report.place,
        "lines": [
            {
                "codings": [
                    {"code": each.code, "display": each.display, "system": each.system}
                    for each in line.codings
                ],
                "value": masked_text(line.value, line.value_type),
                "unit": line.unit,
                "range": {
                    "low": line.reference.low,
                    "high": line.reference.high,
                    "text": line.reference.text,
                },
                "flags": list(line.abnormal_flags),
                "place": line.place,
            }
            for line in report.observations
        ],
    }


def _visit(visit_id: int, visit: Visit) -> dict[str, Any]:
    return {
        "id": visit_id,
        "clinic_code": visit.institution_code,
        "visit_on": visit.visit_on.isoformat(),
        "visit_serial": visit.visit_serial,
        "card_at": instant(visit.card_at),
        "orders": len(visit.orders),
    }


_P = Permission
_ROW = {
    "id": NUMBER,
    "version": NUMBER,
    "state": choice(*RecordState),
    "held_reason": TEXT,
    "order_code": TEXT,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "patient": TEXT,
    "due_at": INSTANT,
    "confirmed_at": INSTANT,
}
_CANDIDATE = {
    "visit": NUMBER,
    "visit_on": DAY,
    "order_code": TEXT,
    "score": NUMBER,
    "reason": TEXT,
    "signs": every(TEXT),
}
_PART = every(told(tag=TEXT, value=TEXT, meaning=TEXT, origin=TEXT, place=TEXT, assumed=TRUTH))
_VALUES = {"type": "object", "additionalProperties": TEXT}
_WAY = {
    "receipt": NUMBER,
    "source": TEXT,
    "received_at": INSTANT,
    "findings": every(told(code=TEXT, field=TEXT, place=TEXT, severity=TEXT)),
    "verdict_code": TEXT,
    "verdict_fields": TEXT,
    "task": TEXT,
    "candidates": every(told(**_CANDIDATE)),
    "visit": or_null(
        told(
            id=NUMBER,
            clinic_code=TEXT,
            visit_on=DAY,
            visit_serial=TEXT,
            card_at=INSTANT,
            orders=NUMBER,
        )
    ),
    "raw": {
        **or_null(TEXT),
        "description": "What came, masked; null where other clinics' results are in it.",
    },
    "report": or_null(
        told(
            status=TEXT,
            reported_at=INSTANT,
            specimen=TEXT,
            place=TEXT,
            lines=every(
                told(
                    codings=every(told(code=TEXT, display=TEXT, system=TEXT)),
                    value=TEXT,
                    unit=TEXT,
                    range=told(low=TEXT, high=TEXT, text=TEXT),
                    flags=every(TEXT),
                    place=TEXT,
                )
            ),
        )
    ),
    "header": _PART,
    "rows": every(_PART),
    "versions": every(NUMBER),
    "beside": every(NUMBER),
    "packages": every(
        told(
            package=NUMBER,
            stem=TEXT,
            state=TEXT,
            position=NUMBER,
            receipt_number=TEXT,
            verdict=TEXT,
        )
    ),
    "attempts": every(
        told(
            package=NUMBER,
            kind=TEXT,
            started_at=INSTANT,
            ended_at=INSTANT,
            outcome=TEXT,
            error_code=TEXT,
        )
    ),
    "deliveries": every(
        told(
            id=NUMBER,
            destination=TEXT,
            kind=TEXT,
            state=TEXT,
            attempts=NUMBER,
            queued_at=INSTANT,
            ended_at=INSTANT,
            error_code=TEXT,
        )
    ),
    "events": every(told(at=INSTANT, person=TEXT, action=TEXT)),
}
OPERATIONS = (
    Operation(
        "GET",
        "/records",
        "listRecords",
        "Records, the newest first, or by what is due",
        _P.SEE_WORK,
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
        answers=page_of(**_ROW),
    ),
    Operation(
        "GET",
        "/records/{record}",
        "showRecord",
        "The whole way of one record, its patient masked",
        _P.SEE_WORK,
        show,
        path_parts=_ID,
        answers=told(**_ROW, **_WAY),
    ),
    Operation(
        "GET",
        "/records/{record}/patient",
        "showPatient",
        "All fields of one record; audited",
        _P.SEE_PATIENT,
        show_patient,
        path_parts=_ID,
        answers=told(id=NUMBER, national_id=TEXT, header=_VALUES, rows=every(_VALUES)),
    ),
    Operation(
        "GET",
        "/records/{record}/replay",
        "tryReplay",
        "What reading the receipt of a record again would change",
        _P.FIX_RECORD,
        try_again,
        path_parts=_ID,
        answers=told(
            items=every(
                told(
                    place=TEXT,
                    order_code=TEXT,
                    before=TEXT,
                    after=TEXT,
                    has_left=TRUTH,
                    changes=every(TEXT),
                    is_change=TRUTH,
                )
            )
        ),
    ),
    Operation(
        "POST",
        "/records/{record}/replay",
        "replayRecord",
        "Read the receipt of a record again",
        _P.FIX_RECORD,
        replay,
        path_parts=_ID,
        body=shape({}),
        answers=told(receipt=NUMBER),
    ),
    Operation(
        "POST",
        "/records/{record}/decide",
        "decideRecord",
        "Choose the visit of a held result (`visit`), or put it aside (`reason`)",
        _P.FIX_RECORD,
        decide,
        path_parts=_ID,
        body=shape({"visit": whole(1), "reason": text(400, shortest=1)}, at_least=1, at_most=1),
        answers=told(requeued=NUMBER),
    ),
)
