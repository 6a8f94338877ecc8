"""What was delivered or is to be: its tries, sending again, seeing to what was refused."""

from __future__ import annotations

from typing import Any

from broker.access.roles import Permission
from broker.delivery.agreement import DeliveryState
from broker.delivery.refused import sent_again_by, settled_by
from broker.store.outbox import attempts_of, deliveries_of, delivery_row
from broker.store.rows import AnyRow
from broker.web.api.delivery_desk import DELIVERY
from broker.web.api.operation import Answer, Call, Operation, instant, listing, not_found, paged
from broker.web.api.shapes import (
    INSTANT,
    NUMBER,
    TEXT,
    TRUTH,
    choice,
    every,
    page_of,
    shape,
    told,
    whole,
)
from broker.web.console.desk import DESK
from broker.web.identity import person_of


async def deliveries(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)
    state = call.query.get("state")
    rows = await desk.read(
        lambda c: deliveries_of(
            c,
            person.reach,
            receipt_id=call.query.get("receipt"),
            state=DeliveryState(state) if state else None,
            before=call.query.get("after"),
            count=call.limit + 1,
        )
    )
    return listing(rows, call.limit, delivery_json)


async def show_delivery(call: Call) -> Answer:
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Any) -> tuple[AnyRow | None, list[AnyRow]]:
        row = delivery_row(connection, person.reach, call.path["delivery"])
        return row, attempts_of(connection, row.id) if row is not None else []

    row, tries = await desk.read(look)
    if row is None:
        raise not_found()
    return {
        **delivery_json(row),
        "tries": [
            {
                "started_at": instant(each.started_at),
                "ended_at": instant(each.ended_at),
                "outcome": each.outcome,
                "error_code": each.error_code,
            }
            for each in tries
        ],
    }


async def deliver_again(call: Call) -> Answer:
    """Send once more what has arrived or was refused."""
    desk, person = call.request.app[DESK], person_of(call.request)
    made = await desk.write(lambda c: sent_again_by(c, call.path["delivery"], person, desk.clock()))
    if made is None:
        raise not_found()
    call.request.app[DELIVERY].wake()
    return {"id": made}


async def settle_delivery(call: Call) -> Answer:
    """A person has seen to a refused result in another way; its alarm ends. Audited."""
    desk, person = call.request.app[DESK], person_of(call.request)
    if not await desk.write(lambda c: settled_by(c, call.path["delivery"], person, desk.clock())):
        raise not_found()
    return {"settled": True}


def delivery_json(row: AnyRow) -> dict[str, Any]:
    """A delivery without a word of what it holds."""
    return {
        "id": row.id,
        "destination": row.destination,
        "kind": row.kind,
        "clinic_code": row.clinic_code,
        "lab_code": row.lab_code,
        "receipt": row.receipt_id,
        "report": row.number,
        "state": row.state,
        "attempts": row.attempts,
        "queued_at": instant(row.queued_at),
        "sent_at": instant(row.sent_at),
        "ended_at": instant(row.ended_at),
        "answer": row.answer,
        "error_code": row.error_code,
        "settled_at": instant(row.settled_at),
        "settled_by": row.settled_by,
    }


_ID = {"delivery": whole(1)}
_P = Permission
DELIVERY_SHAPE = {
    "id": NUMBER,
    "destination": TEXT,
    "kind": TEXT,
    "clinic_code": TEXT,
    "lab_code": TEXT,
    "receipt": NUMBER,
    "report": NUMBER,
    "state": choice(*DeliveryState),
    "attempts": NUMBER,
    "queued_at": INSTANT,
    "sent_at": INSTANT,
    "ended_at": INSTANT,
    "answer": TEXT,
    "error_code": TEXT,
    "settled_at": INSTANT,
    "settled_by": TEXT,
}
"""What :func:`delivery_json` gives."""
OPERATIONS = (
    Operation(
        "GET",
        "/deliveries",
        "listDeliveries",
        "What was delivered, or is to be",
        _P.SEE_WORK,
        deliveries,
        query=paged({"receipt": whole(1), "state": choice(*DeliveryState)}),
        answers=page_of(**DELIVERY_SHAPE),
    ),
    Operation(
        "GET",
        "/deliveries/{delivery}",
        "showDelivery",
        "One delivery with its tries",
        _P.SEE_WORK,
        show_delivery,
        path_parts=_ID,
        answers=told(
            **DELIVERY_SHAPE,
            tries=every(told(started_at=INSTANT, ended_at=INSTANT, outcome=TEXT, error_code=TEXT)),
        ),
    ),
    Operation(
        "POST",
        "/deliveries/{delivery}/again",
        "deliverAgain",
        "Send a result once more",
        _P.FIX_RECORD,
        deliver_again,
        path_parts=_ID,
        body=shape({}),
        answers=told(id=NUMBER),
    ),
    Operation(
        "POST",
        "/deliveries/{delivery}/settle",
        "settleDelivery",
        "Say that a refused result was seen to otherwise; audited",
        _P.FIX_RECORD,
        settle_delivery,
        path_parts=_ID,
        body=shape({}),
        answers=told(settled=TRUTH),
    ),
)
