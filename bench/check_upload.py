"""How fast `labbroker check` goes through a finished upload file: records a second on one core.

The file is what a day of clinics looks like: visits with one to five orders of one to three result
rows, made-up people, nothing to find. It is read and checked by the very functions of the command,
again and again until the time is over.
"""

from __future__ import annotations

import io
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from adapters.ports.intake import Media
from broker.cli.file_check import FileCheck
from broker.cli.upload_check import check_upload
from mapping.editions.edition import edition_on
from mapping.national_id import is_valid_national_id
from mapping.record import Field, UploadRecord
from mapping.rocdate import roc_date
from mapping.upload_xml import write_upload

RECORDS = 100_000
UPLOAD_DAY = date(2025, 2, 4)
_CLINIC, _LABORATORY, _STAFF = "3501234567", "3599999999", "A123456789"
# order code: (item name, unit, lower, upper limit) of each row
_ORDERS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "09005C": (("飯前血糖 Glucose AC", "mg/dL", "70", "100"),),
    "09015C": (
        ("CRE(肌酸酐)", "mg/dL", "0.6", "1.2"),
        ("eGFR", "mL/min/1.73m2", "60", ""),
    ),
    "08026C": (("PT", "sec", "8.0", "12.0"), ("INR 國際標準", "無", "0.8", "1.2")),
    "09006C": (("醣化血色素", "%", "4.0", "6.0"),),
    "09044C": (("低密度脂蛋白 LDL", "mg/dL", "", "130"),),
    "09001C": (("總膽固醇", "mg/dL", "", "200"),),
    "09004C": (("三酸甘油脂 TG", "mg/dL", "", "150"),),
}


def run(seconds: float) -> dict[str, Any]:
    """Read and check one file over and over for ``seconds`` of processor time.

    ``records_per_second`` counts records for each second of this core, ``records``, ``findings``
    and ``bytes`` are those of the file.
    """
    data = upload_file(RECORDS)
    passes, spent, best = 0, 0.0, float("inf")
    while spent < seconds or not passes:
        result = FileCheck("upload.xml", limit=50)
        started = time.process_time()
        check_upload(io.BytesIO(data), Media.NHI_XML, UPLOAD_DAY, result)
        took = time.process_time() - started
        spent, passes, best = spent + took, passes + 1, min(best, took)
    return {
        "records": result.record_count,
        "bytes": len(data),
        "findings": _asking(result.counts),
        "passes": passes,
        "records_per_second": round(RECORDS * passes / spent),
        "records_per_second_best": round(RECORDS / best),
    }


def upload_file(count: int, seed: int = 1) -> bytes:
    """The XML of ``count`` clean records."""
    out = io.BytesIO()
    records = itertools.islice(_records(random.Random(seed)), count)
    write_upload(records, out, edition_on(UPLOAD_DAY))
    return out.getvalue()


def _records(chance: random.Random) -> Iterator[UploadRecord]:
    while True:
        visit = _visit(chance)
        for code in chance.sample(sorted(_ORDERS), chance.randint(1, 5)):
            rows = [
                _row(chance, number, item) for number, item in enumerate(_ORDERS[code], start=1)
            ]
            yield UploadRecord(_fields({**visit, "h15": code}), tuple(map(_fields, rows)))


def _visit(chance: random.Random) -> dict[str, str]:
    day = roc_date(UPLOAD_DAY - timedelta(days=1))
    minute = chance.randrange(540)
    card_time = f"{day}{8 + minute // 60:02d}{minute % 60:02d}{chance.randrange(60):02d}"
    return {
        "h1": "1",
        "h2": _CLINIC,
        "h3": "11",
        "h4": day[:5],
        "h5": card_time,
        "h6": "01",
        "h7": f"{chance.randint(1, 60):04d}",
        "h8": "1",
        "h9": _made_up_id(chance),
        "h10": roc_date(date(1931, 1, 1) + timedelta(days=chance.randrange(29_000))),
        "h11": day,
        "h16": f"{roc_date(UPLOAD_DAY)}093000",
        "h17": _STAFF,
        "h19": card_time[:11],
        "h20": f"{card_time[:11]}59",
        "h22": "血液",
        "h26": "4",
    }


def _row(chance: random.Random, number: int, item: tuple[str, str, str, str]) -> dict[str, str]:
    name, unit, low, high = item
    day = roc_date(UPLOAD_DAY - timedelta(days=1))
    reported = f"{day}{chance.randint(18, 20)}{chance.randrange(60):02d}00"
    return {
        "r1": str(number),
        "r2": name,
        "r3": "自動分析儀",
        "r4": f"{chance.uniform(1, 300):.1f}",
        "r5": unit,
        "r6-1": low,
        "r6-2": high,
        "r9": _LABORATORY,
        "r10": reported,
        "r12": chance.choice("01"),
        "r14": f"{day}210000",
    }


def _made_up_id(chance: random.Random) -> str:
    start = f"{chance.choice('ABCDEFGH')}{chance.choice('12')}{chance.randrange(10**7):07d}"
    return next(text for digit in range(10) if is_valid_national_id(text := f"{start}{digit}"))


def _fields(values: dict[str, str]) -> dict[str, Field]:
    return {tag: Field(value, "made up") for tag, value in values.items() if value}


def _asking(counts: Counter[Any]) -> int:
    """Findings that ask for action; notes do not."""
    named: Iterable[tuple[Any, int]] = counts.items()
    return sum(count for (severity, _, _), count in named if severity != "information")


if __name__ == "__main__":
    print(run(5.0))
