"""What waits for a person: held and rejected records, and what else is known of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, select

from broker.states import RecordState
from broker.store.receipts import IS_QUARANTINED
from broker.store.rows import AnyRow
from broker.store.schema import receipt, record, visit
from broker.store.visit_json import visit_from_text
from broker.store.visits import find_visits
from mapping.proposals import RangeKey, range_key
from mapping.record import record_from_json
from mapping.visit import Visit

_RANGES_FROM = 200


def records_in_order(connection: Connection, ids: Sequence[int]) -> Iterator[AnyRow]:
    """The records of ``ids`` in that order, a few hundred in memory at a time."""
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        rows = connection.execute(select(record).where(record.c.id.in_(part)))
        found = {row.id: row for row in rows}
        yield from (found[record_id] for record_id in part)


def source_of(connection: Connection, row: AnyRow) -> str:
    """The source whose words a record carries, also after a person has put some right."""
    while row.corrects_id is not None:
        row = connection.execute(
            select(record.c.receipt_id, record.c.corrects_id).where(record.c.id == row.corrects_id)
        ).one()
    found: str = connection.execute(
        select(receipt.c.source_id).where(receipt.c.id == row.receipt_id)
    ).scalar_one()
    return found


def visits_of_card_event(connection: Connection, visit_id: int | None) -> tuple[Visit, ...]:
    """All that the clinic's card data says of one card event: a corrected upload of it stands
    beside the first."""
    if visit_id is None:
        return ()
    body = connection.execute(select(visit.c.body).where(visit.c.id == visit_id)).scalar()
    if body is None:
        return ()
    known = visit_from_text(body)
    same = find_visits(connection, known.institution_code, known.national_id)
    return tuple(each for _, each in same if each.card_at == known.card_at)


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
