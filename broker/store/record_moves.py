"""Records move only along the table of states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, select, update

from broker.finding_json import findings_to_json
from broker.states import (
    RECORD_TRANSITIONS,
    HeldReason,
    RecordState,
    require_transition,
    sources_of,
)
from broker.store.receipts import replay_receipt
from broker.store.schema import record
from mapping.finding import Finding

Refused: TypeAlias = Sequence[tuple[int, tuple[Finding, ...]]]
"""Record ids with what is wrong in each."""


def move_records(
    connection: Connection, record_ids: Sequence[int], after: RecordState, **values: Any
) -> int:
    """Move records along the table of states; raises ``ForbiddenTransition`` if one may not.

    Returns how many moved.
    """
    moved = 0
    for start in range(0, len(record_ids), 500):
        ids = record_ids[start : start + 500]
        allowed = [state.value for state in sources_of(RECORD_TRANSITIONS, after)]
        count = connection.execute(
            update(record)
            .where(record.c.id.in_(ids), record.c.state.in_(allowed))
            .values(state=after.value, **values)
        ).rowcount
        if count != len(ids):
            for row in connection.execute(select(record.c.state).where(record.c.id.in_(ids))):
                if row.state != after.value:
                    require_transition(RECORD_TRANSITIONS, RecordState(row.state), after)
        moved += count
    return moved


def hold_invalid(connection: Connection, refused: Refused) -> None:
    """Records that must not leave after all go back to a person, if they are ready still."""
    for record_id, findings in refused:
        state = connection.execute(select(record.c.state).where(record.c.id == record_id)).scalar()
        if state != RecordState.READY.value:
            continue
        move_records(
            connection,
            [record_id],
            RecordState.HELD,
            held_reason=HeldReason.INVALID.value,
            findings=findings_to_json(findings),
        )


def release_waiting(connection: Connection, record_ids: Sequence[int]) -> int:
    """Results that waited for the verdict on these records are read again. Returns how many."""
    waiting = connection.execute(
        select(record.c.receipt_id, record.c.order_identity, record.c.correction_key).where(
            record.c.state == RecordState.HELD.value,
            record.c.held_reason == HeldReason.WAITING_VERDICT.value,
        )
    ).all()
    if not waiting:
        return 0
    decided: set[str] = set()
    for start in range(0, len(record_ids), 500):
        for row in connection.execute(
            select(record.c.order_identity, record.c.correction_key).where(
                record.c.id.in_(record_ids[start : start + 500])
            )
        ):
            decided |= {row.order_identity, row.correction_key}
    decided.discard("")
    receipts = {
        row.receipt_id
        for row in waiting
        if row.order_identity in decided or row.correction_key in decided
    }
    return sum(replay_receipt(connection, receipt_id) for receipt_id in sorted(receipts))
