"""``labbroker backup``: copy the store while the service works; ``verify`` and ``restore``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config import load_settings
from broker.operation.backup import (
    Backup,
    BackupImpossible,
    make_backup,
    restore_backup,
    verify_backup,
)
from mapping.errors import Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "backup",
        description="Copy the store to a folder, also while the service works, and verify the "
        "copy. The copy holds patients' data.",
    )
    parser.add_argument("what", choices=("make", "verify", "restore"))
    parser.add_argument("folder", type=Path, help="the backup: new or empty for make")
    parser.add_argument("--config", type=Path, help="settings file (its data_dir is copied)")
    parser.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    folder = arguments.folder.resolve()
    if arguments.what == "verify":
        found = verify_backup(folder)
    else:
        data = _data_folder(arguments.config)
        if arguments.what == "make":
            found = make_backup(data, folder, datetime.now(UTC))
        else:
            found = restore_backup(folder, data)
    if arguments.json:
        sys.stdout.write(json.dumps(_plain(found)) + "\n")
    else:
        sys.stdout.write(_sentence(arguments.what, found, arguments.language) + "\n")
    return 0


def _data_folder(config: Path | None) -> Path:
    settings = load_settings(config, os.environ)
    if settings.store.is_shared:
        raise BackupImpossible(
            folder=settings.data_dir,
            reason="the store is PostgreSQL's: use pg_dump",
            reason_zh="資料庫為 PostgreSQL，請使用 pg_dump",
        )
    return settings.data_dir


def _plain(found: Backup) -> dict[str, object]:
    return {
        "folder": str(found.folder),
        "made_at": found.made_at.isoformat(),
        "receipts": found.receipts,
        "records": found.records,
        "files": found.files,
    }


def _sentence(what: str, found: Backup, language: Language) -> str:
    at = found.made_at.astimezone(TAIPEI).strftime("%Y-%m-%d %H:%M")
    if language == "zh":
        done = {"make": "已備份並驗證", "verify": "備份完好", "restore": "已還原"}[what]
        return (
            f"{done}：{found.folder}（{at}，收件 {found.receipts} 筆、紀錄 {found.records} 筆、"
            f"檔案 {found.files} 個）。"
        )
    done = {"make": "Copied and verified", "verify": "Sound", "restore": "Restored"}[what]
    return (
        f"{done}: {found.folder} ({at}, {found.receipts} receipts, {found.records} records, "
        f"{found.files} files)."
    )
