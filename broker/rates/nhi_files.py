"""What a person downloads from NHI about cases not uploaded, and how it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection

from broker.store.nhi_overviews import store_overview
from broker.store.unuploaded import ListHead, append_rows, begin_list, end_list
from mapping.errors import LabbrokerError
from mapping.finding import Finding
from mapping.rates.nhi_overview import NhiOverview
from mapping.unuploaded import UnuploadedRow

ROWS_AT_ONCE = 5000


class InstitutionUnknown(LabbrokerError):
    code = "unuploaded-institution"
    en = (
        "The name of the file does not tell whose list it is.",
        "Name the institution: --institution CODE.",
    )
    zh = ("檔名未載明院所代碼。", "請指定院所：--institution 院所代碼。")


class ReportOfAnother(LabbrokerError):
    code = "nhi-report-of-another"
    en = (
        "This file is no report of NHI's (未上傳案件日報表, xlsx) of this institution.",
        "Take the xlsx of 報表下載 for this institution; a list (明細) goes by `labbroker "
        "unuploaded` or the API.",
    )
    zh = (
        "此檔不是健保署提供給本院所的未上傳案件日報表 (xlsx)。",
        "請選擇本院所「報表下載」的 xlsx；未上傳明細請以 `labbroker unuploaded` 或 API 匯入。",
    )


@dataclass(frozen=True, slots=True)
class NhiListFile:
    """A list of cases not uploaded (未上傳案件明細). ``findings`` tell of rows not used."""

    head: ListHead
    rows: Sequence[UnuploadedRow]
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class NhiOverviewFile:
    """NHI's own figures of a period (未上傳案件日報表). ``findings`` tell what is not read."""

    overview: NhiOverview
    findings: Sequence[Finding]


NhiFile: TypeAlias = NhiListFile | NhiOverviewFile
ReadNhiFile: TypeAlias = Callable[[bytes, str, str, Sequence[str]], NhiFile]
"""``(raw, name, institution_code, passwords)``; the institution may be "" where the file says whose
it is. Blocks. Raises LabbrokerError."""
Write: TypeAlias = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


def institution_of(file: NhiFile) -> str:
    """Whose file it is."""
    if isinstance(file, NhiOverviewFile):
        return file.overview.institution_code
    return file.head.institution_code


async def keep(file: NhiFile, write: Write, now: datetime) -> int:
    """Store a file, a long list part by part; the same one twice changes nothing. The id of the
    list; 0 for an overview."""
    if isinstance(file, NhiOverviewFile):
        overview = file.overview
        await write(lambda c: store_overview(c, overview, now))
        return 0
    head, rows = file.head, file.rows
    list_id, stored = await write(lambda c: begin_list(c, head, now))
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[begin : begin + ROWS_AT_ONCE]
        if begin + len(part) > stored:
            await write(_appending(list_id, begin, part))
    await write(lambda c: end_list(c, list_id, len(rows)))
    return int(list_id)


def _appending(
    list_id: int, begin: int, part: Sequence[UnuploadedRow]
) -> Callable[[Connection], None]:
    return lambda connection: append_rows(connection, list_id, begin, part)
