"""Critical results: which wait for a person, and that somebody has taken note."""

from __future__ import annotations

from typing import Any

from broker.access.roles import Permission
from broker.delivery.taken_note import confirmed_by
from broker.store.critical import critical_of, is_corrected
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, Operation, instant, not_found, paged
from broker.web.api.result_glances import GLANCE, listed_with_glances
from broker.web.api.shapes import INSTANT, NUMBER, TEXT, or_null, page_of, shape, told, whole
from broker.web.console.desk import DESK
from broker.web.identity import person_of


async def critical(call: Call) -> Answer:
    """Patients are masked."""
    person = person_of(call.request)
    return await listed_with_glances(
        call,
        lambda c: critical_of(
            c,
            person.reach,
            unconfirmed=call.query.get("unconfirmed", True),
            before=call.query.get("after"),
            count=call.limit + 1,
        ),
        critical_json,
    )


async def confirm(call: Call) -> Answer:
    """A person has taken note of a critical result, or of its correction; audited."""
    desk, person = call.request.app[DESK], person_of(call.request)

    row = await desk.write(lambda c: confirmed_by(c, call.path["critical"], person, desk.clock()))
    if row is None:
        raise not_found()
    first = row.noted_by if is_corrected(row) else row.confirmed_by
    return {"confirmed_by": person.login if row.waits else first}


def critical_json(row: AnyRow) -> dict[str, Any]:
    """A critical result without its value: that is in the result itself."""
    return {
        "id": row.id,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "receipt": row.receipt_id,
        "report": row.number,
        "line": row.line,
        "reason": row.reason,
        "found_at": instant(row.found_at),
        "confirmed_at": instant(row.confirmed_at),
        "confirmed_by": row.confirmed_by,
        "earlier": row.earlier_id,
        "ending": row.ending,
        "ended_at": instant(row.ended_at),
        "noted_at": instant(row.noted_at),
        "noted_by": row.noted_by,
    }


_P = Permission
_CRITICAL = {
    "id": NUMBER,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "receipt": NUMBER,
    "report": NUMBER,
    "line": NUMBER,
    "reason": TEXT,
    "found_at": INSTANT,
    "confirmed_at": INSTANT,
    "confirmed_by": TEXT,
    "earlier": or_null(NUMBER),
    "ending": TEXT,
    "ended_at": INSTANT,
    "noted_at": INSTANT,
    "noted_by": TEXT,
}
OPERATIONS = (
    Operation(
        "GET",
        "/critical",
        "listCritical",
        "Critical results; those that nobody has confirmed unless asked otherwise",
        _P.SEE_WORK,
        critical,
        query=paged({"unconfirmed": {"type": "boolean"}}),
        answers=page_of(**_CRITICAL, **GLANCE),
    ),
    Operation(
        "POST",
        "/critical/{critical}/confirm",
        "confirmCritical",
        "Say that the clinic has heard of a critical result; audited",
        _P.CONFIRM_CRITICAL,
        confirm,
        path_parts={"critical": whole(1)},
        body=shape({}),
        answers=told(confirmed_by=TEXT),
    ),
)
