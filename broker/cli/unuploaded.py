"""``labbroker unuploaded FILE``: NHI's list of cases not uploaded against what is known here."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from adapters.folder.formats.unuploaded_list import (
    OpenedList,
    UnuploadedLocked,
    open_unuploaded,
    read_unuploaded,
)
from broker.bootstrap.list_orders import head_to_json
from broker.bootstrap.nhi_files import is_overview, list_passwords
from broker.cli.control_client import ask_service
from broker.cli.local_file import read_file
from broker.cli.nhi_overview import compare_overview
from broker.cli.rates_text import counted_noun
from broker.cli.store_access import changing, reading, require_store
from broker.config import Settings, load_settings
from broker.config.secret import parse_secret_reference
from broker.rates.nhi_files import ROWS_AT_ONCE, InstitutionUnknown
from broker.store.location import StoreLocation
from broker.store.unuploaded import ListHead, append_rows, begin_list, end_list, reconcile
from broker.web.control import ControlAddress, find_control
from mapping.errors import Language
from mapping.finding import Finding
from mapping.unuploaded import NEEDS_A_PERSON, Outcome, UnuploadedRow
from mapping.values import parse_decimal

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_TEXTS = {
    Outcome.REJECTED: ("rejected by NHI: labbroker worklist", "健保署檢核錯誤：labbroker worklist"),
    Outcome.HELD: ("held here: labbroker worklist", "暫停於本系統：labbroker worklist"),
    Outcome.UNKNOWN: ("neither visit nor result came here", "未收到就醫資料與結果"),
    Outcome.NO_ORDER: ("the visit is known, this order is not", "有就醫資料，無此醫令"),
    Outcome.NO_RESULT: ("no result came: ask the laboratory", "未收到結果：請洽檢驗所"),
    Outcome.READY: ("ready, leaves by itself", "已備妥，將自動上傳"),
    Outcome.ON_THE_WAY: ("in a package or sent", "已封裝或已送出"),
    Outcome.UPLOADED: (
        "accepted; the list is older, or NHI could not tie it",
        "已上傳成功；明細較舊，或健保署未能比對",
    ),
    Outcome.OPTED_OUT: ("opted out by the patient", "依病人意願不上傳"),
    Outcome.IMAGE_ONLY: ("no report is due, only an image", "免報告，僅須上傳影像"),
}
_MOST_CODES = 10


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "unuploaded",
        description="Store NHI's list of cases not uploaded (未上傳案件明細, the ZIP or the CSV in "
        "it) and say what is known here of each row; or NHI's report (未上傳案件日報表, xlsx), "
        "whose figures are NHI's own, and say why ours differ. The same file twice changes "
        "nothing. Exit code 0: nothing asks for a person, 1: some rows or days do.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--institution", metavar="CODE", help="whose list it is")
    parser.add_argument(
        "--password-from", metavar="REF", help="env:NAME or file:PATH of the ZIP's password"
    )
    parser.add_argument(
        "--list", choices=[str(each) for each in Outcome], dest="listed", help="show these rows"
    )
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 nothing asks for a person, 1 some rows do."""
    settings = load_settings(arguments.config, os.environ)
    store = settings.store
    require_store(store)
    raw, name = read_file(arguments.file), PurePath(arguments.file).name
    if is_overview(raw):
        return compare_overview(arguments, store, raw, name)
    opened = _open(arguments, settings, raw, name)
    institution = arguments.institution or opened.institution_code
    if not institution:
        raise InstitutionUnknown
    head = ListHead.of(opened.raw, institution, opened.from_on, opened.until_on)
    findings: list[Finding] = []
    rows = read_unuploaded(opened.raw, findings)
    total = opened.raw.count(b"\n")
    control = find_control(store.folder)
    tell = _progress(total, arguments.json)
    if control is not None:
        list_id = _through_service(control, head, rows, tell)
    else:
        list_id = _here(store, head, rows, tell)
    summary = _Summary(arguments.listed)
    with reading(store) as connection:
        for outcome, row in reconcile(connection, list_id):
            summary.add(outcome, row)
    show = summary.as_json if arguments.json else summary.as_text
    sys.stdout.write(show(head, findings, arguments.language))
    return int(any(summary.rows[outcome] for outcome in NEEDS_A_PERSON))


def _open(arguments: argparse.Namespace, settings: Settings, raw: bytes, name: str) -> OpenedList:
    try:
        return open_unuploaded(raw, name, [*_passwords(arguments, settings)])
    except UnuploadedLocked:
        if arguments.password_from or not sys.stdin.isatty():
            raise
    prompt = "ZIP 密碼（院所代號_登入者ID）：" if arguments.language == "zh" else "Password: "
    return open_unuploaded(raw, name, [getpass.getpass(prompt)])


def _passwords(arguments: argparse.Namespace, settings: Settings) -> Iterator[str]:
    """The one that was named; else made of the settings: institution and login."""
    if arguments.password_from:
        reference = parse_secret_reference(arguments.password_from, Path.cwd())
        if reference is not None:
            yield reference.read(os.environ).reveal()
        return
    yield from list_passwords(settings, os.environ)


def _batches(rows: Iterator[UnuploadedRow]) -> Iterator[list[UnuploadedRow]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch


def _through_service(
    control: ControlAddress,
    head: ListHead,
    rows: Iterator[UnuploadedRow],
    tell: Callable[[int], None],
) -> int:
    began = ask_service(control, "list-begin", json.dumps(head_to_json(head)).encode())
    list_id, position = int(began["list_id"]), 0
    for batch in _batches(rows):
        if position + len(batch) > began["stored"]:
            body = json.dumps([{**row._asdict(), "card_on": str(row.card_on)} for row in batch])
            query = {"list_id": str(list_id), "position": str(position)}
            ask_service(control, "list-rows", body.encode(), query)
        position += len(batch)
        tell(position)
    ask_service(control, "list-end", b"", {"list_id": str(list_id), "rows": str(position)})
    return list_id


def _here(
    store: StoreLocation, head: ListHead, rows: Iterator[UnuploadedRow], tell: Callable[[int], None]
) -> int:
    """Without a running service: part by part too, so that what broke off goes on."""
    with changing(store) as connection:
        list_id, stored = begin_list(connection, head, datetime.now(UTC))
    position = 0
    for batch in _batches(rows):
        if position + len(batch) > stored:
            with changing(store) as connection:
                append_rows(connection, list_id, position, batch)
        position += len(batch)
        tell(position)
    with changing(store) as connection:
        end_list(connection, list_id, position)
    return list_id


def _progress(total: int, quiet: bool) -> Callable[[int], None]:
    if quiet or not sys.stderr.isatty():
        return lambda done: None

    def tell(done: int) -> None:
        share = min(100, done * 100 // max(total, 1))
        sys.stderr.write(f"\r{share:3d} %  {done}/{total}")
        sys.stderr.write("\n" if done >= total - 1 else "")
        sys.stderr.flush()

    return tell


class _Summary:
    """Counts of rows and of quantities (總量), by outcome and order code."""

    def __init__(self, listed: str | None) -> None:
        self.rows: Counter[Outcome] = Counter()
        self._quantities: dict[Outcome, Decimal] = dict.fromkeys(Outcome, Decimal())
        self._codes: Counter[tuple[Outcome, str]] = Counter()
        self._listed = listed
        self._shown: list[UnuploadedRow] = []

    def add(self, outcome: Outcome, row: UnuploadedRow) -> None:
        self.rows[outcome] += 1
        self._quantities[outcome] += parse_decimal(row.quantity) or Decimal(1)
        self._codes[outcome, row.order_code] += 1
        if outcome == self._listed:
            self._shown.append(row)

    def as_json(self, head: ListHead, findings: Sequence[Finding], language: Language) -> str:
        told: dict[str, Any] = {
            **head_to_json(head),
            "rows": sum(self.rows.values()),
            "unreadable_rows": [finding.place for finding in findings],
            "outcomes": {
                str(outcome): {
                    "rows": self.rows[outcome],
                    "quantity": str(self._quantities[outcome]),
                    "order_codes": dict(self._of(outcome)),
                }
                for outcome in Outcome
                if self.rows[outcome]
            },
        }
        if self._listed is not None:
            told["listed"] = [{**row._asdict(), "card_on": str(row.card_on)} for row in self._shown]
        return json.dumps(told, ensure_ascii=False) + "\n"

    def as_text(self, head: ListHead, findings: Sequence[Finding], language: Language) -> str:
        zh = language == "zh"
        days = f" {head.from_on}/{head.until_on}" if head.from_on else ""
        count = sum(self.rows.values())
        rows = f"{count} 列" if zh else counted_noun(count, "row", "rows")
        lines = [f"{head.institution_code}{days}: {rows}"]
        for outcome in Outcome:
            if not self.rows[outcome]:
                continue
            quantity = f"{'總量' if zh else 'quantity'} {self._quantities[outcome]}"
            lines.append(
                f"  {self.rows[outcome]:>7}  {outcome:<12} {_TEXTS[outcome][zh]} ({quantity})"
            )
            top = ", ".join(f"{code} {n}" for code, n in self._of(outcome)[:_MOST_CODES])
            lines.append(f"           {top}")
        for row in self._shown:
            cells = (row.national_id, row.card_at, row.visit_type, row.visit_serial, row.order_code)
            lines.append("  " + "  ".join(cells))
        if findings:
            rows = counted_noun(len(findings), "row", "rows")
            lines.append(f"{len(findings)} 列無法讀取:" if zh else f"{rows} cannot be read:")
            lines += [f"  {finding.message(language)}" for finding in findings[:_MOST_CODES]]
        return "\n".join(lines) + "\n"

    def _of(self, outcome: Outcome) -> list[tuple[str, int]]:
        return [(code, n) for (each, code), n in self._codes.most_common() if each is outcome]
