"""The faults that wait for the people of some institutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select

from broker.store.fault_index import WaitingFault, fault, waiting_faults
from broker.store.reach import record_in_reach
from broker.store.schema import record


def faults_in_reach(
    connection: Connection, institutions: frozenset[str] | None
) -> Iterator[WaitingFault]:
    """Those of :func:`waiting_faults` whose record is in reach, in the same order."""
    if institutions is None:
        yield from waiting_faults(connection)
        return
    columns = (
        fault.c.record_id,
        fault.c.due_at,
        fault.c.code,
        fault.c.field,
        fault.c.lab_code,
        fault.c.subject,
        fault.c.value,
    )
    result: Any = connection.execute(
        select(*columns)
        .join(record, record.c.id == fault.c.record_id)
        .where(record_in_reach(institutions))
        .order_by(fault.c.due_at.is_(None), fault.c.due_at, fault.c.record_id)
    )
    for row in result:
        yield tuple(row)
