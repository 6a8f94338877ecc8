"""Lists that tell of results: each row with what may be seen of its result there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from broker.access.masking import masked_id
from broker.store.result_glance import Glance, Place, glances_of
from broker.store.rows import AnyRow
from broker.web.api.operation import Answer, Call, listing
from broker.web.api.shapes import NUMBER, TEXT, every, told
from broker.web.console.desk import DESK
from broker.web.identity import person_of

GLANCE = {"patient": TEXT, "records": every(told(id=NUMBER, order_code=TEXT))}
"""The shape of what is added to each row."""


async def listed_with_glances(
    call: Call,
    rows_of: Callable[[Connection], list[AnyRow]],
    make: Callable[[AnyRow], dict[str, Any]],
) -> Answer:
    """A page of rows that tell of results, each with what a list shows of its result."""
    desk, person = call.request.app[DESK], person_of(call.request)

    def look(connection: Connection) -> tuple[list[AnyRow], dict[Place, Glance]]:
        rows = rows_of(connection)
        places = [(row.receipt_id, row.number) for row in rows]
        return rows, glances_of(connection, person.reach, places)

    rows, glances = await desk.read(look)

    def whole_row(row: AnyRow) -> dict[str, Any]:
        seen = glances[row.receipt_id, row.number]
        records = [{"id": number, "order_code": code} for number, code in seen.records]
        return {**make(row), "patient": masked_id(seen.national_id), "records": records}

    return listing(rows, call.limit, whole_row)
