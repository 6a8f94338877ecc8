"""Records: one order's result each, chained in versions, moved only along the table of states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, insert, select, update

from broker.drafting import Draft
from broker.finding_json import findings_to_json
from broker.states import (
    RECORD_TRANSITIONS,
    HeldReason,
    RecordState,
    require_transition,
    sources_of,
)
from broker.store.receipts import replay_receipt
from broker.store.rows import AnyRow
from broker.store.schema import record
from mapping.finding import Finding, Severity
from mapping.merge import merge_order, withdrawn_numbers
from mapping.record import UploadRecord, correction_key, record_from_json, record_to_json

CheckRecord = Callable[[UploadRecord], tuple[Finding, ...]]

Refused: TypeAlias = Sequence[tuple[int, tuple[Finding, ...]]]
"""Record ids with what is wrong in each."""

_ON_ITS_WAY = frozenset(
    {RecordState.SEALED, RecordState.INFLIGHT, RecordState.UNKNOWN, RecordState.CHECKING}
)
_OPEN = frozenset({RecordState.HELD, RecordState.READY, RecordState.REJECTED})


@dataclass(frozen=True, slots=True)
class StoredDrafts:
    ready: int = 0
    held: int = 0
    superseded: int = 0


def store_drafts(
    connection: Connection,
    receipt_id: int,
    drafts: Sequence[Draft],
    now: datetime,
    check: CheckRecord,
) -> StoredDrafts:
    """Write the drafts of one receipt, each into its chain. Running it again changes nothing that
    has left *held*."""
    ready = held = superseded = 0
    known = {
        row.slot: row
        for row in connection.execute(
            select(record.c.id, record.c.slot, record.c.state).where(
                record.c.receipt_id == receipt_id
            )
        )
    }
    for draft in drafts:
        row = known.pop(draft.slot, None)
        if row is not None and row.state != RecordState.HELD.value:
            continue
        state = _store_draft(connection, receipt_id, draft, row and row.id, now, check)
        ready += state is RecordState.READY
        held += state is RecordState.HELD
        superseded += state is RecordState.SUPERSEDED
    for row in known.values():
        if row.state == RecordState.HELD.value:
            move_records(connection, [row.id], RecordState.SUPERSEDED)
    return StoredDrafts(ready, held, superseded)


def _store_draft(
    connection: Connection,
    receipt_id: int,
    draft: Draft,
    row_id: int | None,
    now: datetime,
    check: CheckRecord,
) -> RecordState:
    key = correction_digest(draft.record) if draft.record else ""
    previous = _previous(connection, draft.order_identity, key, row_id)
    version = 1
    state = RecordState.HELD if draft.held_reason else RecordState.READY
    frozen = False
    confirmed_at = None
    if previous is not None:
        version = previous.version + 1
        before = RecordState(previous.state)
        if draft.cancelled and before in _OPEN:
            move_records(connection, [previous.id], RecordState.SUPERSEDED)
            draft, state = replace(draft, held_reason=None), RecordState.SUPERSEDED
        elif draft.record is not None and previous.body:
            earlier = record_from_json(json.loads(previous.body))
            frozen = previous.was_accepted or before is RecordState.ACCEPTED
            confirmed_at = previous.confirmed_at if frozen else None
            if before in (RecordState.ACCEPTED, *_ON_ITS_WAY) or state is RecordState.READY:
                draft, state = _follow(draft, state, earlier, before, frozen, check)
            if state is not RecordState.SUPERSEDED and before in _OPEN:
                move_records(connection, [previous.id], RecordState.SUPERSEDED)
                draft = _keep_clock(draft, previous)
        elif before in _OPEN and draft.held_reason is not HeldReason.WAITING_FINAL:
            move_records(connection, [previous.id], RecordState.SUPERSEDED)
            draft = _keep_clock(draft, previous)
    values = {
        "receipt_id": receipt_id,
        "slot": draft.slot,
        "place": draft.place,
        "order_identity": draft.order_identity,
        "version": version,
        "state": state.value,
        "held_reason": draft.held_reason.value if draft.held_reason else "",
        "uploader_code": draft.uploader_code,
        "clinic_code": draft.clinic_code,
        "lab_code": draft.lab_code,
        "order_code": draft.order_code,
        "national_id": draft.national_id,
        "visit_id": draft.visit_id,
        "clock_started_at": draft.clock_started_at,
        "due_at": draft.due_at,
        "ready_at": now if state is RecordState.READY else None,
        "confirmed_at": confirmed_at,
        "correction_key": correction_digest(draft.record) if draft.record else "",
        "was_accepted": frozen,
        "findings": findings_to_json(draft.findings),
        "body": _dump(draft.record),
    }
    if row_id is None:
        connection.execute(insert(record).values(values))
    else:
        connection.execute(update(record).where(record.c.id == row_id).values(values))
    return state


def _follow(
    draft: Draft,
    state: RecordState,
    earlier: UploadRecord,
    before: RecordState,
    frozen: bool,
    check: CheckRecord,
) -> tuple[Draft, RecordState]:
    """A later word on an order that is known: the same, an older one, or a correction."""
    assert draft.record is not None  # noqa: S101 - narrowed by the caller
    if _says_the_same(earlier, draft.record) and before is not RecordState.REJECTED:
        finding = Finding("same-result-again", severity=Severity.INFORMATION)
        return replace(draft, held_reason=None, findings=(finding,)), RecordState.SUPERSEDED
    if _reported(draft.record) < _reported(earlier):
        finding = Finding("older-than-known", severity=Severity.INFORMATION)
        return replace(draft, held_reason=None, findings=(finding,)), RecordState.SUPERSEDED
    if before in _ON_ITS_WAY:
        # What was sent may still be accepted or refused, and a correction must repeat its key.
        return replace(draft, held_reason=HeldReason.WAITING_VERDICT), RecordState.HELD
    if state is not RecordState.READY:
        return draft, state
    withdrawn = withdrawn_numbers(earlier, draft.order) if draft.order else ()
    merged = merge_order(earlier, draft.record, withdrawn)
    if not frozen:
        # NHI has accepted nothing of this order, so its key may still be put right.
        merged = UploadRecord(draft.record.header, merged.rows)
    findings = draft.findings + check(merged)
    blocked = any(finding.severity is Severity.ERROR for finding in findings)
    reason = HeldReason.INVALID if blocked else None
    return (
        replace(draft, record=merged, findings=findings, held_reason=reason),
        RecordState.HELD if blocked else RecordState.READY,
    )


def _keep_clock(draft: Draft, previous: AnyRow) -> Draft:
    """Nothing of the order was uploaded yet, so the first result's clock keeps running."""
    if previous.due_at is None or draft.due_at is None or previous.due_at >= draft.due_at:
        return draft
    return replace(draft, clock_started_at=previous.clock_started_at, due_at=previous.due_at)


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
    """Ready records that must not leave after all go back to a person."""
    for record_id, findings in refused:
        move_records(
            connection,
            [record_id],
            RecordState.HELD,
            held_reason=HeldReason.INVALID.value,
            findings=findings_to_json(findings),
        )


def release_waiting(connection: Connection, order_identities: Sequence[str]) -> int:
    """Results that waited for an earlier version's verdict are read again. Returns how many."""
    rows = connection.execute(
        select(record.c.receipt_id)
        .where(
            record.c.order_identity.in_(order_identities),
            record.c.state == RecordState.HELD.value,
            record.c.held_reason == HeldReason.WAITING_VERDICT.value,
        )
        .distinct()
    ).all()
    return sum(replay_receipt(connection, row.receipt_id) for row in rows)


def correction_digest(item: UploadRecord) -> str:
    """The twelve values by which NHI knows an order again, as a digest: a patient's id is among
    them."""
    return hashlib.sha256("\0".join(correction_key(item)).encode()).hexdigest()[:32]


def _previous(
    connection: Connection, identity: str, correction: str, row_id: int | None
) -> AnyRow | None:
    """The newest living version of the order: by its lab numbers, else by NHI's own key, so that
    one result that came by two doors is still one."""
    for column, value in (
        (record.c.order_identity, identity),
        (record.c.correction_key, correction),
    ):
        if not value:
            continue
        query = (
            select(record)
            .where(column == value, record.c.state != RecordState.SUPERSEDED.value)
            .order_by(record.c.version.desc(), record.c.id.desc())
            .limit(1)
        )
        if row_id is not None:
            query = query.where(record.c.id != row_id)
        found = connection.execute(query).first()
        if found is not None:
            return found
    return None


def _says_the_same(one: UploadRecord, other: UploadRecord) -> bool:
    """Equal in every value but the times that tell only when it was said."""

    def told(item: UploadRecord) -> list[tuple[tuple[str, str], ...]]:
        header = tuple((tag, f.value) for tag, f in item.header.items() if tag not in _SAID)
        rows = [
            tuple((tag, f.value) for tag, f in row.items() if tag not in _SAID) for row in item.rows
        ]
        return [header, *rows]

    return told(one) == told(other)


_SAID = frozenset({"h16", "r10", "r14", "h21"})


def _reported(item: UploadRecord) -> str:
    """The newest r10, which sorts as text (same length classes: 11 or 13 digits)."""
    return max((row["r10"].value.ljust(13, "0") for row in item.rows if "r10" in row), default="")


def _dump(item: UploadRecord | None) -> str:
    return "" if item is None else json.dumps(record_to_json(item), ensure_ascii=False)
