"""``labbroker fix GROUP``: put all records of one cause right at once."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, require_store
from broker.config import Settings, load_settings
from broker.corrections import FixRequest, apply_part, outcome_json, parts_of, plan_fix
from broker.states import ReceiptState
from broker.store.corrections import CorrectionCounts
from broker.store.receipts import ReceiptAppender, finish_receipt, receipt_row
from broker.web.control import find_control
from mapping.errors import LabbrokerError, Language
from mapping.parsed import Content

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_REASONS = {
    "moved-on": ("it has moved on meanwhile", "狀態已變更"),
    "order-gone": ("its order was taken back or opted out", "醫令已取消或病人不同意上傳"),
    "not-rejected": ("only what NHI refused is sent again as it is", "僅退件可原樣重送"),
    "held-for-another": (
        "a later word on the order, which cannot be used yet, holds it back",
        "因同一醫令有尚無法使用的後續資料而暫停",
    ),
    "key-frozen": (
        "NHI has accepted the order; its key must stay, else it is a second order",
        "該醫令已檢核正確，關鍵欄位不可更動",
    ),
    "on-its-way": ("a version of the order is on its way", "該醫令另一版本傳送中"),
    "double": ("it would be the same order as another record", "將與另一筆紀錄重覆"),
    "newer-version": ("a newer version of the order is there", "已有較新版本"),
}


class NotASetting(LabbrokerError):
    code = "not-a-setting"
    en = ("--set takes FIELD=VALUE.", "Write for example --set h7=0002.")
    zh = ("--set 須為 欄位=值。", "例如 --set h7=0002。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "fix", description="Put all records of a group of the worklist right at once."
    )
    parser.add_argument("group", metavar="GROUP", help="as `labbroker worklist` names it")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--accept", action="store_true", help="apply the proposal")
    what.add_argument("--again", action="store_true", help="send refused records again as they are")
    what.add_argument(
        "--set", action="append", metavar="FIELD=VALUE", dest="settings", help="may be repeated"
    )
    parser.add_argument("--by", metavar="NAME", help="who decides; default: the user of this login")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 all records of the group are ready; 1 some are not."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    fields = dict(_setting(text) for text in arguments.settings or ())
    # A laboratory's word is set only by somebody who gives a name.
    by = arguments.by or ("" if any(tag[:1] == "r" for tag in fields) else getpass.getuser())
    request = FixRequest(arguments.group, by, arguments.accept, arguments.again, fields)
    control = find_control(settings.data_dir)
    if control is not None:
        plain = {
            "group_id": request.group_id,
            "by": request.by,
            "accept": request.accept,
            "again": request.again,
            "settings": dict(request.settings),
        }
        told = ask_service(control, "fix", json.dumps(plain).encode())
    else:
        told = _fix(settings, request)
    if arguments.json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_text(told, arguments.language))
    return int(bool(told["held"] or told["left"] or told["passed_over"]))


def _setting(text: str) -> tuple[str, str]:
    tag, equals, value = text.partition("=")
    if not tag or not equals:
        raise NotASetting()
    return tag.strip(), value


def _fix(settings: Settings, request: FixRequest) -> dict[str, Any]:
    """Without a running service: all in one transaction here."""
    now = datetime.now(UTC)
    with changing(settings.store) as connection:
        plan = plan_fix(connection, settings.profiles, request, now)
        row = receipt_row(plan.payload(now), now)
        (accepted,) = ReceiptAppender(connection).append(connection, [row])
        content = Content.CORRECTION.value
        finish_receipt(connection, accepted.receipt_id, ReceiptState.PARSED, content=content)
        counts = CorrectionCounts()
        for part in parts_of(plan):
            counts = counts.plus(apply_part(connection, accepted.receipt_id, plan, part, now))
        return outcome_json(plan, counts)


def _text(told: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    lines = [
        f"{told['group']}: {told['ready']} 筆可上傳" if chinese
        else f"{told['group']}: {told['ready']} ready"
    ]  # fmt: skip
    if told["held"]:
        lines.append(
            f"  {told['held']} 筆已更正，但仍有其他問題，見 worklist" if chinese
            else f"  {told['held']} corrected, but something else stops them: see the worklist"
        )  # fmt: skip
    if told["left"]:
        lines.append(
            f"  {told['left']} 筆無修正建議" if chinese else f"  {told['left']} without a proposal"
        )
    for reason, count in told["passed_over"].items():
        lines.append(f"  {count} {_REASONS[reason][chinese]}")
    return "\n".join(lines) + "\n"
