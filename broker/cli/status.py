"""``labbroker status``: what came in, what stands where, what is due next."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.config import load_settings
from broker.operation.alarm_words import ALARM_WORDS
from broker.operation.watch import OPERATION_ALARMS
from broker.rates.month import Month
from broker.rates.standing import plain_number, standings
from broker.store.alarms import AlarmKind, open_alarms
from broker.store.code_maps import code_counts
from broker.store.engine import open_reader
from broker.store.location import StoreLocation
from broker.store.overview import (
    held_counts,
    next_due_at,
    package_counts,
    receipt_counts,
    record_counts,
)
from broker.web.console.wording import say_or
from mapping.errors import Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_STILL_OPEN = timedelta(days=7)
_TITLES = {
    "receipts": ("Received", "收件"),
    "records": ("Results", "結果"),
    "held": ("Held, and why", "暫停與原因"),
    "packages": ("Packages", "上傳檔"),
    "codes": ("Local codes that wait for a person", "待處理的檢驗所代碼"),
}

_STATES = {
    "receipts": "receipt",
    "records": "record",
    "held": "held",
    "packages": "package",
    "codes": "held",
}
"""How the states of each are named in the words of the pages."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("status", description="Say what stands where.")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0; raises ``StoreMissing`` where no service ever ran."""
    settings = load_settings(arguments.config, os.environ)
    told = overview(settings.store)
    if arguments.json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_text(told, arguments.language))
    return 0


def overview(place: Path | StoreLocation) -> dict[str, Any]:
    """The counts of a store as plain values; times are ISO 8601."""
    reader = open_reader(place)
    today = datetime.now(TAIPEI).date()
    # In its first days the month before is still being made up for.
    months = sorted({Month.of(today - _STILL_OPEN), Month.of(today)}, key=str)
    try:
        with reader.connect() as connection:
            due = next_due_at(connection)
            return {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "receipts": receipt_counts(connection),
                "records": record_counts(connection),
                "held": held_counts(connection),
                "packages": package_counts(connection),
                "codes": code_counts(connection),
                "alarms": [
                    {
                        "kind": row.kind,
                        "institution": row.institution_code,
                        "reason": row.reason,
                        "records": row.records,
                        "due_at": row.due_at.isoformat(timespec="seconds"),
                        "opened_at": row.opened_at.isoformat(timespec="seconds"),
                    }
                    for row in open_alarms(connection)
                ],
                "next_due_at": due.isoformat(timespec="seconds") if due else None,
                "rates": [
                    {
                        "month": str(month),
                        "clinic": each.clinic_code,
                        "due": plain_number(each.due),
                        "uploaded": plain_number(each.uploaded),
                        "on_time": plain_number(each.on_time),
                        "opted_out": plain_number(each.opted_out),
                        "percent": None if each.percent is None else str(each.percent),
                    }
                    for month in months
                    for each in standings(connection, month.first, month.last)
                ],
            }
    finally:
        reader.dispose()


CARD_WORDS = {
    AlarmKind.CARD_AWAY.value: ("Card away", "卡片不在"),
    AlarmKind.CRITICAL.value: ("Critical results not confirmed", "危急值未確認"),
    AlarmKind.CERTIFICATE_ENDS.value: ("Certificate ends", "憑證將到期"),
    AlarmKind.VERDICT_OVERDUE.value: ("No check report, kept until", "檢核結果未取得，保存至"),
}
CARD_WORDS |= {kind.value: ALARM_WORDS[kind] for kind in OPERATION_ALARMS}

_DATED = (AlarmKind.CERTIFICATE_ENDS.value, AlarmKind.VERDICT_OVERDUE.value)


def _alarm_text(alarm: dict[str, Any], chinese: bool) -> str:
    due = datetime.fromisoformat(alarm["due_at"]).astimezone(TAIPEI)
    if alarm["kind"] in CARD_WORDS:
        words = CARD_WORDS[alarm["kind"]][chinese]
        until = f" {due:%Y-%m-%d}" if alarm["kind"] in _DATED else ""
        return f"{words}{until}  {alarm['institution']} {alarm['reason']} {alarm['records']}"
    late = alarm["kind"] == AlarmKind.MISSED
    what = (f"{alarm['institution']} {alarm['reason']} {alarm['records']}").strip()
    if chinese:
        return f"{'已逾期' if late else '即將逾期'}  {what} 筆，最早期限 {due:%m-%d %H:%M}"
    return f"{'Late' if late else 'At risk'}  {what}, earliest due {due:%m-%d %H:%M} (Taipei)"


def _text(told: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    lines = []
    for key, (english, taiwanese) in _TITLES.items():
        lines.append(taiwanese if chinese else english)
        counts = told[key] or {"-": 0}
        for name, count in sorted(counts.items()):
            word = say_or("zh", f"states.{_STATES[key]}_{name}", "") if chinese else ""
            lines.append(f"  {name:<24}{count:>8}  {word}".rstrip())
    for alarm in told["alarms"]:
        lines.append(_alarm_text(alarm, chinese))
    due = told["next_due_at"]
    if due:
        local = datetime.fromisoformat(due).astimezone(TAIPEI)
        label = "最近期限" if chinese else "Next due"
        lines.append(f"{label}  {local:%Y-%m-%d %H:%M} (Taipei)")
    for rate in told["rates"]:
        label = f"24 小時上傳率 {rate['month']}" if chinese else f"24-hour rate {rate['month']}"
        percent = "-" if rate["percent"] is None else f"{rate['percent']} %"
        lines.append(f"{label}  {rate['clinic']}  {rate['on_time']}/{rate['due']}  {percent}")
    return "\n".join(lines) + "\n"
