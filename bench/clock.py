"""The clock over a whole nation's open records: what is next, what goes when, who is to be warned.

The records are spread over institutions and over the day; nine of ten are ready, the others wait
for a person. Of what is ready one in fifty waits for the rest of its order, and each institution
has sent before.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert

from broker.deadline_watch import DeadlineWatch
from broker.opening_hours import ALWAYS
from broker.plan_reading import read_plan
from broker.store.engine import open_reader, open_writer
from broker.store.packages import next_package_at
from broker.store.ready_records import ready_overview, ready_record_ids
from broker.store.schema import attempt, microseconds_of, package, receipt
from broker.store.writer import Writer

RECORDS = 1_300_000
INSTITUTIONS = 500
NEXT_DUE_MS = 5.0
PLAN_SECONDS = 5.0
_GROUP = 50_000
_PACKAGES_EACH = 40
_NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
_COLUMNS = (
    "receipt_id",
    "slot",
    "place",
    "order_identity",
    "version",
    "state",
    "held_reason",
    "uploader_code",
    "clinic_code",
    "due_at",
    "ready_at",
    "awaited",
)


def run(folder: Path, records: int = RECORDS) -> dict[str, Any]:
    """Fill a store, then ask it."""
    codes = [f"35{number:08d}" for number in range(INSTITUTIONS)]
    began = time.perf_counter()
    fill(folder, records, codes)
    filled = time.perf_counter() - began
    reader = open_reader(folder)
    try:
        found = measure(reader, codes)
    finally:
        reader.dispose()
    found["watch_s"] = asyncio.run(_watch(folder))
    return {"records": records, "institutions": INSTITUTIONS, "fill_s": filled, **found}


def fill(folder: Path, records: int, codes: list[str]) -> None:
    """``records`` open records, due within the next 24 hours, and a tenth as many accepted ones.

    The indexes of the table are made at the end, which takes a fifth of the time.
    """
    engine = open_writer(folder)
    with engine.begin() as connection:
        texts = ("source_id", "door", "media", "control_id", "name", "acknowledgement")
        for number in (1, 2):
            values = {"id": number, "sha256": b"\0" * 32, "raw": b"", "state": "parsed"}
            at = {"received_at": _NOW - timedelta(hours=2 - number)}
            names = dict.fromkeys(texts, "")
            connection.execute(
                insert(receipt).values(
                    **values, **at, **names, identity=bytes(15) + bytes([number])
                )
            )
        _send_before(connection, codes)
        indexes = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master "
            "WHERE type = 'index' AND tbl_name = 'record' AND sql IS NOT NULL"
        ).all()
        for name, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {name}")
    marks = ", ".join("?" * len(_COLUMNS))
    statement = f"INSERT INTO record ({', '.join(_COLUMNS)}) VALUES ({marks})"  # noqa: S608
    rows = _rows(records, codes)
    while group := [row for _, row in zip(range(_GROUP), rows, strict=False)]:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement, group)
    for _, index in indexes:
        with engine.begin() as connection:
            connection.exec_driver_sql(index)
    engine.dispose()


def _send_before(connection: Connection, codes: list[str]) -> None:
    sealed_at = _NOW - timedelta(hours=30)
    packages, attempts = [], []
    for number in range(_PACKAGES_EACH * len(codes)):
        code = codes[number % len(codes)]
        packages.append(
            {
                "id": number + 1,
                "stem": f"{code}{number:09d}",
                "institution_code": code,
                "upload_on": sealed_at.date(),
                "state": "checked",
                "record_count": 1,
                "sha256": "",
                "sealed_at": sealed_at,
            }
        )
        attempts.append(
            {
                "package_id": number + 1,
                "kind": "send",
                "outcome": "confirmed",
                "started_at": sealed_at,
                "ended_at": sealed_at + timedelta(seconds=number % 40),
            }
        )
    connection.execute(insert(package), packages)
    connection.execute(insert(attempt), attempts)


def _rows(records: int, codes: list[str]) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(4)
    now, second = microseconds_of(_NOW), 1_000_000
    for number in range(records // 10):
        code = codes[chance.randrange(len(codes))]
        ready_at = now + chance.randrange(3600) * second
        yield (1, f"a{number}", "", "", 1, "accepted", "", code, code, now, ready_at, "")
    for number in range(records):
        code = codes[chance.randrange(len(codes))]
        state, held, awaited = "ready", "", '["rest"]' if number % 50 == 1 else ""
        if number % 10 == 0:
            state, held = ("held", "unmatched") if number % 20 else ("rejected", "")
        due_at = now + chance.randrange(60, 86_400) * second
        ready_at = now - chance.randrange(900) * second
        slot = str(number)
        yield (2, slot, "", slot, 1, state, held, code, code, due_at, ready_at, awaited)


def measure(reader: Engine, codes: list[str]) -> dict[str, Any]:
    """Milliseconds of a look for what is next and of what goes into one package; seconds and bytes
    of the whole plan."""
    with reader.connect() as connection:
        next_due = _milliseconds(lambda: (ready_overview(connection), next_package_at(connection)))
        presses = _NOW + timedelta(hours=2)
        with_parts = _milliseconds(lambda: ready_overview(connection, lambda _: presses))
        found = ready_overview(connection)
        assert len(found) == len(codes)
        package_ms = _milliseconds(
            lambda: ready_record_ids(connection, codes[7], 1000, _NOW, _NOW + timedelta(hours=8))
        )
    hours = dict.fromkeys(codes, ALWAYS)
    began, worked = time.perf_counter(), time.process_time()
    entries = read_plan(reader, hours, _NOW)
    took, cost = time.perf_counter() - began, time.process_time() - worked
    tracemalloc.start()
    read_plan(reader, hours, _NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "next_due_ms": next_due["median"],
        "next_due_least_ms": next_due["least"],
        "next_due_cpu_ms": next_due["cpu"],
        "next_due_parts_cpu_ms": with_parts["cpu"],
        "next_due_goal_ms": NEXT_DUE_MS,
        "package_ms": package_ms["median"],
        "plan_s": took,
        "plan_cpu_s": cost,
        "plan_goal_s": PLAN_SECONDS,
        "plan_mb": peak / 1e6,
        "plan_entries": len(entries),
        "planned_records": sum(entry.records for entry in entries),
    }


async def _watch(folder: Path) -> float:
    """Seconds of the look that the service takes once a minute."""
    logging.getLogger("broker").setLevel(logging.ERROR)
    writer = Writer(open_writer(folder), asyncio.get_running_loop())
    reader = open_reader(folder)
    try:
        watch = DeadlineWatch(writer, reader, lambda: _NOW)
        await watch.look()
        began = time.perf_counter()
        await watch.look()
        return time.perf_counter() - began
    finally:
        reader.dispose()
        writer.close()


def _milliseconds(ask: Callable[[], Any]) -> dict[str, float]:
    """The median and the least of some, and the median of their processor time."""
    times, costs = [], []
    for _ in range(21):
        began, worked = time.perf_counter(), time.thread_time()
        ask()
        costs.append(1000 * (time.thread_time() - worked))
        times.append(1000 * (time.perf_counter() - began))
    return {
        "median": statistics.median(times),
        "least": min(times),
        "cpu": statistics.median(costs),
    }
