"""``labbroker retention``: erase what is older than the settings keep it, or count it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, reading, require_store
from broker.config import load_settings
from broker.config.settings import Settings
from broker.operation.retention import (
    days_kept,
    erase_all,
    erased_json,
    note_erased,
)
from broker.web.control import find_control
from mapping.errors import Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_WORDS: Mapping[str, tuple[str, str]] = {
    "raw_payloads": ("bytes of payloads", "收件原始內容"),
    "delivery_bodies": ("bodies of deliveries", "傳送內容"),
    "check_reports": ("check reports", "檢核報告"),
    "attempts": ("tries", "傳送嘗試"),
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "retention",
        description="Erase what is final and older than the section [retention] keeps it. The "
        "service does so each night by itself.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only count; nothing is erased")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0; raises ``StoreMissing`` where no service ever ran."""
    settings = load_settings(arguments.config, os.environ)
    told = _count(settings) if arguments.dry_run else _erase(settings)
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(_text(told, settings, arguments.language, arguments.dry_run))
    return 0


def _count(settings: Settings) -> dict[str, dict[str, int]]:
    with reading(settings.store) as connection:
        days = days_kept(settings.retention_days)
        return erased_json(erase_all(connection, days, datetime.now(UTC), dry_run=True))


def _erase(settings: Settings) -> dict[str, dict[str, int]]:
    control = find_control(settings.data_dir)
    if control is not None:
        return ask_service(control, "retention", b"{}")
    require_store(settings.store)
    now = datetime.now(UTC)
    with changing(settings.store) as connection:
        found = erase_all(connection, days_kept(settings.retention_days), now)
        note_erased(connection, found, "cli:", now)
        return erased_json(found)


def _text(
    told: Mapping[str, Mapping[str, int]], settings: Settings, language: Language, dry_run: bool
) -> str:
    chinese = language == "zh"
    lines = []
    for kept, days in days_kept(settings.retention_days).items():
        what = _WORDS[kept.value][chinese]
        if days is None:
            lines.append(f"{what}：永久保存" if chinese else f"{what}: kept for good")
            continue
        found = told.get(kept.value, {"rows": 0, "bytes": 0})
        if chinese:
            done = "可刪除" if dry_run else "已刪除"
            lines.append(
                f"{what}：保存 {days} 日，{done} {found['rows']} 筆（{found['bytes']} 位元組）"
            )
        else:
            done = "would be erased" if dry_run else "erased"
            lines.append(
                f"{what}: kept for {days} days, {found['rows']} {done} ({found['bytes']} bytes)"
            )
    return "\n".join(lines) + "\n"
