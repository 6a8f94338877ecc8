"""``labbroker visits FILE``: a clinic's visits brought by hand, with a bar that shows how far."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from adapters.folder.formats.identify import identify, text_media
from adapters.ports.intake import Media
from broker.cli.control_client import ask_service
from broker.cli.local_file import read_file
from broker.cli.source_choice import source_profile
from broker.config import load_settings
from broker.finding_json import findings_from_json
from broker.states import ReceiptState
from broker.web.control import ControlAddress, find_control
from mapping.errors import LabbrokerError, Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_VISITS = frozenset({Media.IC_CARD_XML, Media.VISITS_CSV})
_LOOK_SECONDS = 0.2
_BAR = 30
_MOST_FINDINGS = 20


class NoVisits(LabbrokerError):
    code = "no-visits"
    en = (
        "The file holds no visits ({media}).",
        "Bring an IC-card upload file or a table of visits: docs/how-to/connect-a-lab-by-files.md.",
    )
    zh = (
        "檔案內沒有就醫資料（{media}）。",
        "請提供健保卡上傳檔或就醫表格：docs/how-to/connect-a-lab-by-files.md。",
    )


class ServiceNotRunning(LabbrokerError):
    code = "service-not-running"
    en = (
        "No service runs on the data folder {folder}.",
        "Start `labbroker serve`, then bring the file again.",
    )
    zh = ("資料夾 {folder} 沒有執行中的服務。", "請先執行 `labbroker serve`，再匯入檔案。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "visits",
        description="Give a clinic's visits (IC-card upload, table of visits) to the running "
        "service and wait until they are stored. The same file twice changes nothing; what broke "
        "off goes on with the service. Exit code 0: stored, 1: some rows could not be used, "
        "2: unreadable.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--source", default="", metavar="ID", help="the clinic's source")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 stored, 1 with findings; raises where nothing could be read."""
    settings = load_settings(arguments.config, os.environ)
    profile = source_profile(settings, arguments.source, needed=True)
    raw, name = read_file(arguments.file), PurePath(arguments.file).name
    media = identify(raw, name, text_media(profile))
    if media not in _VISITS:
        raise NoVisits(media=media.value)
    control = find_control(settings.data_dir)
    if control is None:
        raise ServiceNotRunning(folder=settings.data_dir)
    query = {"source": profile.source_id, "media": media.value, "name": name}
    accepted = ask_service(control, "visits", raw, query)
    told = _wait(control, accepted["receipt_id"], shown=not arguments.json)
    findings = findings_from_json(told["findings"])
    language: Language = arguments.language
    if arguments.json:
        plain = {**accepted, "state": told["state"], "findings": len(findings)}
        sys.stdout.write(json.dumps(plain) + "\n")
    else:
        sys.stdout.write(_text(accepted, told, language))
        for finding in findings[:_MOST_FINDINGS]:
            sys.stdout.write(f"  {finding.message(language)}\n")
    if told["state"] == ReceiptState.QUARANTINED.value:
        return 2
    return int(bool(findings))


def _wait(control: ControlAddress, receipt_id: int, *, shown: bool) -> dict[str, Any]:
    bar = ProgressBar(shown and sys.stderr.isatty())
    while True:
        told = ask_service(control, "visits-progress", b"", {"receipt_id": str(receipt_id)})
        if told["state"] != ReceiptState.STORED.value:
            bar.end()
            return told
        if "total" in told:
            bar.show(told["done"], told["total"])
        time.sleep(_LOOK_SECONDS)


class ProgressBar:
    """On a terminal alone."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._began = False

    def show(self, done: int, total: int) -> None:
        """``[####    ]  40 %  4000/10000``, over what was shown before."""
        if not self._shown:
            return
        self._began = True
        filled = done * _BAR // max(total, 1)
        share = done * 100 // max(total, 1)
        bar = "#" * filled + " " * (_BAR - filled)
        sys.stderr.write(f"\r[{bar}] {share:3d} %  {done}/{total}")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._began:
            sys.stderr.write("\n")


def _text(accepted: dict[str, Any], told: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    number = accepted["receipt_id"]
    if told["state"] == ReceiptState.QUARANTINED.value:
        texts = json.loads(told["error_texts"]) if told["error_texts"] else {}
        said = " ".join(texts.get(language, [told["error_text"]]))
        return f"{'收件' if chinese else 'receipt'} {number}: {said}\n"
    if accepted["duplicate"]:
        return (
            f"收件 {number}：相同檔案先前已匯入\n"
            if chinese
            else f"receipt {number}: the same file was taken before\n"
        )
    return f"收件 {number}：已匯入\n" if chinese else f"receipt {number}: the visits are stored\n"
