"""``labbroker doctor``: what is set up, what is missing, what to do next."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.card.software_key import SoftwareKey
from broker.bootstrap.lists import load_lists
from broker.cli.access_checks import check_access
from broker.cli.card_checks import check_cards
from broker.cli.channel_checks import check_channels
from broker.cli.machine_checks import (
    check_card_parts,
    check_clock,
    check_data_folder,
    check_disk,
    check_port,
    check_python,
    check_sqlite,
)
from broker.cli.outcome import Outcome, Status, failed_by, ok
from broker.cli.setup_checks import (
    check_agreements,
    check_folders,
    check_institutions,
    check_lists,
)
from broker.cli.store_checks import check_store
from broker.config import load_settings
from mapping.errors import LabbrokerError, Language
from mapping.moment import TAIPEI

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_MARKS = {Status.OK: "ok  ", Status.WARN: "warn", Status.FAIL: "FAIL"}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "doctor", description="Say what is set up, what is missing and what to do next."
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--online", action="store_true", help="connect to the channel even where it is not local"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing fails (warnings are allowed), else 1."""
    outcomes = list(examine(arguments.config, os.environ, arguments.online))
    failed = any(outcome.status is Status.FAIL for outcome in outcomes)
    language: Language = arguments.language
    if arguments.json:
        rows = [
            {
                "check": outcome.check,
                "status": outcome.status.value,
                "message": outcome.message(language),
                "next": outcome.next_step(language),
            }
            for outcome in outcomes
        ]
        sys.stdout.write(json.dumps({"ok": not failed, "checks": rows}, ensure_ascii=False) + "\n")
    else:
        for outcome in outcomes:
            sys.stdout.write(f"{_MARKS[outcome.status]}  {outcome.check}: ")
            sys.stdout.write(f"{outcome.message(language)}\n")
            if outcome.then[0]:
                sys.stdout.write(f"      → {outcome.next_step(language)}\n")
    return 1 if failed else 0


def examine(config: Path | None, environ: Mapping[str, str], online: bool) -> Iterator[Outcome]:
    """All checks, those of the settings only when the settings can be read."""
    yield check_python()
    yield check_sqlite()
    try:
        settings = load_settings(config, environ)
    except LabbrokerError as error:
        yield check_card_parts(in_use=False)
        yield failed_by("settings", error)
        return
    yield check_card_parts(in_use=bool(settings.cards) and settings.agent.readers)
    shown = str(config) if config else "no file, defaults (--config names one)"
    yield ok("settings", (shown, str(config) if config else "未指定設定檔，使用預設值（--config）"))
    yield check_data_folder(settings.data_dir)
    yield check_disk(settings.data_dir)
    yield from check_store(settings.store)
    yield check_clock(settings.data_dir)
    for name, door in (("mllp", settings.mllp), ("http", settings.http)):
        if door.enabled and door.port:
            yield check_port(f"{name} port", door.host, door.port)
    yield from check_access(settings)
    yield from check_folders(settings)
    yield from check_agreements(settings)
    yield from check_institutions(settings, environ, SoftwareKey.load)
    yield from check_lists(load_lists(settings.lists), datetime.now(TAIPEI).date())
    yield from check_channels(settings, online)
    yield from check_cards(settings, environ)
