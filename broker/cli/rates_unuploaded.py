"""``labbroker rates --unuploaded FILE``: our report of cases not uploaded, as a file."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date, datetime
from pathlib import Path

from adapters.folder.formats.cell_dates import read_day
from broker.rates.unuploaded_report import newest_days, report_of
from broker.store.engine import open_reader, open_snapshot
from broker.store.location import StoreLocation
from mapping.errors import LabbrokerError


class ReportNotWritten(LabbrokerError):
    code = "report-not-written"
    en = ("{what_en}.", "Nothing was written. {then_en}.")
    zh = ("{what_zh}。", "未寫入任何檔案。{then_zh}。")


def write_unuploaded(arguments: argparse.Namespace, store: StoreLocation, now: datetime) -> int:
    """0. The file is new and readable by its owner alone. Raises :class:`ReportNotWritten`."""
    file: Path = arguments.unuploaded
    if len(arguments.institution) != 1:
        raise ReportNotWritten(
            what_en="The report is of one institution",
            what_zh="明細以單一院所為限",
            then_en="Name it with --institution",
            then_zh="請以 --institution 指定一家院所",
        )
    if file.suffix.lower() not in (".xlsx", ".csv"):
        raise ReportNotWritten(
            what_en="The report is an xlsx or a csv",
            what_zh="檔案格式為 xlsx 或 csv",
            then_en="Let its name end so",
            then_zh="請以該副檔名命名",
        )
    usual = newest_days(now)
    from_on = _day(arguments.from_on, usual[0])
    until_on = _day(arguments.until_on, usual[1])
    reader = open_reader(store)
    try:
        with open_snapshot(reader) as connection:
            report = report_of(connection, arguments.institution[0], from_on, until_on, now)
    finally:
        reader.dispose()
    raw = report.as_xlsx() if file.suffix.lower() == ".xlsx" else report.as_csv(arguments.encoding)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as out:
            out.write(raw)
    except FileExistsError:
        raise ReportNotWritten(
            what_en=f"{file} is there already",
            what_zh=f"{file} 已存在",
            then_en="Give another name",
            then_zh="請改用其他檔名",
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ReportNotWritten(
            what_en=f"{file} cannot be written: {reason}",
            what_zh=f"無法寫入 {file}：{reason}",
            then_en="Give another place",
            then_zh="請改存其他位置",
        ) from None
    count = len(report.rows)
    days = f"{report.from_on}/{report.until_on}"
    said = f"{count} 筆未上傳" if arguments.language == "zh" else f"{count} cases not uploaded"
    sys.stdout.write(f"{file}: {said}, {days}\n")
    return 0


def _day(text: str | None, usual: date) -> date:
    if text is None:
        return usual
    try:
        return read_day(text)
    except ValueError:
        raise ReportNotWritten(
            what_en=f"{text[:20]} is no day",
            what_zh=f"{text[:20]} 不是日期",
            then_en="Write it as 2026-11-01 or 115/11/01",
            then_zh="請以 2026-11-01 或 115/11/01 表示",
        ) from None
