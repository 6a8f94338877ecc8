"""``labbroker match RECORD [VISIT]``: the visits that a held result could belong to; choose one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.choices import NoSuchRecord, read_decision
from broker.cli.candidate_text import candidate_text
from broker.cli.decide import decide
from broker.cli.store_access import reading
from broker.config import load_settings
from broker.store.choices import candidates_of, get_record
from broker.store.location import StoreLocation
from mapping.errors import Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "match",
        description="List the visits that a held result could belong to; with VISIT, choose one.",
    )
    parser.add_argument("record", type=int, metavar="RECORD", help="its number in the worklist")
    parser.add_argument("visit", type=int, nargs="?", metavar="VISIT", help="one of the candidates")
    parser.add_argument("--by", metavar="NAME", help="who decides; needed with VISIT")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0; 1 where there is no candidate."""
    settings = load_settings(arguments.config, os.environ)
    if arguments.visit is None:
        return _list(settings.store, arguments.record, arguments.json, arguments.language)
    asked = {"record_id": arguments.record, "visit_id": arguments.visit, "by": arguments.by or ""}
    told = decide(settings.store, read_decision(asked))
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    elif arguments.language == "zh":
        sys.stdout.write(
            f"紀錄 {told['record']} 已指定就醫紀錄，重新處理（收件 {told['receipt_id']}）\n"
        )
    else:
        sys.stdout.write(
            f"record {told['record']} is read again with that visit "
            f"(receipt {told['receipt_id']})\n"
        )
    return 0


def _list(store: StoreLocation, record_id: int, as_json: bool, language: Language) -> int:
    with reading(store) as connection:
        row = get_record(connection, record_id)
    if row is None:
        raise NoSuchRecord(record=record_id)
    found: Any = candidates_of(row).get("visits", [])
    if as_json:
        told = {"record": record_id, "order_code": row.order_code, "candidates": found}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        none = "沒有候選就醫紀錄\n" if language == "zh" else "There is no candidate.\n"
        sys.stdout.write("".join(candidate_text(each, language) for each in found) or none)
    return int(not found)
