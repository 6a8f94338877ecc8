"""``labbroker receipts``: one line for each thing that came in, for accounting and scripts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config import load_settings
from broker.store.engine import open_reader
from broker.store.receipts import list_receipts
from broker.store.unread_files import why_unread

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("receipts", description="List what came in.")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """0; raises ``StoreMissing`` where no service ever ran."""
    settings = load_settings(arguments.config, os.environ)
    reader = open_reader(settings.store)
    try:
        with reader.connect() as connection:
            for row in list_receipts(connection):
                entry = {
                    "id": row.id,
                    "source": row.source_id,
                    "door": row.door,
                    "control_id": row.control_id,
                    "sha256": row.sha256.hex(),
                    "received_at": row.received_at.isoformat(),
                    "state": row.state,
                    "acknowledgement": row.acknowledgement,
                    "repeats": row.repeats,
                    "content": row.content,
                    "error_code": row.error_code,
                }
                if row.error_code:
                    entry["message"], entry["remedy"] = why_unread(row, arguments.language)
                if arguments.jsonl:
                    line = json.dumps(entry, ensure_ascii=False)
                else:
                    line = (
                        f"{row.id:>8}  {entry['received_at'][:19]}  {row.source_id:<16}"
                        f"{row.state:<12}{row.acknowledgement:<12}{row.error_code}"
                    )
                    if row.error_code:
                        line += f"\n          {entry['message']}\n          {entry['remedy']}"
                sys.stdout.write(line + "\n")
    finally:
        reader.dispose()
    return 0
