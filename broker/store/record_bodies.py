"""The records themselves, as they are stored: read for a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, func, select

from broker.store.schema import record
from mapping.record import UploadRecord, record_from_json


def load_records(connection: Connection, ids: Sequence[int]) -> Iterator[UploadRecord]:
    """The records of ``ids`` in that order, a few hundred in memory at a time."""
    for start in range(0, len(ids), 200):
        part = ids[start : start + 200]
        rows = connection.execute(select(record.c.id, record.c.body).where(record.c.id.in_(part)))
        bodies = {row.id: row.body for row in rows}
        for record_id in part:
            yield record_from_json(json.loads(bodies[record_id]))


def stored_characters(connection: Connection, ids: Sequence[int]) -> int:
    """How many characters the stored records of ``ids`` have together."""
    total = 0
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        length = func.coalesce(func.sum(func.length(record.c.body)), 0)
        total += connection.execute(select(length).where(record.c.id.in_(part))).scalar_one()
    return total
