"""``labbroker orders --without-result``: what was ordered and has no result."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.config import load_settings
from broker.store.engine import open_reader
from broker.store.rows import AnyRow
from broker.store.visit_orders import orders_without_result
from mapping.catalogue.tables import order_code
from mapping.errors import LabbrokerError, Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

DAYS = 3
"""Days after the visit in which a result is waited for without a word."""
_MOST = 1000


class NotADay(LabbrokerError):
    code = "not-a-day"
    en = ("--since takes a day as YYYY-MM-DD.", "Write for example --since 2026-11-01.")
    zh = ("--since 須為 YYYY-MM-DD。", "例如 --since 2026-11-01。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "orders", description="List the orders of the clinics' card data that have no result."
    )
    parser.add_argument(
        "--without-result", action="store_true", required=True, help="no result has come in"
    )
    parser.add_argument("--institution", default="", metavar="CODE", help="one clinic only")
    parser.add_argument(
        "--after", type=int, default=DAYS, metavar="DAYS", help=f"days after the visit ({DAYS})"
    )
    parser.add_argument("--since", metavar="YYYY-MM-DD", help="visits from this day on")
    parser.add_argument(
        "--limit", type=int, default=_MOST, metavar="N", help=f"at most N ({_MOST})"
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """0 nothing is missing; 1 something is."""
    settings = load_settings(arguments.config, os.environ)
    since = _day(arguments.since) if arguments.since else None
    now = datetime.now(UTC)
    wait = timedelta(days=max(arguments.after, 0))
    reader = open_reader(settings.store)
    count = 0
    try:
        with reader.connect() as connection:
            rows = orders_without_result(
                connection, now - wait, arguments.institution.upper(), since
            )
            for row in islice(rows, max(arguments.limit, 1)):
                count += 1
                told = _plain(row, now, wait)
                line = json.dumps(told, ensure_ascii=False) if arguments.json else _text(
                    told, arguments.language
                )  # fmt: skip
                sys.stdout.write(line + "\n")
    finally:
        reader.dispose()
    if not count and not arguments.json:
        none = "沒有缺少結果的醫令" if arguments.language == "zh" else "No result is missing."
        sys.stdout.write(none + "\n")
    return int(count > 0)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotADay() from None


def _plain(row: AnyRow, now: datetime, wait: timedelta) -> dict[str, Any]:
    listed = order_code(row.order_code)
    return {
        "visit": row.visit_id,
        "institution": row.institution_code,
        "visit_on": row.visit_on.isoformat(),
        "card_at": row.card_at.astimezone(TAIPEI).isoformat(),
        "visit_serial": row.visit_serial,
        "order_code": row.order_code,
        "order_name": listed.name_zh if listed else "",
        "due_at": (row.card_at + wait).astimezone(TAIPEI).isoformat(),
        "age_days": (now - row.card_at).days,
        "preliminary": bool(row.waiting),
    }


def _text(told: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    age = f"{told['age_days']} 日" if chinese else f"{told['age_days']} days"
    due = f"{'期限' if chinese else 'due'} {told['due_at'][:16].replace('T', ' ')}"
    parts = [
        told["institution"],
        told["card_at"][:16].replace("T", " "),
        told["visit_serial"] or "-",
        told["order_code"],
        told["order_name"],
        age,
        due,
    ]
    if told["preliminary"]:
        parts.append("僅有初步結果" if chinese else "preliminary result only")
    return "  ".join(parts)
