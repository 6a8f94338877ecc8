"""The clock over a whole nation's open records: what is next, what goes when.

The records are spread over institutions and over the day; nine of ten are ready, the others wait
for a person.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from broker.lateness import FAR, Pace
from broker.opening_hours import ALWAYS
from broker.store.alarms import pace_of, unconfirmed
from broker.store.engine import open_reader, open_snapshot, open_writer
from broker.store.packages import next_package_at, ready_overview, ready_record_ids
from broker.store.schema import receipt, record
from broker.upload_plan import plan_uploads

RECORDS = 1_300_000
INSTITUTIONS = 500
NEXT_DUE_MS = 5.0
PLAN_SECONDS = 5.0
_GROUP = 20_000
_NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def run(folder: Path, records: int = RECORDS) -> dict[str, Any]:
    """Fill a store, then ask it."""
    codes = [f"35{number:08d}" for number in range(INSTITUTIONS)]
    fill(folder, records, codes)
    reader = open_reader(folder)
    try:
        return {"records": records, "institutions": INSTITUTIONS, **measure(reader, codes)}
    finally:
        reader.dispose()


def fill(folder: Path, records: int, codes: list[str]) -> None:
    """``records`` open records, due within the next 24 hours."""
    chance = random.Random(4)
    engine = open_writer(folder)
    with engine.begin() as connection:
        values = {"id": 1, "received_at": _NOW, "sha256": b"\0" * 32, "raw": b""}
        texts = ("source_id", "door", "media", "control_id", "name", "acknowledgement")
        connection.execute(
            insert(receipt).values(
                **values, **dict.fromkeys(texts, ""), identity=b"\0" * 16, state="parsed"
            )
        )
    for start in range(0, records, _GROUP):
        rows = []
        for number in range(start, min(start + _GROUP, records)):
            code = codes[chance.randrange(len(codes))]
            state, held = ("ready", "")
            if number % 10 == 0:
                state, held = ("held", "unmatched") if number % 20 else ("rejected", "")
            ready_at = _NOW - timedelta(seconds=chance.randrange(900))
            rows.append(
                {
                    "receipt_id": 1,
                    "slot": str(number),
                    "place": "",
                    "order_identity": str(number),
                    "version": 1,
                    "state": state,
                    "held_reason": held,
                    "uploader_code": code,
                    "clinic_code": code,
                    "due_at": _NOW + timedelta(seconds=chance.randrange(60, 86_400)),
                    "ready_at": ready_at,
                }
            )
        with engine.begin() as connection:
            connection.execute(insert(record), rows)
    engine.dispose()


def measure(reader: Engine, codes: list[str]) -> dict[str, Any]:
    """Milliseconds of a look for what is next and of what goes into one package; seconds of the
    whole plan."""
    with reader.connect() as connection:
        next_due = _milliseconds(lambda: (ready_overview(connection), next_package_at(connection)))
        found = ready_overview(connection)
        assert len(found) == len(codes)
        package = _milliseconds(lambda: ready_record_ids(connection, codes[7], 1000, _NOW))
    began = time.perf_counter()
    with open_snapshot(reader) as connection:

        @cache
        def pace(uploader: str, clinic: str) -> Pace:
            return pace_of(connection, uploader, clinic, _NOW)

        hours = dict.fromkeys(codes, ALWAYS)
        entries = plan_uploads(unconfirmed(connection, _NOW, FAR), _NOW, hours, pace)
    return {
        "next_due_ms": next_due,
        "next_due_goal_ms": NEXT_DUE_MS,
        "package_ms": package,
        "plan_s": time.perf_counter() - began,
        "plan_goal_s": PLAN_SECONDS,
        "plan_entries": len(entries),
    }


def _milliseconds(ask: Any) -> float:
    """The median of some."""
    times = []
    for _ in range(21):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)
