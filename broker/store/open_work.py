"""What waits for a person: held and rejected records, and what else is known of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, and_, select

from broker.states import RecordState
from broker.store.receipts import IS_QUARANTINED
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record, visit
from broker.store.visit_json import visit_from_text
from mapping.proposals import RangeKey, range_key
from mapping.record import record_from_json
from mapping.visit import Visit

_RANGES_FROM = 200
WHAT_STOPS = (
    record.c.id,
    record.c.place,
    record.c.state,
    record.c.held_reason,
    record.c.lab_code,
    record.c.order_code,
    record.c.due_at,
    record.c.verdict_code,
    record.c.candidates,
    record.c.findings,
)
"""Of a record that waits, what says what it waits for."""


def records_in_order(
    connection: Connection, ids: Sequence[int], columns: Sequence[Column[Any]] = ()
) -> Iterator[AnyRow]:
    """The records of ``ids`` in that order, a few hundred in memory at a time; of each only
    ``columns``, among them the id, where some are given."""
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        rows = connection.execute(select(*(columns or record.c)).where(record.c.id.in_(part)))
        found = {row.id: row for row in rows}
        yield from (found[record_id] for record_id in part)


def sources_of(connection: Connection, rows: Sequence[AnyRow]) -> Mapping[int, str]:
    """For each record the source whose words it carries, also after a person has put some right."""
    receipts = {row.id: row.receipt_id for row in rows}
    corrected = {row.id: row.corrects_id for row in rows if row.corrects_id is not None}
    while corrected:
        earlier = {
            row.id: row
            for row in connection.execute(
                select(record.c.id, record.c.receipt_id, record.c.corrects_id).where(
                    record.c.id.in_(set(corrected.values()))
                )
            )
        }
        for record_id, corrects_id in list(corrected.items()):
            row = earlier[corrects_id]
            receipts[record_id] = row.receipt_id
            if row.corrects_id is None:
                del corrected[record_id]
            else:
                corrected[record_id] = row.corrects_id
    found = connection.execute(
        select(receipt.c.id, receipt.c.source_id).where(receipt.c.id.in_(set(receipts.values())))
    )
    names = {row.id: row.source_id for row in found}
    return {record_id: names[receipt_id] for record_id, receipt_id in receipts.items()}


def visits_of_card_events(
    connection: Connection, visit_ids: Collection[int]
) -> Mapping[int, tuple[Visit, ...]]:
    """For each visit all that the clinic's card data says of its card event: a corrected upload of
    it stands beside the first."""
    known = visit.alias()
    rows = connection.execute(
        select(known.c.id, visit.c.body)
        .join(
            visit,
            and_(
                visit.c.institution_code == known.c.institution_code,
                visit.c.national_id == known.c.national_id,
                visit.c.card_at == known.c.card_at,
            ),
        )
        .where(known.c.id.in_(visit_ids))
        .order_by(known.c.id, visit.c.id)
    )
    found: dict[int, list[Visit]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(visit_from_text(row.body))
    return {visit_id: tuple(visits) for visit_id, visits in found.items()}


def ranges_sent(
    connection: Connection, lab_code: str, order_code: str
) -> Mapping[RangeKey, Mapping[tuple[str, str], str]]:
    """The bounds that a laboratory itself sent for an order code, newest records first: by row
    and unit, each pair with the record that shows it."""
    rows = connection.execute(
        select(record.c.id, record.c.body)
        .where(
            record.c.lab_code == lab_code,
            record.c.order_code == order_code,
            record.c.state == RecordState.ACCEPTED.value,
        )
        .order_by(record.c.id.desc())
        .limit(_RANGES_FROM)
    )
    found: dict[RangeKey, dict[tuple[str, str], str]] = {}
    for row in rows:
        for line in record_from_json(json.loads(row.body)).rows:
            sides = [line.get("r6-1"), line.get("r6-2")]
            told = [side for side in sides if side is not None]
            if not told or any(side.origin.startswith(_NOT_SENT) for side in told):
                continue
            low, high = (side.value if side else "" for side in sides)
            pairs = found.setdefault(range_key(order_code, line), {})
            pairs.setdefault((low, high), f"record {row.id}")
    return found


def kept_reports(connection: Connection) -> Sequence[AnyRow]:
    """Check reports that fit no package or could not be read, without their bytes."""
    return connection.execute(
        select(
            receipt.c.id,
            receipt.c.source_id,
            receipt.c.name,
            receipt.c.received_at,
            receipt.c.error_code,
            receipt.c.error_text,
            receipt.c.error_texts,
            receipt.c.findings,
        )
        .where(IS_QUARANTINED, receipt.c.media == "check-report")
        .order_by(receipt.c.id)
    ).all()


def get_receipt(connection: Connection, receipt_id: int) -> AnyRow | None:
    """One receipt without its bytes; None where there is none."""
    columns = [column for column in receipt.c if column.name != "raw"]
    return connection.execute(select(*columns).where(receipt.c.id == receipt_id)).one_or_none()


_NOT_SENT = ("profile.", "person:", "assumed:")
