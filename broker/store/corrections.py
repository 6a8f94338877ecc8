"""A person's corrections as new versions: what was corrected is superseded, never overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from broker.finding_json import findings_from_json, findings_to_json
from broker.states import HeldReason, RecordState
from broker.store.order_versions import correction_digest
from broker.store.record_moves import move_records
from broker.store.records import CheckRecord
from broker.store.rows import AnyRow
from broker.store.schema import record
from mapping.corrections import corrected
from mapping.finding import Finding, Severity
from mapping.proposals import Change
from mapping.record import CORRECTION_KEY, UploadRecord, record_from_json, record_to_json

IsMended = Callable[[Finding], bool]

_COPIED = (
    "place",
    "order_identity",
    "uploader_code",
    "clinic_code",
    "lab_code",
    "national_id",
    "visit_id",
    "clock_started_at",
    "due_at",
    "awaited",
    "confirmed_at",
    "was_accepted",
)
# Of the states that may be superseded, those in which a record waits for a person.
_WAITS = frozenset({RecordState.HELD, RecordState.REJECTED})
_WITH_NHI_OR_ON_ITS_WAY = frozenset(
    state.value
    for state in (
        RecordState.SEALED,
        RecordState.INFLIGHT,
        RecordState.UNKNOWN,
        RecordState.CHECKING,
    )
)


@dataclass(frozen=True, slots=True)
class Correction:
    """``changes`` of one record; without any it is sent again as it is."""

    record_id: int
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrectionCounts:
    """``held``: corrected, and still something stops it. ``passed_over``: not changed, by
    reason."""

    ready: int = 0
    held: int = 0
    passed_over: tuple[tuple[str, int], ...] = ()

    def plus(self, other: CorrectionCounts) -> CorrectionCounts:
        """The sum of both."""
        reasons = dict(self.passed_over)
        for reason, count in other.passed_over:
            reasons[reason] = reasons.get(reason, 0) + count
        return CorrectionCounts(
            self.ready + other.ready, self.held + other.held, tuple(sorted(reasons.items()))
        )


def store_corrections(
    connection: Connection,
    receipt_id: int,
    corrections: Sequence[Correction],
    by: str,
    is_mended: IsMended,
    now: datetime,
    check: CheckRecord,
) -> CorrectionCounts:
    """Write the corrected versions. ``receipt_id`` is the receipt that holds what the person
    asked for; ``is_mended`` tells the findings that this puts right.

    A record that has moved on meanwhile, whose order is on its way, whose frozen key would change,
    or that would become another record's double is passed over. Running it again changes nothing.
    """
    total = CorrectionCounts()
    for correction in corrections:
        row = connection.execute(
            select(record).where(record.c.id == correction.record_id)
        ).one_or_none()
        total = total.plus(
            _store(connection, receipt_id, row, correction, by, is_mended, now, check)
        )
    return total


def _store(
    connection: Connection,
    receipt_id: int,
    row: AnyRow | None,
    correction: Correction,
    by: str,
    is_mended: IsMended,
    now: datetime,
    check: CheckRecord,
) -> CorrectionCounts:
    if row is None or not row.body or RecordState(row.state) not in _WAITS:
        return _passed_over("moved-on")
    if row.task:
        return _passed_over("order-gone")
    if not correction.changes and row.state != RecordState.REJECTED.value:
        return _passed_over("not-rejected")
    if row.state == RecordState.HELD.value and not _is_held_for_itself(row):
        return _passed_over("held-for-another")
    before = record_from_json(json.loads(row.body))
    after = corrected(before, correction.changes, by)
    if row.was_accepted and _key(before) != _key(after):
        return _passed_over("key-frozen")
    digest = correction_digest(after)
    reason = _hindrance(connection, row, digest)
    if reason:
        return _passed_over(reason)
    findings = _findings(row, before, after, is_mended, check)
    blocked = any(finding.severity is Severity.ERROR for finding in findings)
    state = RecordState.HELD if blocked else RecordState.READY
    move_records(connection, [row.id], RecordState.SUPERSEDED)
    values: dict[str, Any] = {name: getattr(row, name) for name in _COPIED}
    values |= {
        "receipt_id": receipt_id,
        "slot": str(row.id),
        "version": row.version + 1,
        "state": state.value,
        "held_reason": HeldReason.INVALID.value if blocked else "",
        "order_code": after.value("h15"),
        "ready_at": None if blocked else now,
        "correction_key": digest,
        "corrects_id": row.id,
        "findings": findings_to_json(findings),
        "body": json.dumps(record_to_json(after), ensure_ascii=False),
    }
    connection.execute(insert(record).values(values))
    return CorrectionCounts(held=1) if blocked else CorrectionCounts(ready=1)


def _is_held_for_itself(row: AnyRow) -> bool:
    """Not because a later word on the order, which cannot be used yet, holds it back."""
    return row.held_reason == HeldReason.INVALID.value and any(
        each.severity is Severity.ERROR for each in findings_from_json(row.findings)
    )


def _findings(
    row: AnyRow,
    before: UploadRecord,
    after: UploadRecord,
    is_mended: IsMended,
    check: CheckRecord,
) -> tuple[Finding, ...]:
    """What is left: what our checks say of the new version, and of the old findings those that
    only others can see (NHI, the reading of the payload) and that were not mended."""
    seen_here = {(each.code, each.field, each.place) for each in check(before)}
    kept = tuple(
        each
        for each in findings_from_json(row.findings)
        if (each.code, each.field, each.place) not in seen_here and not is_mended(each)
    )
    return (*check(after), *kept)


def _hindrance(connection: Connection, row: AnyRow, digest: str) -> str:
    """Why a corrected version may not take its place now, or ``""``."""
    same = [record.c.correction_key == digest]
    if row.order_identity:
        same.append(record.c.order_identity == row.order_identity)
    others = connection.execute(
        select(record.c.state, record.c.order_identity, record.c.version).where(
            or_(*same), record.c.id != row.id, record.c.state != RecordState.SUPERSEDED.value
        )
    ).all()
    for other in others:
        if other.state in _WITH_NHI_OR_ON_ITS_WAY:
            return "on-its-way"
        same_order = bool(row.order_identity) and other.order_identity == row.order_identity
        if not same_order and not (row.was_accepted and other.state == RecordState.ACCEPTED.value):
            return "double"
        if same_order and other.version > row.version:
            return "newer-version"
    return ""


def _passed_over(reason: str) -> CorrectionCounts:
    return CorrectionCounts(passed_over=((reason, 1),))


def _key(item: UploadRecord) -> tuple[str, ...]:
    return tuple(item.value(tag) for tag in CORRECTION_KEY)
