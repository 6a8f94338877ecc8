"""``labbroker uploaded PACKAGE``: a person uploaded a file on the portal, or did not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.bootstrap.channels import portal_of
from broker.bootstrap.hand_uploads import put_away, take_back
from broker.cli.control_client import ask_service
from broker.cli.store_access import changing, require_store
from broker.config import Settings, load_settings
from broker.hand_uploads import HandUpload, apply_hand_upload, read_hand_upload, require_waiting
from broker.states import ReceiptState
from broker.store.receipts import ReceiptAppender, finish_receipt, receipt_row
from broker.web.control import find_control
from mapping.errors import Language
from mapping.parsed import Content

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "uploaded", description="Record that a person uploaded a package on the portal."
    )
    parser.add_argument("package", metavar="PACKAGE", help="name of the file, 20 characters")
    parser.add_argument("--by", required=True, metavar="NAME", help="who uploaded it")
    parser.add_argument(
        "--receipt-number", default="", metavar="N", help="what the portal answered, 13 digits"
    )
    parser.add_argument(
        "--at", default="", metavar="TIME", help="when (2026-01-31T10:05, Taipei); default: now"
    )
    parser.add_argument(
        "--not", action="store_true", dest="absent", help="it was not uploaded and will not be"
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 when it is recorded."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    word = read_hand_upload(
        {
            "package": arguments.package,
            "by": arguments.by,
            "receipt_number": arguments.receipt_number,
            "uploaded_at": arguments.at,
            "uploaded": not arguments.absent,
        }
    )
    control = find_control(settings.data_dir)
    if control is not None:
        told = ask_service(control, "uploaded", json.dumps(word.to_json()).encode())
    else:
        told = _record(settings, word)
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(_text(told, arguments.language))
    return 0


def _record(settings: Settings, word: HandUpload) -> dict[str, Any]:
    """Without a running service: all in one transaction here."""
    now = datetime.now(UTC)
    with changing(settings.store) as connection:
        row = require_waiting(connection, word, now)
        portal = portal_of(settings, row.institution_code)
        take_back(portal, row, word, now)
        kept = receipt_row(word.payload(now), now)
        (accepted,) = ReceiptAppender(connection).append(connection, [kept])
        content = Content.CORRECTION.value
        finish_receipt(connection, accepted.receipt_id, ReceiptState.PARSED, content=content)
        told = apply_hand_upload(connection, word, accepted.receipt_id, now)
    put_away(portal, row, word, now)
    return told


def _text(told: dict[str, Any], language: Language) -> str:
    stem, count = told["stem"], told["records"]
    if told["state"] == "submitted":
        if language == "zh":
            return f"{stem}：已登錄上傳（{count} 筆），等待檢核結果\n"
        return f"{stem}: recorded as uploaded ({count} records); its check report is waited for\n"
    if language == "zh":
        return f"{stem}：已登錄未上傳，{count} 筆紀錄將重新送出\n"
    return f"{stem}: recorded as not uploaded; its {count} records go out again\n"
