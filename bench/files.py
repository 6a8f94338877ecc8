"""Tables of results, and NHI's list of cases not uploaded: processor seconds for a whole file.

The figures to reach: a CSV of 100,000 rows in 10 s, a list of 120,000 rows read, stored and
compared with the store in 5 s.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from adapters.folder.formats.csv_results import read_csv
from adapters.folder.formats.table_files import read_xlsx
from adapters.folder.formats.unuploaded_list import read_unuploaded
from broker.rates.nhi_files import ROWS_AT_ONCE
from broker.store.engine import open_writer
from broker.store.schema import receipt, record, visit, visit_order
from broker.store.unuploaded import ListHead, append_rows, begin_list, reconcile
from mapping.moment import TAIPEI
from mapping.profile import SourceProfile
from mapping.rocdate import roc_datetime

CSV_ROWS = 100_000
LIST_ROWS = 120_000
_CLINIC = "3501234567"
_ORDERS = 4
_FIRST = date(2026, 10, 15)


def run() -> dict[str, Any]:
    """Processor seconds by file, and how many rows it had."""
    table = list(_result_rows(CSV_ROWS))
    csv = "\r\n".join([_HEADER, *table, ""]).encode("cp950")
    found: dict[str, Any] = {"csv_rows": CSV_ROWS, "csv_seconds": _spent(lambda: _reports(csv))}
    workbook = _workbook(table[: CSV_ROWS // 5])
    found |= {"xlsx_rows": CSV_ROWS // 5}
    found["xlsx_seconds"] = _spent(lambda: read_xlsx(workbook, SourceProfile("lab")))
    found |= {"list_rows": LIST_ROWS, **_unuploaded()}
    return found


_HEADER = (
    "身分證號,出生日期,院所代碼,項目代碼,檢驗項目,結果,單位,參考值,方法,檢體,採檢時間,報告時間"
)


def _result_rows(count: int) -> Iterator[str]:
    for number in range(count):
        person, item = divmod(number, 20)
        yield (
            f"A{100000000 + person:09d},0850115,{_CLINIC},GLU-{item},葡萄糖{item},"
            f"{50 + number % 97},mg/dL,70-100,Hexokinase,血清,"
            f"1151103 {8 + person % 10:02d}{person % 60:02d},1151103 1530"
        )


def _reports(raw: bytes) -> int:
    return len(read_csv(raw, SourceProfile("lab")).reports)


def _workbook(rows: list[str]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (_HEADER, *rows):
        sheet.append(row.split(","))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _unuploaded() -> dict[str, Any]:
    raw = _list_csv()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_writer(Path(folder))
        try:
            with engine.begin() as connection:
                _fill(connection)
            began = time.process_time()
            head = ListHead.of(raw, _CLINIC, None, None)
            with engine.begin() as connection:
                list_id, _ = begin_list(connection, head, datetime.now(UTC))
            rows = read_unuploaded(raw, [])
            position = 0
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                with engine.begin() as connection:
                    append_rows(connection, list_id, position, batch)
                position += len(batch)
            stored = time.process_time()
            with engine.connect() as connection:
                outcomes = {str(outcome) for outcome, _ in reconcile(connection, list_id)}
            ended = time.process_time()
        finally:
            engine.dispose()
    return {
        "list_bytes": len(raw),
        "list_read_and_stored_seconds": round(stored - began, 2),
        "list_reconciled_seconds": round(ended - stored, 2),
        "outcomes": sorted(outcomes),
    }


def _card_at(number: int) -> datetime:
    day = datetime.combine(_FIRST, datetime.min.time(), TAIPEI) + timedelta(days=number % 30)
    return day + timedelta(hours=8, seconds=number % 36000)


def _list_csv() -> bytes:
    header = (
        "(A12),(A13),(A20),(A21),(A24),(A17),(A23),(A18),(A73),(A77),(A78),(A91),未完整上傳註記"
    )
    lines = [header]
    for number in range(LIST_ROWS):
        visit_number, order = divmod(number, _ORDERS)
        lines.append(
            f"A{100000000 + visit_number:09d},0650401,,,,{roc_datetime(_card_at(visit_number))},01,"
            f"{visit_number % 10000:04d},0900{order}C,1.0,04,,{' ' * 40}"
        )
    return "\r\n".join([*lines, ""]).encode("cp950")


def _fill(connection: Any) -> None:
    """Half of the visits are known; of their orders one has a result in each of three states."""
    connection.execute(
        insert(receipt).values(
            id=1,
            source_id="lab",
            door="folder",
            media="csv",
            control_id="",
            name="",
            sha256=b"",
            identity=b"",
            received_at=datetime.now(UTC),
            state="parsed",
            acknowledgement="not_owed",
            raw=b"",
        )
    )
    visits, orders, records = [], [], []
    for number in range(0, LIST_ROWS // _ORDERS, 2):
        visits.append(
            {
                "id": number + 1,
                "receipt_id": 1,
                "institution_code": _CLINIC,
                "national_id": f"A{100000000 + number:09d}",
                "card_at": _card_at(number).astimezone(UTC),
                "visit_type": "01",
                "visit_serial": f"{number % 10000:04d}",
                "visit_on": _card_at(number).date(),
                "birth_on": date(1976, 4, 1),
                "body": "{}",
            }
        )
        for order in range(_ORDERS):
            code = f"0900{order}C"
            orders.append(
                {
                    "visit_id": number + 1,
                    "order_code": code,
                    "placer_order_number": "",
                    "wanted": True,
                }
            )
            if order < 3:
                records.append(
                    {
                        "receipt_id": 1,
                        "slot": f"{number}/{order}",
                        "place": "",
                        "order_identity": f"{number}/{order}",
                        "version": 1,
                        "state": ("held", "ready", "accepted")[order],
                        "clinic_code": _CLINIC,
                        "order_code": code,
                        "national_id": f"A{100000000 + number:09d}",
                        "visit_id": number + 1,
                        "body": "x" * 2000,
                    }
                )
    connection.execute(insert(visit), visits)
    connection.execute(insert(visit_order), orders)
    connection.execute(insert(record), records)


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return round(time.process_time() - began, 2)
