"""``labbroker optout``: keep an order out of the upload, as the patient wished."""

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
from broker.config import load_settings
from broker.opt_outs import OptOut, apply_opt_out, read_opt_out, require_order
from broker.states import ReceiptState
from broker.store.location import StoreLocation
from broker.store.receipts import ReceiptAppender, finish_receipt, receipt_row
from broker.web.control import find_control
from mapping.errors import Language
from mapping.parsed import Content

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_MOST_READ = 100


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "optout",
        description="Keep an order of a visit out of the upload, as the patient wished. The "
        "national id is read from standard input.",
    )
    parser.add_argument("--institution", required=True, metavar="CODE", help="the ordering clinic")
    parser.add_argument(
        "--visit-on", required=True, metavar="YYYY-MM-DD", help="day of the visit (h11)"
    )
    parser.add_argument("--order", required=True, metavar="CODE", help="order code (h15)")
    parser.add_argument("--by", metavar="NAME", help="who decides; default: the user of this login")
    parser.add_argument("--undo", action="store_true", help="take the wish back")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 nothing of the order has left; 1 something had left before."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    request = read_opt_out(
        {
            "institution_code": arguments.institution,
            "visit_on": arguments.visit_on,
            "order_code": arguments.order,
            "by": arguments.by or getpass.getuser(),
            "opted_out": not arguments.undo,
            "national_id": _national_id(arguments.language),
        }
    )
    control = find_control(settings.data_dir)
    if control is not None:
        told = ask_service(control, "opt-out", json.dumps(request.to_json()).encode())
    else:
        told = _mark(settings.store, request)
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(_text(told, request.opted_out, arguments.language))
    return int(request.opted_out and told["on_their_way"] > 0)


def _national_id(language: Language) -> str:
    """Never an argument: those can be read by other users and stay in the shell's history."""
    if sys.stdin.isatty():
        return getpass.getpass("身分證號：" if language == "zh" else "National id: ")
    return sys.stdin.readline(_MOST_READ)


def _mark(store: StoreLocation, request: OptOut) -> dict[str, Any]:
    """Without a running service: all in one transaction here."""
    now = datetime.now(UTC)
    with changing(store) as connection:
        require_order(connection, request)
        row = receipt_row(request.payload(now), now)
        (accepted,) = ReceiptAppender(connection).append(connection, [row])
        content = Content.CORRECTION.value
        finish_receipt(connection, accepted.receipt_id, ReceiptState.PARSED, content=content)
        return apply_opt_out(connection, request).to_json()


def _text(told: dict[str, Any], opted_out: bool, language: Language) -> str:
    orders, gone = told["orders"], told["on_their_way"]
    if language == "zh":
        lines = [f"{orders} 筆醫令{'不上傳' if opted_out else '恢復上傳'}"]
        if opted_out and gone:
            lines.append(f"{gone} 筆紀錄已在上傳檔中或已送出，無法收回；請洽健保署分區業務組")
    else:
        lines = [f"{orders} order lines {'are not' if opted_out else 'are again'} uploaded"]
        if opted_out and gone:
            lines.append(
                f"{gone} records are in a package or were sent and are not called back; "
                "ask NHI's regional division"
            )
    return "\n".join(lines) + "\n"
