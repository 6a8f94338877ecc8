"""``labbroker plan``: what goes when, what will be late, what would save it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config import load_settings
from broker.lateness import Reward
from broker.plan_reading import read_plan
from broker.store.engine import open_reader
from broker.upload_plan import PlanEntry, Remedy
from mapping.errors import Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers
    from broker.config.settings import Settings

_REMEDIES = {
    Remedy.NOTHING: ("", ""),
    Remedy.OPEN_EARLIER: (
        "bring the card before the due time, or widen its hours",
        "請於期限前放入卡片，或調整卡片可用時間",
    ),
    Remedy.WORK_OFF: ("work them off: labbroker worklist", "請處理：labbroker worklist"),
    Remedy.NAME_UPLOADER: (
        "no [[institution]] uploads them: see the settings",
        "沒有 [[institution]] 負責上傳，請檢查設定",
    ),
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "plan", description="Say what goes when, what will be late and what would save it."
    )
    parser.add_argument("--institution", metavar="CODE", help="only this institution")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 all that is open will be in time; 1 some will not by itself."""
    settings = load_settings(arguments.config, os.environ)
    entries = [
        entry
        for entry in read_plan_of(settings, datetime.now(UTC))
        if arguments.institution in (None, entry.institution_code)
    ]
    cards = {each.code: each.credential_kind.value for each in settings.institutions}
    if arguments.json:
        told = {
            "entries": [
                {**entry.to_json(), "credential": cards.get(entry.institution_code, "")}
                for entry in entries
            ]
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(_text(entries, cards, arguments.language))
    return int(any(entry.remedy is not Remedy.NOTHING for entry in entries))


def read_plan_of(settings: Settings, now: datetime) -> list[PlanEntry]:
    """The plan of a store as it stands. Raises ``StoreMissing``."""
    schedule = settings.schedule
    reader = open_reader(settings.store)
    try:
        return read_plan(
            reader,
            settings.hours,
            now,
            parts_ahead=schedule.parts_ahead,
            press=timedelta(minutes=schedule.press_before_minutes),
        )
    finally:
        reader.dispose()


def _text(entries: list[PlanEntry], cards: Mapping[str, str], language: Language) -> str:
    chinese = language == "zh"
    if not entries:
        return "沒有待上傳的紀錄\n" if chinese else "Nothing waits to be uploaded.\n"
    titles = (
        (
            "機構",
            "憑證",
            "狀態",
            "筆數",
            "最早期限",
            "預計送出",
            "準時",
            "逾一日",
            "逾三日",
            "如何處理",
        )
        if chinese
        else (
            "institution",
            "signed by",
            "state",
            "records",
            "earliest due",
            "leaves",
            "in time",
            "half",
            "too late",
            "what to do",
        )
    )
    rows = [titles]
    for entry in entries:
        rows.append(
            (
                entry.institution_code or "-",
                cards.get(entry.institution_code, "-"),
                entry.reason,
                str(entry.records),
                f"{entry.due_at.astimezone(TAIPEI):%m-%d %H:%M}",
                f"{entry.leaves_at.astimezone(TAIPEI):%m-%d %H:%M}" if entry.leaves_at else "-",
                str(entry.by_reward[Reward.FULL]),
                str(entry.by_reward[Reward.HALF]),
                str(entry.by_reward[Reward.RATE_ONLY]),
                _REMEDIES[entry.remedy][chinese],
            )
        )
    return "".join("  ".join(row).rstrip() + "\n" for row in _padded(rows))


def _padded(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        tuple(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)
