"""``labbroker monthly``: the monthly upload file of an institution, after its claim."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from adapters.folder.formats.identify import identify
from adapters.ports.intake import Media
from broker.bootstrap.lists import LoadedLists, required_lists
from broker.cli.convert import folder_unusable
from broker.cli.local_file import read_file
from broker.cli.monthly_report import MonthlyReport, report_as_json, report_as_text
from broker.cli.store_access import reading
from broker.config import load_settings
from broker.finding_json import findings_from_json
from broker.monthly_upload import DailyRecord, monthly_records, write_monthly
from broker.states import RecordState
from broker.store.location import StoreLocation
from broker.store.order_versions import ON_ITS_WAY
from broker.store.uploader_records import newest_records
from mapping.claim import ClaimIndex, count_by_month
from mapping.editions.edition import Variant
from mapping.errors import LabbrokerError
from mapping.finding import Severity
from mapping.monthly import variant_of
from mapping.package_file import read_package
from mapping.record import record_from_json
from mapping.rocdate import roc_month
from mapping.upload_xml import read_upload

if TYPE_CHECKING:
    from broker.cli.commands import Subparsers

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_UNKNOWN_SERIAL = "Z000"


class NoClaim(LabbrokerError):
    code = "no-claim"
    en = (
        "No claim of {institution} for {month} was imported.",
        "Name the claims XML of that month, or a list of its lines, with --claims or under [lists] "
        "in the settings.",
    )
    zh = (
        "未匯入機構 {institution} 之 {month} 申報資料。",
        "請以 --claims 或設定檔 [lists] 指定該月申報 XML 或明細清單。",
    )


class NoUploadFile(LabbrokerError):
    code = "no-daily-upload"
    en = ("{file} is no daily upload file.", "`labbroker check` says what it is.")
    zh = ("{file} 不是每日上傳檔。", "請以 `labbroker check` 檢視。")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "monthly",
        description="Write the monthly upload file of an institution after its claim: what was not "
        "accepted daily, and what went out with Z000 and has its serial now. Needs no running "
        "service and sends nothing. Exit code 0: all is in it, 1: some are left out.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="daily upload files whose records are meant, all of them, instead of the store's",
    )
    parser.add_argument("--institution", required=True, metavar="CODE", help="who uploads (h2)")
    parser.add_argument(
        "--month", required=True, type=_month, metavar="YYYY-MM", help="fee month of the claim"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--config", type=Path, help="settings file (labbroker.toml)")
    parser.add_argument("--claims", type=Path, help="the claim, in place of [lists] claims")
    parser.add_argument(
        "--all", action="store_true", help="also what was accepted daily or is on its way"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 all written, 1 some left out; raises where there is no claim of that month."""
    settings = load_settings(arguments.config, os.environ)
    claims = arguments.claims.resolve() if arguments.claims else None
    loaded = required_lists(settings.lists, claims)
    institution_code, fee_month = arguments.institution, arguments.month
    _require_claim(loaded, institution_code, fee_month)
    report = MonthlyReport(institution_code, fee_month)
    if arguments.files:
        daily = _from_files(arguments.files, institution_code)
    else:
        daily = _from_store(settings.store, institution_code, arguments.all, report.passed_over)
    now = datetime.now(UTC)
    index = ClaimIndex(loaded.claim_lines)
    made = monthly_records(daily, index, fee_month, loaded.lists, now)
    report.left_out, report.other_months = made.left_out, made.other_months
    records = [record for _, record in made.records]
    most = settings.schedule.max_records_per_package
    try:
        arguments.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        for start in range(0, len(records), most):
            part = records[start : start + most]
            report.files.append(
                write_monthly(arguments.out, institution_code, fee_month, part, loaded.lists, now)
            )
    except OSError as error:
        raise folder_unusable(arguments.out, error) from None
    if arguments.json:
        told = report_as_json(report, arguments.language)
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(report_as_text(report, arguments.language))
    return report.exit_code


def _month(text: str) -> date:
    match = _MONTH.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("a month as YYYY-MM")
    return date(int(match.group(1)), int(match.group(2)), 1)


def _require_claim(loaded: LoadedLists, institution_code: str, fee_month: date) -> None:
    month = roc_month(fee_month)
    if (institution_code, month) not in count_by_month(loaded.claim_lines):
        raise NoClaim(institution=institution_code, month=month)


def _from_files(names: list[str], institution_code: str) -> Iterator[DailyRecord]:
    """The daily records of one institution in upload files, as they stand there."""
    for name in names:
        raw = read_file(name)
        media = identify(raw, PurePath(name).name)
        if media is Media.NHI_ZIP:
            records = read_package(BytesIO(raw))[1]
        elif media is Media.NHI_XML:
            records = read_upload(BytesIO(raw))
        else:
            raise NoUploadFile(file=name)
        for number, record in enumerate(records, start=1):
            if variant_of(record) is not Variant.DAILY:
                raise NoUploadFile(file=name)
            if record.value("h2") == institution_code:
                yield DailyRecord(f"{name} hdata[{number}]", record)


def _from_store(
    store: StoreLocation, institution_code: str, all_of_them: bool, passed_over: Counter[str]
) -> Iterator[DailyRecord]:
    """What the daily upload left open. What was accepted daily with its serial needs nothing more;
    what is on its way is not told a second time."""
    on_its_way = {state.value for state in ON_ITS_WAY}
    with reading(store) as connection:
        for row in newest_records(connection, institution_code):
            record = record_from_json(json.loads(row.body))
            if not all_of_them and row.state in on_its_way:
                passed_over["on_its_way"] += 1
                continue
            accepted = row.state == RecordState.ACCEPTED.value
            if not all_of_them and accepted and record.value("h7") != _UNKNOWN_SERIAL:
                passed_over["accepted"] += 1
                continue
            findings = findings_from_json(row.findings) if row.state == _HELD else ()
            errors = tuple(each for each in findings if each.severity is Severity.ERROR)
            yield DailyRecord(f"#{row.id} {row.place}".strip(), record, errors)


_HELD = RecordState.HELD.value
