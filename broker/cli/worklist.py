"""``labbroker worklist``: what waits for a person, one entry for each cause."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.cli.candidate_text import candidate_line
from broker.config import load_settings
from broker.store.choices import open_tasks
from broker.store.engine import open_reader
from broker.store.open_work import kept_reports
from broker.store.overview import quarantined_receipts
from broker.store.rows import AnyRow
from broker.store.unread_files import why_unread
from broker.worklist import OpenGroup, open_causes, open_groups
from mapping.causes import Cause, Fault
from mapping.errors import LabbrokerError, Language
from mapping.finding import Finding
from mapping.moment import TAIPEI
from mapping.no_proposal import no_proposal_reason
from mapping.proposals import Proposal

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_EVIDENCE = {
    "visit": ("the clinic's card data", "診所健保卡資料"),
    "official-list": ("the official list of order codes", "公告醫令清單"),
    "collection-time": ("the collection time", "採檢時間"),
    "profile": ("the source's default", "來源設定的預設值"),
    "earlier-range": ("what this laboratory sent before", "該檢驗所先前資料"),
    "code-link": ("another source's link of the same code", "其他來源的相同代碼對應"),
    "sealing": ("given anew at sealing", "重新封裝時產生"),
}


GROUPS = 50
"""How many groups are shown at once where no number is given."""
RECORDS = 100
_LOOKED_AT = 10


class NoSuchPlace(LabbrokerError):
    code = "no-such-place"
    en = (
        "Group {group} is not in the worklist now, so nothing can follow it.",
        "List the groups from the beginning with `labbroker worklist`.",
    )
    zh = ("清單中目前沒有群組 {group}。", "請以 `labbroker worklist` 由頭列出。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("worklist", description="Say what waits for a person.")
    parser.add_argument(
        "--limit", type=int, default=GROUPS, metavar="N", help=f"groups at once (default {GROUPS})"
    )
    parser.add_argument("--after", metavar="GROUP", help="go on behind this group")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0; raises ``StoreMissing`` where no service ever ran."""
    settings = load_settings(arguments.config, os.environ)
    today = datetime.now(UTC).astimezone(TAIPEI).date()
    language: Language = arguments.language
    reader = open_reader(settings.store)
    try:
        with reader.connect() as connection:
            waiting = open_groups(connection)
            page = _page(waiting, arguments.after, max(arguments.limit, 1))
            causes = open_causes(connection, settings.profiles, today, page, _LOOKED_AT)
            reports = [
                {
                    "receipt_id": row.id,
                    "name": row.name,
                    "received_at": row.received_at.isoformat(),
                    "error_code": row.error_code,
                    "error_text": " ".join(why_unread(row, language)).strip(),
                }
                for row in kept_reports(connection)
            ]
            apart = {report["receipt_id"] for report in reports}
            unreadable = [
                _unreadable_json(row, language)
                for row in quarantined_receipts(connection)
                if row.id not in apart
            ]
            tasks = [_task_json(row, language) for row in open_tasks(connection)]
    finally:
        reader.dispose()
    follows = bool(page) and page[-1] is not waiting[-1]
    if arguments.json:
        told = {
            "group_count": len(waiting),
            "next": page[-1].group_id if follows else None,
            "groups": [cause_json(cause, language) for cause in causes],
            "check_reports": reports,
            "unreadable": unreadable,
            "tasks": tasks,
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write("".join(_text(cause, language) for cause in causes))
    if follows:
        more = len(waiting) - waiting.index(page[-1]) - 1
        counted = f"另有 {more} 個群組" if language == "zh" else f"{more} more groups"
        sys.stdout.write(f"{counted}: labbroker worklist --after {page[-1].group_id}\n")
    for report in reports:
        head = "未套用的檢核報告" if language == "zh" else "check report not applied"
        sys.stdout.write(f"{head} #{report['receipt_id']} {report['name']}\n")
        sys.stdout.write(f"  {report['error_text']}\n")
    for each in unreadable:
        head = "無法解析的收件" if language == "zh" else "unreadable receipt"
        sys.stdout.write(f"{head} #{each['receipt_id']}  {each['source']} {each['error_code']}\n")
        sys.stdout.write(f"  {each['message']}\n  {each['remedy']}\n")
    for task in tasks:
        head = f"紀錄 {task['record']}" if language == "zh" else f"record {task['record']}"
        sys.stdout.write(f"{head}  {task['code']} {task['order_code']} {task['clinic']}\n")
        sys.stdout.write(f"  {task['message']}\n  {task['remedy']}\n")
    if not (waiting or reports or unreadable or tasks):
        sys.stdout.write("沒有待處理事項\n" if language == "zh" else "Nothing waits.\n")
    return 0


def _unreadable_json(row: AnyRow, language: Language) -> dict[str, Any]:
    """Bytes that were acknowledged and could not be read: they are kept and wait."""
    message, remedy = why_unread(row, language)
    return {
        "receipt_id": row.id,
        "source": row.source_id,
        "error_code": row.error_code,
        "message": message,
        "remedy": remedy,
    }


def _task_json(row: AnyRow, language: Language) -> dict[str, Any]:
    """A record that had left when its order was taken back or opted out."""
    finding = Finding(row.task, place=row.place, parameters=(("order_code", row.order_code),))
    return {
        "record": row.id,
        "code": row.task,
        "state": row.state,
        "clinic": row.clinic_code,
        "order_code": row.order_code,
        "message": finding.message(language),
        "remedy": finding.remedy(language),
    }


def _page(groups: Sequence[OpenGroup], after: str | None, limit: int) -> Sequence[OpenGroup]:
    """``limit`` groups behind the named one. Raises :class:`NoSuchPlace`."""
    start = 0
    if after is not None:
        names = [group.group_id for group in groups]
        if after not in names:
            raise NoSuchPlace(group=after)
        start = names.index(after) + 1
    return groups[start : start + limit]


def cause_json(cause: Cause, language: Language) -> dict[str, Any]:
    """One group as plain values."""
    finding = cause.first.finding
    return {
        "group": cause.group_id,
        "code": finding.code,
        "field": finding.field,
        "lab": cause.first.lab_code,
        "subject": cause.first.subject,
        "count": len(cause.record_ids),
        "due_at": cause.due_at.isoformat() if cause.due_at else None,
        "message": finding.message(language),
        "remedy": finding.remedy(language),
        "proposed": len({fault.record_id for fault in cause.proposed}),
        "no_proposal": "" if cause.proposed else no_proposal_reason(finding, language),
        "looked_at": len(cause.looked_at),
        "records": list(cause.record_ids[:RECORDS]),
        "examples": [_example(fault) for fault in cause.examples],
    }


def _example(fault: Fault) -> dict[str, Any]:
    return {
        "record": fault.record_id,
        "place": fault.place,
        "at": fault.finding.place,
        "value": fault.finding.value,
        "proposal": _proposal(fault.proposal),
        "candidates": [dict(each) for each in fault.candidates],
    }


def _proposal(proposal: Proposal | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    return {
        "evidence": proposal.evidence.value,
        "source": proposal.source,
        "may_be_accepted": proposal.may_be_accepted,
        "changes": [[change.row, change.tag, change.value] for change in proposal.changes],
    }


def _text(cause: Cause, language: Language) -> str:
    chinese = language == "zh"
    finding = cause.first.finding
    due = f"{cause.due_at.astimezone(TAIPEI):%m-%d %H:%M}" if cause.due_at else "-"
    count = len(cause.record_ids)
    counted = f"{count} 筆" if chinese else f"{count} record{'s' if count > 1 else ''}"
    until = "期限" if chinese else "due"
    named = (finding.code, finding.field, cause.first.subject, cause.first.lab_code)
    lines = [
        f"{cause.group_id}  {counted}  {until} {due}  {' '.join(filter(None, named))}",
        f"  {finding.message(language)}",
        f"  {finding.remedy(language)}",
    ]
    if count > 1:
        places = ", ".join(f"#{each.record_id} {each.place}".strip() for each in cause.examples)
        lines.append(f"  {'例' if chinese else 'for example'}: {places}")
    for each in cause.examples:
        lines += _candidate_lines(each, language)
    proposed = cause.proposed
    if proposed and proposed[0].proposal is not None:
        lines.append(_proposal_text(cause, proposed[0].proposal, chinese))
    else:
        head = "無建議：" if chinese else "no proposal, because "
        lines.append(f"  {head}{no_proposal_reason(finding, language)}")
    return "\n".join(lines) + "\n"


def _candidate_lines(fault: Fault, language: Language) -> list[str]:
    """The visits that one example could belong to, with why, and how one is chosen."""
    if not fault.candidates:
        return []
    head = "候選就醫紀錄" if language == "zh" else "candidates"
    lines = [f"  #{fault.record_id} {head} (labbroker match {fault.record_id} VISIT --by NAME):"]
    return lines + [f"    {candidate_line(each, language)}" for each in fault.candidates]


def _proposal_text(cause: Cause, proposal: Proposal, chinese: bool) -> str:
    changes = ", ".join(f"{each.tag}={each.value}" for each in proposal.changes)
    what = changes or ("原樣重送" if chinese else "send again as it is")
    why = _EVIDENCE[proposal.evidence.value][chinese]
    many = len({fault.record_id for fault in cause.proposed})
    line = f"  {'建議' if chinese else 'proposal'}: {what} ({why}: {proposal.source}; "
    line += f"{many}/{len(cause.looked_at)})"
    if proposal.may_be_accepted:
        return f"{line}\n    labbroker fix {cause.group_id} --accept"
    return line
