"""``labbroker verdict FILE…``: take check reports that a person downloaded from NHI's VPN."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from adapters.nhi.check_report import open_verdict
from adapters.nhi.verdict_archive import read_entries
from adapters.ports.intake import Door, Media, Payload
from broker.bootstrap.check_report_desk import check_report_desk
from broker.check_reports import CheckReports
from broker.cli.control_client import ask_service
from broker.cli.local_file import read_file
from broker.cli.store_access import changing, require_store
from broker.config import Settings, load_settings
from broker.config.secret import SecretReference, parse_secret_reference
from broker.finding_json import findings_from_json
from broker.states import ReceiptState
from broker.store.engine import open_reader
from broker.store.open_work import get_receipt
from broker.store.receipts import ReceiptAppender, receipt_row, replay_receipt
from broker.web.control import ControlAddress, find_control
from mapping.errors import LabbrokerError, Language

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_PATIENCE_SECONDS = 120.0


class NotASecretReference(LabbrokerError):
    code = "not-a-secret-reference"
    en = (
        "--password-from does not say where a password is kept.",
        "Write env:NAME or file:PATH; a password itself never stands in a command.",
    )
    zh = (
        "--password-from 未指明密碼存放處。",
        "請填 env:變數名稱 或 file:檔案路徑；密碼本身不可寫在指令中。",
    )


class ReportNotReadYet(LabbrokerError):
    code = "report-not-read-yet"
    en = (
        "The report is stored as receipt {receipt_id}; the service has not read it yet.",
        "Look at it again with `labbroker receipts`.",
    )
    zh = ("報告已存為收件 {receipt_id}，服務尚未處理。", "請稍後以 `labbroker receipts` 查詢。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "verdict", description="Take check reports downloaded from NHI's VPN (ZIP or .txt)."
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument(
        "--password-from", metavar="PLACE", help="where the ZIP's password is: env:NAME, file:PATH"
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """0 all applied; 1 something fits no package, contradicts or cannot be placed; raises for
    what cannot be opened: then nothing of that file is stored."""
    settings = load_settings(arguments.config, os.environ)
    require_store(settings.store)
    place = _password_place(arguments.password_from)
    control = find_control(settings.data_dir)
    worst = 0
    for file in arguments.files:
        for name, raw in _open(file, place, settings):
            if control is not None:
                told = _ask(control, settings, name, raw)
            else:
                told = _take(settings, name, raw)
            told = {"file": str(file)} | told
            worst = max(worst, int(not _is_clean(told)))
            if arguments.json:
                sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(_text(told, arguments.language))
    return worst


def _password_place(text: str | None) -> SecretReference | None:
    if text is None:
        return None
    place = parse_secret_reference(text, Path.cwd())
    if place is None:
        raise NotASecretReference()
    return place


def _open(file: Path, place: SecretReference | None, settings: Settings) -> list[tuple[str, bytes]]:
    """The plain texts of a file, each proved to be a check report, with their names.

    They are stored opened: a ZIP whose password is not kept would be no evidence later.
    """
    raw = read_file(str(file))
    entries = [(file.name, raw)]
    if raw.startswith(b"PK"):
        entries = _entries(raw, place, settings)
    for name, text in entries:
        open_verdict(text, "", name)
    return entries


def _entries(
    raw: bytes, place: SecretReference | None, settings: Settings
) -> list[tuple[str, bytes]]:
    """With the password that was named, else with those of the institutions."""
    if place is not None:
        return read_entries(raw, place.read(os.environ).reveal())
    kept = [each.verdict_password for each in settings.institutions if each.verdict_password]
    wrong: LabbrokerError | None = None
    for password in ("", *(each.read(os.environ).reveal() for each in kept)):
        try:
            return read_entries(raw, password)
        except LabbrokerError as error:
            if error.code != "verdict-password-wrong":
                raise
            wrong = error
    assert wrong is not None  # noqa: S101 - the empty password is always tried
    raise wrong


def _ask(control: ControlAddress, settings: Settings, name: str, raw: bytes) -> dict[str, Any]:
    receipt_id = int(ask_service(control, "check-report", raw, {"name": name})["receipt_id"])
    reader = open_reader(settings.store)
    try:
        return _wait(reader, receipt_id)
    finally:
        reader.dispose()


def _wait(reader: Engine, receipt_id: int) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        with reader.connect() as connection:
            row = get_receipt(connection, receipt_id)
        if row is not None and row.state != ReceiptState.STORED.value:
            return _told(row)
        time.sleep(0.05)
    raise ReportNotReadYet(receipt_id=receipt_id)


def _take(settings: Settings, name: str, raw: bytes) -> dict[str, Any]:
    """Without a running service: store and apply it here."""
    desk: CheckReports = check_report_desk(settings, os.environ)
    now = datetime.now(UTC)
    payload = Payload("", Door.COMMAND, Media.CHECK_REPORT, raw, name=name)
    reports = desk.read("", Door.COMMAND.value, raw, name)
    with changing(settings.store) as connection:
        (accepted,) = ReceiptAppender(connection).append(connection, [receipt_row(payload, now)])
        receipt_id = accepted.receipt_id
        replay_receipt(connection, receipt_id)
        desk.store(connection, receipt_id, raw, reports, now)
        return _told(get_receipt(connection, receipt_id))


def _told(row: Any) -> dict[str, Any]:
    return {
        "receipt_id": row.id,
        "state": row.state,
        "error_code": row.error_code,
        "findings": json.loads(row.findings),
    }


def _is_clean(told: dict[str, Any]) -> bool:
    return told["state"] == ReceiptState.PARSED.value and all(
        finding["severity"] == "information" for finding in told["findings"]
    )


def _text(told: dict[str, Any], language: Language) -> str:
    chinese = language == "zh"
    if told["state"] == ReceiptState.PARSED.value:
        word = "已套用" if chinese else "applied"
    else:
        word = "不屬於任何上傳檔，已保存" if chinese else "fits no package that is known here; kept"
    lines = [f"{told['file']}: {word} (#{told['receipt_id']})"]
    for finding in findings_from_json(json.dumps(told["findings"])):
        lines += [f"  {finding.message(language)}", f"    {finding.remedy(language)}"]
    return "\n".join(lines) + "\n"
