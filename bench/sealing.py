"""Sealing many records into one package: seconds, records a second, peak memory.

Run as a program, it seals once and prints what it took as one JSON object: the peak of a process
can only be told of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from bench.conversion import checked_records, resident_mb
from broker.demo.people import CLINIC
from broker.packages import write_package_file
from mapping.convert import stamp_upload_time
from mapping.moment import TAIPEI
from mapping.package_name import package_stem
from mapping.record import Field, UploadRecord, replace_header

RECORDS = 100_000
GOAL_MB = 150.0


def compare(records: int) -> dict[str, Any]:
    """Seal a fifth of ``records`` and then all, each in a process of its own."""
    few, many = (_in_a_child(count) for count in (records // 5, records))
    return {
        "few": few,
        "many": many,
        "peak_growth_mb": round(many["peak_mb"] - few["peak_mb"], 1),
        "goal_mb": GOAL_MB,
    }


def seal(records: int, folder: Path) -> dict[str, Any]:
    """Write, sync, read back and compare one package of ``records`` records."""
    now = datetime.now(UTC)
    stem = package_stem(CLINIC, now.astimezone(TAIPEI).date(), 1)
    base = [stamp_upload_time(record, now) for record in checked_records()]
    path = folder / f"{stem}.zip"
    began, processor = time.perf_counter(), time.process_time()
    write_package_file(path, stem, lambda: islice(_endless(base), records))
    return {
        "records": records,
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "records_per_second": round(records / (time.process_time() - processor)),
        "package_mb": round(path.stat().st_size / 1e6, 1),
        "peak_mb": round(resident_mb("VmHWM"), 1),
    }


def _endless(base: list[UploadRecord]) -> Iterator[UploadRecord]:
    """The same records over and over, each with a visit serial (h7) of its own in its turn."""
    serial = 0
    while True:
        serial += 1
        visit_serial = Field(f"{serial % 9999:04d}", "made up")
        for record in base:
            yield replace_header(record, {"h7": visit_serial})


def _in_a_child(records: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.sealing", str(records)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.sealing")
    parser.add_argument("records", type=int)
    with tempfile.TemporaryDirectory(prefix="labbroker-bench-") as place:
        print(json.dumps(seal(parser.parse_args().records, Path(place))))
