"""``labbroker replay ID``: read the kept bytes again, with what is known by now."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from broker.cli.store_access import changing, require_store
from broker.config import load_settings
from broker.store.engine import StoreBusy
from broker.store.location import StoreLocation
from broker.store.receipts import replay_receipt
from broker.web.control import ControlAddress, find_control
from mapping.errors import LabbrokerError

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


class NoSuchReceipt(LabbrokerError):
    code = "no-such-receipt"
    en = (
        "There is no receipt {receipt_id} that could be read again.",
        "List them with `labbroker receipts`.",
    )
    zh = ("沒有可重新處理的收件 {receipt_id}。", "請以 `labbroker receipts` 查詢收件編號。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("replay", description="Read the bytes of a receipt again.")
    parser.add_argument("receipt_id", type=int, nargs="+", metavar="ID")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")


def run(arguments: argparse.Namespace) -> int:
    """0; a running service does it at once, else it is done at the next start."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    control = find_control(settings.data_dir)
    chinese = arguments.language == "zh"
    for receipt_id in arguments.receipt_id:
        if control is not None:
            found, now = asyncio.run(_ask(control, receipt_id)), True
        else:
            found, now = _mark(settings.store, receipt_id), False
        if not found:
            raise NoSuchReceipt(receipt_id=receipt_id)
        when = (
            ("已重新處理" if now else "將於下次啟動時處理")
            if chinese
            else ("is read again" if now else "will be read again at the next start")
        )
        sys.stdout.write(f"{receipt_id}: {when}\n")
    return 0


async def _ask(control: ControlAddress, receipt_id: int) -> bool:
    url = control.url(f"replay/{receipt_id}")
    headers = {"Authorization": f"Bearer {control.token}"}
    try:
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
            return answer.status == 202
    except aiohttp.ClientError as error:
        raise StoreBusy(folder="(not answering)") from error


def _mark(store: StoreLocation, receipt_id: int) -> bool:
    with changing(store) as connection:
        return replay_receipt(connection, receipt_id)
