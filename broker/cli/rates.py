"""``labbroker rates``: the four rates of a month, why they differ, what is expected, what helps."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from broker.bootstrap.lists import load_groups
from broker.cli.rates_text import rates_to_text
from broker.cli.rates_unuploaded import write_unuploaded
from broker.config import load_settings
from broker.rates.month import Month, rates_of
from broker.rates.outlook import outlook_of
from broker.rates.plain import rates_to_json
from broker.rates.view import RatesView
from broker.store.engine import open_reader, open_snapshot
from mapping.moment import TAIPEI
from mapping.rates.counted_order import RateName
from mapping.rates.cuts import Cut

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rates",
        description="Say how much of what the clinics ordered is uploaded: within 24 hours, in the "
        "whole month, by NHI's card data, and by NHI's own list where it was imported; the points "
        "that this gives, what is expected at the end, and the fewest orders to the next tier.",
    )
    parser.add_argument(
        "--institution",
        action="append",
        default=[],
        metavar="CODE",
        help="only this clinic (may be named several times)",
    )
    parser.add_argument("--month", metavar="YYYY-MM", help="2026-11 or 115/11; now by default")
    parser.add_argument("--by", choices=[str(cut) for cut in Cut], help="cut the rates")
    parser.add_argument(
        "--explain",
        nargs=2,
        choices=[str(name) for name in RateName],
        metavar=("FIRST", "SECOND"),
        help="list the orders that make the second rate another than the first: "
        + ", ".join(RateName),
    )
    parser.add_argument(
        "--what-if", action="store_true", help="list the fewest orders that reach the next tier"
    )
    parser.add_argument(
        "--unuploaded",
        type=Path,
        metavar="FILE",
        help="write the report of cases not uploaded of one institution, as NHI lays it out: "
        "FILE.xlsx with all its tabs, or FILE.csv with the list; patients are in it",
    )
    parser.add_argument("--from", dest="from_on", metavar="DAY", help="its first day of visits")
    parser.add_argument("--until", dest="until_on", metavar="DAY", help="its last day of visits")
    parser.add_argument(
        "--encoding", choices=("utf-8", "big5"), default="utf-8", help="of the csv (utf-8)"
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ``StoreMissing`` where no service ever ran, ``MonthUnreadable``."""
    settings = load_settings(arguments.config, os.environ)
    now = datetime.now(UTC)
    month = (
        Month.parse(arguments.month) if arguments.month else Month.of(now.astimezone(TAIPEI).date())
    )
    institutions = frozenset(arguments.institution) or None
    if arguments.unuploaded is not None:
        return write_unuploaded(arguments, settings.store, now)
    groups = load_groups(settings.lists)
    reader = open_reader(settings.store)
    try:
        with open_snapshot(reader) as connection:
            found = rates_of(connection, institutions, month, now)
            outlook = outlook_of(connection, institutions, month, now, settings.holidays)
    finally:
        reader.dispose()
    view = RatesView(
        found,
        outlook,
        groups,
        tuple(sorted(institutions or ())),
        Cut(arguments.by) if arguments.by else None,
        tuple(map(RateName, arguments.explain)) if arguments.explain else None,
        arguments.what_if,
    )
    if arguments.json:
        sys.stdout.write(json.dumps(rates_to_json(view), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(rates_to_text(view, arguments.language))
    return 0
