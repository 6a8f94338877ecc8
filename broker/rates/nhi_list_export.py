"""The rows of NHI's list of cases not uploaded as a file, each with what is known here of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from broker.rates.unuploaded_report import CsvEncoding, ReportUnwritable
from mapping.rates.unuploaded_report import safe_cell
from mapping.unuploaded import Outcome, UnuploadedRow

EXPORT_HEADER = (
    "身分證號或身分證明文件號碼(A12)",
    "健保卡過卡日期(A17)",
    "就醫類別(A23)",
    "就醫序號(A18)",
    "診療項目代號(A73)",
    "總量(A77)",
    "交付處方註記(A78)",
    "未完整上傳註記(1:有影像無報告、2:有報告無影像)",
    "處理狀態",
)


def list_csv(rows: Iterable[tuple[Outcome, UnuploadedRow]], encoding: CsvEncoding) -> bytes:
    """As CSV: UTF-8 with a byte order mark, or Big5 (CP950). No cell is a formula. Raises
    ReportUnwritable."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(EXPORT_HEADER)
    for outcome, row in rows:
        cells = (
            *(row.national_id, row.card_at, row.visit_type, row.visit_serial, row.order_code),
            *(row.quantity, row.card_mark, row.incomplete, str(outcome)),
        )
        writer.writerow([safe_cell(cell) for cell in cells])
    try:
        return out.getvalue().encode("utf-8-sig" if encoding == "utf-8" else "cp950")
    except UnicodeEncodeError:
        raise ReportUnwritable from None
