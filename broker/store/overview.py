"""Counts for people: what came in, and what stands where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, true

from broker.states import RecordState
from broker.store.receipts import IS_QUARANTINED, IS_STORED
from broker.store.rows import AnyRow
from broker.store.schema import package, receipt, record


def receipt_counts(connection: Connection) -> dict[str, int]:
    """Receipts by state, without reading through their bytes."""
    total = connection.execute(select(func.count()).select_from(receipt)).scalar_one()
    counts = {
        state: connection.execute(select(func.count()).where(condition)).scalar_one()
        for state, condition in (("stored", IS_STORED), ("quarantined", IS_QUARANTINED))
    }
    counts["parsed"] = total - sum(counts.values())
    return {state: count for state, count in counts.items() if count}


def record_counts(connection: Connection) -> dict[str, int]:
    """Records by state."""
    rows = connection.execute(select(record.c.state, func.count()).group_by(record.c.state))
    return {row[0]: row[1] for row in rows}


def held_counts(connection: Connection) -> dict[str, int]:
    """Held records by reason."""
    rows = connection.execute(
        select(record.c.held_reason, func.count())
        .where(record.c.state == RecordState.HELD.value)
        .group_by(record.c.held_reason)
    )
    return {row[0]: row[1] for row in rows}


def package_counts(connection: Connection) -> dict[str, int]:
    """Packages by state."""
    rows = connection.execute(select(package.c.state, func.count()).group_by(package.c.state))
    return {row[0]: row[1] for row in rows}


def next_due_at(connection: Connection) -> datetime | None:
    """When the first record that is not confirmed yet is due."""
    found: datetime | None = connection.execute(
        select(func.min(record.c.due_at)).where(
            record.c.confirmed_at.is_(None),
            record.c.state.in_([state.value for state in _UNCONFIRMED]),
        )
    ).scalar()
    return found


def oldest_open_receipt_at(connection: Connection) -> datetime | None:
    """When the oldest receipt came that the pipeline has not read yet."""
    found: datetime | None = connection.execute(
        select(receipt.c.received_at).where(IS_STORED).order_by(receipt.c.id).limit(1)
    ).scalar()
    return found


def has_open_receipts(connection: Connection) -> bool:
    """Whether the pipeline still has something to read."""
    return connection.execute(select(receipt.c.id).where(IS_STORED).limit(1)).first() is not None


def living_records(connection: Connection) -> Sequence[AnyRow]:
    """Records that are not superseded, with what a list shows of them."""
    return connection.execute(
        select(
            record.c.id,
            record.c.receipt_id,
            record.c.place,
            record.c.state,
            record.c.held_reason,
            record.c.order_code,
            record.c.clinic_code,
            record.c.lab_code,
            record.c.due_at,
            record.c.confirmed_at,
            record.c.verdict_code,
            record.c.verdict_fields,
            record.c.findings,
            record.c.version,
        )
        .where(record.c.state != RecordState.SUPERSEDED.value)
        .order_by(record.c.receipt_id, record.c.id)
    ).all()


def quarantined_receipts(
    connection: Connection, sources: Collection[str] | None = None, most: int | None = None
) -> Sequence[AnyRow]:
    """The first ``most`` receipts of ``sources`` (None: all) that could not be read, without their
    bytes."""
    return connection.execute(
        select(
            receipt.c.id,
            receipt.c.source_id,
            receipt.c.name,
            receipt.c.error_code,
            receipt.c.error_text,
            receipt.c.error_texts,
        )
        .where(IS_QUARANTINED, true() if sources is None else receipt.c.source_id.in_(sources))
        .order_by(receipt.c.id)
        .limit(most)
    ).all()


_UNCONFIRMED = (
    RecordState.HELD,
    RecordState.READY,
    RecordState.SEALED,
    RecordState.INFLIGHT,
    RecordState.UNKNOWN,
    RecordState.REJECTED,
)
