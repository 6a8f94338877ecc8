"""``labbroker dismiss RECORD``: end what no correction of a field could mend."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker.choices import read_decision
from broker.cli.decide import decide
from broker.config import load_settings

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "dismiss",
        description="Put a held result aside that is not to be uploaded, or end a task about a "
        "record that has left. Name, reason and time are kept.",
    )
    parser.add_argument("record", type=int, metavar="RECORD", help="its number in the worklist")
    parser.add_argument("--by", required=True, metavar="NAME", help="who decides")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0; raises ``NoSuchRecord`` where the record does not wait for this."""
    settings = load_settings(arguments.config, os.environ)
    asked = {"record_id": arguments.record, "by": arguments.by, "reason": arguments.reason}
    told = decide(settings.store, read_decision(asked))
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    elif arguments.language == "zh":
        sys.stdout.write(f"紀錄 {told['record']} 已結案（收件 {told['receipt_id']}）\n")
    else:
        sys.stdout.write(f"record {told['record']} is done with (receipt {told['receipt_id']})\n")
    return 0
