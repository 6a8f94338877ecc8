"""Writes the two files of the tutorial: a clinic's visits, and a laboratory's results of today.

Everyone in them is made up: docs/tutorial/first-quarter-hour.md.
"""

from __future__ import annotations

import csv
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

TAIPEI = timezone(timedelta(hours=8))
CLINIC = "3599999901"
PEOPLE = (("A123456789", "1975-07-01"), ("B223456782", "1996-01-15"), ("F131104093", "1960-11-30"))

VISIT_COLUMNS = [
    "醫事機構代碼",
    "醫事類別",
    "身分證號",
    "出生日期",
    "健保卡過卡日期時間",
    "就醫類別",
    "就醫序號",
    "就醫日期",
    "醫師身分證號",
    "醫令代碼",
    "總量",
    "醫令調劑方式",
    "開立日期時間",
]
RESULT_COLUMNS = [
    "身分證號",
    "出生日期",
    "醫令代碼",
    "項目代碼",
    "項目名稱",
    "結果值",
    "單位",
    "參考值下限",
    "參考值上限",
    "檢驗方法",
    "檢體",
    "採檢時間",
    "報告時間",
]

ORDERS = (("09006C", "09001C"), ("09005C",), ("09026C",))
RESULTS = (
    # whose, order code, own code, name, value, unit, low, high, method, specimen
    (0, "09006C", "A1C", "HbA1c", "5.6", "%", "4.0", "6.0", "HPLC", "全血"),
    (0, "09001C", "CHOL", "總膽固醇", "187", "mg/dL", "", "200", "酵素法", "血清"),
    (1, "", "GLU-AC", "飯前血糖", "92", "mg/dL", "70", "100", "Hexokinase", "血清"),
    (2, "09026C", "ALT", "ALT(GPT)", "31", "", "0", "40", "IFCC", "血清"),
)


def write_samples(folder: Path, now: datetime) -> None:
    """``visits.csv`` and ``results.csv``; the visits were three hours before ``now``."""
    taipei = now.astimezone(TAIPEI)
    seen, taken, reported = (
        (taipei - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S") for hours in (3, 2, 1)
    )
    visits = [
        (CLINIC, "11", *PEOPLE[number], seen, "01", f"{number + 1:04d}", seen[:10], "B123456780",
         order, "1", "03", seen)
        for number, orders in enumerate(ORDERS)
        for order in orders
    ]  # fmt: skip
    results = [(*PEOPLE[row[0]], *row[1:], taken, reported) for row in RESULTS]
    _write(folder / "visits.csv", VISIT_COLUMNS, visits)
    _write(folder / "results.csv", RESULT_COLUMNS, results)


def _write(file: Path, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        csv.writer(out).writerows([columns, *rows])


if __name__ == "__main__":
    write_samples(Path(sys.argv[1] if len(sys.argv) > 1 else "."), datetime.now(TAIPEI))
