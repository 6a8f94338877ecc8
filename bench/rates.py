"""The rates of a nation's clinics: 10,644 institutions and 609 groups, with outlook and what the
next tier takes, from a store of 1,000,000 orders of four months. Wall-clock and processor seconds.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from broker.rates.board import board_of
from broker.rates.month import Month
from broker.store.engine import STORE_FILE, open_reader, open_snapshot, open_writer
from mapping.rates.groups import Groups, Membership

GOAL = 10
ORDERS = 1_000_000
INSTITUTIONS = 10_644
GROUPS = 609
_CLINICS_OF_GROUPS = 6_400
_TODAY = date(2026, 11, 25)
_DAYS = 120
_CODES = ("09005C", "09006C", "09015C", "09001C", "09004C", "08011C", "06012C", "09044C")
_CITIES = ("01", "31", "32", "03", "37", "05", "02", "43", "45", "11")
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_GROUP = 20_000


def run(folder: Path, orders: int = ORDERS) -> dict[str, Any]:
    """Fill a store with ``orders`` orders and make the board of all institutions once."""
    institutions = min(INSTITUTIONS, orders // 30)
    _fill(folder, orders, institutions)
    codes = [_institution(number) for number in range(institutions)]
    groups = Groups(
        Membership(f"G{number % GROUPS:03d}", code)
        for number, code in enumerate(codes[:_CLINICS_OF_GROUPS])
    )
    now = datetime(_TODAY.year, _TODAY.month, _TODAY.day, 4, tzinfo=UTC)
    reader = open_reader(folder)
    try:
        with open_snapshot(reader) as connection:
            began, spent = time.perf_counter(), time.process_time()
            board = board_of(connection, None, Month.of(_TODAY), now, groups)
            taken = time.perf_counter() - began, time.process_time() - spent
    finally:
        reader.dispose()
    return {
        "orders": orders,
        "institutions": len(board.clinics),
        "groups": len(board.groups),
        "forecasts": sum(row.outlook.quarter is not None for row in board.clinics),
        "seconds": round(taken[0], 1),
        "cpu_seconds": round(taken[1], 1),
        "goal": GOAL,
    }


def _institution(number: int) -> str:
    return f"35{_CITIES[number % len(_CITIES)]}{number:06d}"


def _fill(folder: Path, orders: int, institutions: int) -> None:
    """Past the broker's own writing: visits and records without bodies, which no rate opens."""
    open_writer(folder).dispose()
    store = sqlite3.connect(folder / STORE_FILE, isolation_level=None)
    store.execute("PRAGMA synchronous=OFF")
    made = _orders(orders, institutions)
    while part := list(islice(made, _GROUP)):
        store.execute("BEGIN")
        store.executemany(
            "INSERT INTO rate_order (institution_code, visit_on, visit_id, order_code, "
            "paired_code, due, opted_out, provider_id, arrived_at) VALUES (?,?,?,?,?,?,0,'',?)",
            [row[:7] for row in part],
        )
        store.executemany(
            "INSERT INTO record (receipt_id, slot, place, order_identity, version, state, "
            "uploader_code, clinic_code, order_code, visit_id, due_at, confirmed_at, checked_at, "
            "was_accepted) VALUES (1, ?, '', '', 1, 'accepted', ?, ?, ?, ?, ?, ?, ?, 1)",
            [row[7] for row in part if row[7]],
        )
        store.execute("COMMIT")
    store.close()


def _orders(orders: int, institutions: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(1)
    epoch = date(1970, 1, 1)
    for number in range(orders):
        visit_id = number // 2 + 1
        if number % 2 == 0:
            clinic = _institution(chance.randrange(institutions))
            age = chance.randrange(_DAYS)
            day = _TODAY - timedelta(days=age)
            seen = ((day - epoch).days * 86_400 + 8 * 3_600) * _SECOND
        code = _CODES[2 * chance.randrange(4) + number % 2]
        lag = min(int(chance.expovariate(0.6)), 30)
        record: tuple[Any, ...] = ()
        if chance.random() < 0.8 and lag <= age:
            at = seen + lag * _DAY
            due = at + (3_600 if chance.random() < 0.9 else -3_600) * _SECOND
            record = (str(number), clinic, clinic, code, visit_id, due, at, at)
        yield clinic, day.isoformat(), visit_id, code, code, 1000, seen, record
