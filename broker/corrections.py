"""Putting right a whole group of records at once: planned from the group as it is now, kept as a
receipt of its own, then applied a few records at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from adapters.ports.intake import Door, Media, Payload
from broker.store.corrections import Correction, CorrectionCounts, store_corrections
from broker.worklist import find_cause
from mapping.catalogue.tables import code_table
from mapping.causes import Cause
from mapping.corrections import LABORATORYS_WORD, RESULTS
from mapping.editions.edition import edition_on
from mapping.errors import LabbrokerError
from mapping.finding import Finding
from mapping.moment import TAIPEI
from mapping.profile import SourceProfile
from mapping.proposals import Change, row_number
from mapping.record import UploadRecord
from mapping.rules import RuleContext, check_record

CHUNK = 100
"""Records that are corrected in one transaction, so that the doors never wait long."""
# h16 is stamped at sealing; r1 says which row it is.
_NEVER_SET = frozenset({"h16", "r1"})
_NHI_SAID = frozenset({"nhi-code-unlisted", "package-refused"})


class NoSuchGroup(LabbrokerError):
    code = "no-such-group"
    en = (
        "No group {group} waits now.",
        "List the groups with `labbroker worklist`; a group that was worked off is gone.",
    )
    zh = ("目前沒有群組 {group}。", "請以 `labbroker worklist` 查詢；已處理完的群組不再列出。")


class NothingProposed(LabbrokerError):
    code = "nothing-proposed"
    en = (
        "Nothing that is known here says how group {group} could be mended.",
        "Give the value yourself: `labbroker fix {group} --set FIELD=VALUE --by NAME`.",
    )
    zh = (
        "群組 {group} 無可推得的修正建議。",
        "請自行指定：`labbroker fix {group} --set 欄位=值 --by 姓名`。",
    )


class ProposalNeedsPerson(LabbrokerError):
    code = "proposal-needs-person"
    en = (
        "The proposal for group {group} is a laboratory's word from an earlier record; it is not "
        "taken over by itself.",
        "Ask the laboratory, then set it with `labbroker fix {group} --set FIELD=VALUE --by NAME`, "
        "or put the range into the source's default_reference and replay.",
    )
    zh = (
        "群組 {group} 的建議取自檢驗所先前的資料，不會自動採用。",
        "請向檢驗所確認後以 `labbroker fix {group} --set 欄位=值 --by 姓名` 設定，"
        "或填入該來源的 default_reference 後重新處理。",
    )


class FieldNotSettable(LabbrokerError):
    code = "field-not-settable"
    en = (
        "{field} cannot be set for group {group}: {reason}.",
        "Name a field of the upload format that the group's records have, as h7=0002.",
    )
    zh = (
        "群組 {group} 不可設定 {field}：{reason_zh}。",
        "請指定該群組紀錄具有的上傳格式欄位，例如 h7=0002。",
    )


@dataclass(frozen=True, slots=True)
class FixRequest:
    """What a person asks for. Exactly one of ``accept``, ``again`` and ``settings`` is given;
    ``by`` is who; ``institutions`` are those whose records may be changed, None all."""

    group_id: str
    by: str
    accept: bool = False
    again: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    institutions: Sequence[str] | None = None

    @property
    def reach(self) -> frozenset[str] | None:
        return None if self.institutions is None else frozenset(self.institutions)


@dataclass(frozen=True, slots=True)
class FixPlan:
    """``corrections`` in the order of their urgency; ``left`` records have no proposal."""

    request: FixRequest
    corrections: tuple[Correction, ...]
    left: int
    code: str
    field: str

    def is_mended(self, finding: Finding) -> bool:
        """Whether the plan answers ``finding``: what NHI said of the group's field, or our own
        finding about a field that is changed. Nothing else is ever talked away."""
        if self.request.again:
            return _is_of_nhi(finding)
        if (finding.code, finding.field) != (self.code, self.field):
            return False
        return _is_of_nhi(finding) or finding.field in self.changed

    @property
    def changed(self) -> frozenset[str]:
        """The tags that are set."""
        return frozenset(c.tag for each in self.corrections for c in each.changes)

    def payload(self, at: datetime) -> Payload:
        """What the person asked for, as the bytes of a receipt: the evidence of each change."""
        plain = {
            "group": self.request.group_id,
            "by": self.request.by,
            "at": at.isoformat(),
            "records": {
                str(each.record_id): [[c.row, c.tag, c.value] for c in each.changes]
                for each in self.corrections
            },
        }
        raw = json.dumps(plain, ensure_ascii=False).encode()
        return Payload("", Door.COMMAND, Media.CORRECTION, raw, name=self.request.group_id)


def plan_fix(
    connection: Connection,
    profiles: Mapping[str, SourceProfile],
    request: FixRequest,
    now: datetime,
) -> FixPlan:
    """What the request means for the group as it is now. Raises :class:`NoSuchGroup`,
    :class:`NothingProposed`, :class:`ProposalNeedsPerson`, :class:`FieldNotSettable`."""
    today = now.astimezone(TAIPEI).date()
    cause = find_cause(connection, profiles, today, request.group_id, request.reach)
    if cause is None:
        raise NoSuchGroup(group=request.group_id)
    if request.settings:
        known = {rule.tag for rule in (*edition_on(today).header, *edition_on(today).rows)}
        changes = _by_settings(cause, request, known)
    elif request.again:
        changes = dict.fromkeys(cause.record_ids, ())
    else:
        changes = _by_proposal(cause)
    finding = cause.first.finding
    return FixPlan(
        request,
        tuple(Correction(record_id, made) for record_id, made in changes.items()),
        len(cause.record_ids) - len(changes),
        finding.code,
        finding.field,
    )


def apply_part(
    connection: Connection,
    receipt_id: int,
    plan: FixPlan,
    part: Sequence[Correction],
    now: datetime,
    institutions: frozenset[str] | None = None,
) -> CorrectionCounts:
    """Apply a part of the plan in this transaction."""
    context = RuleContext(today=now.astimezone(TAIPEI).date(), institutions=institutions)

    def check(record: UploadRecord) -> tuple[Finding, ...]:
        return check_record(record, context)

    return store_corrections(
        connection, receipt_id, part, plan.request.by, plan.is_mended, now, check
    )


def outcome_json(plan: FixPlan, counts: CorrectionCounts) -> dict[str, Any]:
    """What came of it, for the command line and its ``--json``."""
    return {
        "group": plan.request.group_id,
        "ready": counts.ready,
        "held": counts.held,
        "left": plan.left,
        "passed_over": dict(counts.passed_over),
    }


def _is_of_nhi(finding: Finding) -> bool:
    return finding.code in code_table("nhi-codes") or finding.code in _NHI_SAID


def _by_proposal(cause: Cause) -> dict[int, tuple[Change, ...]]:
    if not cause.proposed:
        raise NothingProposed(group=cause.group_id)
    changes: dict[int, tuple[Change, ...]] = {}
    for fault in cause.proposed:
        assert fault.proposal is not None  # noqa: S101 - by ``proposed``
        if not fault.proposal.may_be_accepted:
            raise ProposalNeedsPerson(group=cause.group_id)
        changes[fault.record_id] = changes.get(fault.record_id, ()) + fault.proposal.changes
    return changes


def _by_settings(
    cause: Cause, request: FixRequest, known: set[str]
) -> dict[int, tuple[Change, ...]]:
    def refuse(tag: str, reason: str, reason_zh: str) -> FieldNotSettable:
        return FieldNotSettable(group=cause.group_id, field=tag, reason=reason, reason_zh=reason_zh)

    for tag in request.settings:
        if tag not in known or tag in _NEVER_SET:
            raise refuse(tag, "the format has no such field to set", "格式無此可設定欄位")
        if tag in LABORATORYS_WORD and not request.by:
            raise refuse(
                tag, "it is the laboratory's word and needs --by NAME", "此為檢驗所資料，須加 --by"
            )
        if tag in RESULTS and len(cause.record_ids) > 1:
            raise refuse(
                tag,
                "a result is never the same for several records",
                "檢驗結果不可同時套用於多筆紀錄",
            )
    finding = cause.first.finding
    if not _is_of_nhi(finding) and finding.field not in request.settings:
        tag = next(iter(request.settings))
        raise refuse(tag, "it would not mend what stops these records", "無法解決此群組的問題")
    changes: dict[int, dict[Change, None]] = {}
    for fault in cause.faults:
        made = changes.setdefault(fault.record_id, {})
        for tag, value in request.settings.items():
            row = row_number(fault.finding.place) if tag[:1] == "r" else 0
            if tag[:1] == "r" and not row:
                raise refuse(tag, "the group is not about rows", "此群組與結果列無關")
            made[Change(row, tag, value)] = None
    return {record_id: tuple(made) for record_id, made in changes.items()}


def parts_of(plan: FixPlan) -> list[Sequence[Correction]]:
    """The corrections, a transaction's worth at a time."""
    return [
        plan.corrections[start : start + CHUNK] for start in range(0, len(plan.corrections), CHUNK)
    ]
