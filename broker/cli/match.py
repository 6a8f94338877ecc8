"""``labbroker match RECORD [VISIT]``: the visits that a held result could belong to; choose one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.choices import NoSuchRecord, read_decision
from broker.cli.decide import decide
from broker.config import load_settings
from broker.store.choices import candidates_of, get_record
from broker.store.engine import open_reader
from mapping.errors import Language
from mapping.match_score import POINTS, Sign

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_SIGNS = {
    Sign.PLACER_NUMBER: ("same placer order number", "開單號碼相同"),
    Sign.NATIONAL_ID: ("same national id", "身分證號相同"),
    Sign.NATIONAL_ID_UNCHECKED: ("same national id, check digit wrong", "身分證號相同但檢查碼不符"),
    Sign.NATIONAL_ID_NEAR: ("national id differs by a slip", "身分證號疑似誤植"),
    Sign.BIRTH_DATE: ("same birth date", "出生日期相同"),
    Sign.ORDER_CODE: ("same order code", "醫令相同"),
    Sign.ORDER_FAMILY: ("order of the same family", "同類醫令"),
    Sign.SOON: ("taken within a week", "就醫後一週內採檢"),
    Sign.IN_WINDOW: ("taken within a month", "就醫後一個月內採檢"),
    Sign.ORDER_DAY: ("ordered on that day", "開單日相同"),
    Sign.PROVIDER: ("same ordering provider", "開單醫師相同"),
    Sign.OTHER_BIRTH_DATE: ("another birth date", "出生日期不同"),
    Sign.OTHER_PLACER_NUMBER: ("another placer order number", "開單號碼不同"),
    Sign.BEFORE_VISIT: ("taken before the visit", "採檢早於就醫"),
    Sign.AFTER_WINDOW: ("taken long after the visit", "採檢距就醫過久"),
    Sign.NO_ORDER: ("no such order", "無此醫令"),
    Sign.TAKEN_BACK: ("taken back", "已取消"),
    Sign.REPEATED: ("the order comes again and again", "定期重複開立"),
    Sign.ANSWERED: ("has its result already", "已有結果"),
}


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
        return _list(settings.data_dir, arguments.record, arguments.json, arguments.language)
    asked = {"record_id": arguments.record, "visit_id": arguments.visit, "by": arguments.by or ""}
    told = decide(settings.data_dir, read_decision(asked))
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


def _list(folder: Path, record_id: int, as_json: bool, language: Language) -> int:
    reader = open_reader(folder)
    try:
        with reader.connect() as connection:
            row = get_record(connection, record_id)
    finally:
        reader.dispose()
    if row is None:
        raise NoSuchRecord(record=record_id)
    found: Any = candidates_of(row).get("visits", [])
    if as_json:
        told = {"record": record_id, "order_code": row.order_code, "candidates": found}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        none = "沒有候選就醫紀錄\n" if language == "zh" else "There is no candidate.\n"
        sys.stdout.write("".join(_text(each, language) for each in found) or none)
    return int(not found)


def _text(candidate: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    score = f"{candidate['score']} 分" if chinese else f"{candidate['score']} points"
    head = f"{candidate['visit']}  {candidate['visit_on']}  {candidate['order_code']}  {score}\n"
    signs = [Sign(each) for each in candidate["signs"]]
    return head + "".join(f"  {POINTS[sign]:+}  {_SIGNS[sign][chinese]}\n" for sign in signs)
