"""What a person decides about one held result: which visit it belongs to, or that it is done with.

Each decision is kept as a receipt before it is applied; what it changes is read again by the
pipeline, under the same checks as any other result.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from adapters.ports.intake import Door, Media, Payload
from broker.finding_json import findings_from_json, findings_to_json
from broker.states import HeldReason, RecordState
from broker.store.choices import candidates_of, clear_task, get_record, store_choice
from broker.store.receipts import replay_receipt
from broker.store.record_moves import move_records
from broker.store.rows import AnyRow
from broker.store.visits import requeue_held
from mapping.errors import LabbrokerError
from mapping.finding import Finding, Severity

DISMISSIBLE = frozenset(
    {
        "order-answered",
        "results-disagree",
        "number-used-again",
        "report-cancelled",
        "withdrawn-line-unknown",
        "another-test",
        "perhaps-withdrawn",
    }
)
"""Findings of held results that no correction of a field could mend."""


class NoSuchRecord(LabbrokerError):
    code = "no-such-record"
    en = (
        "Record {record} does not wait for this.",
        "Look for the number of the record in `labbroker worklist`; it may have gone on meanwhile.",
    )
    zh = (
        "紀錄 {record} 不在等候此項處理。",
        "請於 `labbroker worklist` 確認紀錄編號，可能已處理。",
    )


class NotACandidate(LabbrokerError):
    code = "not-a-candidate"
    en = (
        "Visit {visit} is none of the candidates of record {record}.",
        "`labbroker match {record}` lists them. If the visit came in later, replay receipt "
        "{receipt} first.",
    )
    zh = (
        "就醫紀錄 {visit} 不是紀錄 {record} 的候選。",
        "請以 `labbroker match {record}` 查詢；若該就醫資料較晚匯入，請先重新處理收件 {receipt}。",
    )


class OtherOrder(LabbrokerError):
    code = "other-order"
    en = (
        "Visit {visit} ordered {ordered}, and the result came as {order_code}.",
        "Link the laboratory's code to {ordered} for its source, then replay receipt {receipt}.",
    )
    zh = (
        "就醫紀錄 {visit} 開立 {ordered}，結果則為 {order_code}。",
        "請將檢驗所代碼對應至 {ordered}，再重新處理收件 {receipt}。",
    )


class NotADecision(LabbrokerError):
    code = "not-a-decision"
    en = ("{what} is missing.", "A decision needs the name of who takes it, and a reason.")
    zh = ("缺少 {what}。", "決定須註明決定者姓名與理由。")


@dataclass(frozen=True, slots=True)
class Decision:
    """About ``record_id``: ``visit_id`` is the chosen visit, or None for a dismissal, which has a
    ``reason``. ``by`` is who."""

    record_id: int
    by: str
    visit_id: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :func:`read_decision`."""
        return {
            "record_id": self.record_id,
            "by": self.by,
            "visit_id": self.visit_id,
            "reason": self.reason,
        }

    def payload(self, at: datetime) -> Payload:
        """The bytes of a receipt: the evidence of who decided what, when and why."""
        name = "dismiss" if self.visit_id is None else "match"
        raw = json.dumps({name: self.to_json(), "at": at.isoformat()}, ensure_ascii=False)
        return Payload("", Door.COMMAND, Media.CORRECTION, raw.encode(), name=name)


def read_decision(plain: dict[str, Any]) -> Decision:
    """Checked values. Raises :class:`NotADecision`."""
    visit_id = plain.get("visit_id")
    by, reason = str(plain.get("by", "")).strip(), str(plain.get("reason", "")).strip()
    if not by:
        raise NotADecision(what="--by NAME")
    if visit_id is None and not reason:
        raise NotADecision(what="--reason TEXT")
    return Decision(
        int(plain["record_id"]), by, None if visit_id is None else int(visit_id), reason
    )


def require_decision(connection: Connection, decision: Decision) -> AnyRow:
    """The record that is decided about. Raises :class:`NoSuchRecord`, :class:`NotACandidate`,
    :class:`OtherOrder`."""
    row = get_record(connection, decision.record_id)
    if decision.visit_id is None:
        if row is None or not (row.task or _is_dismissible(row)):
            raise NoSuchRecord(record=decision.record_id)
        return row
    waits = row is not None and row.state == RecordState.HELD.value
    if row is None or not waits or row.held_reason != HeldReason.UNMATCHED.value or row.body:
        raise NoSuchRecord(record=decision.record_id)
    listed: Any = candidates_of(row).get("visits", ())
    meant = [each for each in listed if each["visit"] == decision.visit_id]
    if not meant:
        raise NotACandidate(visit=decision.visit_id, record=row.id, receipt=row.receipt_id)
    if meant[0]["order_code"] != row.order_code:
        raise OtherOrder(
            visit=decision.visit_id,
            ordered=meant[0]["order_code"],
            order_code=row.order_code,
            receipt=row.receipt_id,
        )
    return row


def apply_decision(connection: Connection, receipt_id: int, decision: Decision) -> int:
    """Apply a decision of which ``receipt_id`` is the evidence. Returns how many receipts are read
    again for it. Raises as :func:`require_decision`: the record may have moved on meanwhile."""
    row = require_decision(connection, decision)
    if decision.visit_id is not None:
        store_choice(connection, receipt_id, row, decision.visit_id)
        return int(replay_receipt(connection, row.receipt_id))
    if row.task:
        clear_task(connection, row.id)
        return 0
    parameters = (("by", decision.by), ("receipt", str(receipt_id)))
    finding = Finding("dismissed", "", row.place, "", Severity.INFORMATION, parameters)
    findings = findings_to_json((*findings_from_json(row.findings), finding))
    move_records(connection, [row.id], RecordState.SUPERSEDED, findings=findings)
    # What was as doubtful as this one may be plain now.
    if row.national_id:
        return requeue_held(connection, row.clinic_code, row.national_id)
    return int(replay_receipt(connection, row.receipt_id))


def decision_json(decision: Decision, receipt_id: int, requeued: int) -> dict[str, Any]:
    """What came of a decision, as plain values."""
    return {"record": decision.record_id, "receipt_id": receipt_id, "requeued": requeued}


def _is_dismissible(row: AnyRow) -> bool:
    if row.state != RecordState.HELD.value:
        return False
    errors = {
        each.code for each in findings_from_json(row.findings) if each.severity is Severity.ERROR
    }
    if row.body:
        return "results-disagree" in errors
    return row.held_reason == HeldReason.UNMATCHED.value or not errors.isdisjoint(DISMISSIBLE)
