"""Matching results against many open orders: results a second on one core, look-ups included.

The store holds made-up people with three visits each at one of some clinics and two or three orders
a visit. Results are of random people, so that nearly none is remembered from the one before.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from broker.demo.people import national_id
from broker.store.engine import open_reader, open_writer
from broker.store.schema import receipt, visit, visit_order
from broker.store.visit_json import visit_to_text
from broker.store.visit_lookup import stored_visits
from mapping.match import Outcome, match_visit
from mapping.moment import Moment, Precision
from mapping.report import Coding, LabReport, Patient, Specimen
from mapping.visit import Order, Visit

GOAL = 2000
ORDERS = 1_000_000
_CODES = ("09005C", "09006C", "09015C", "09001C", "09004C", "08011C", "06012C", "09044C")
_FIRST = date(2026, 1, 1)
_GROUP = 5000
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def run(folder: Path, seconds: float, orders: int = ORDERS) -> dict[str, Any]:
    """Fill a store with ``orders`` orders, then match for ``seconds`` of processor time."""
    people = orders * 2 // 15
    filled = _fill(folder, people)
    reader = open_reader(folder)
    try:
        return {**_measure(reader, people, seconds), "orders": filled, "goal": GOAL}
    finally:
        reader.dispose()


def visits_of(person: int) -> list[Visit]:
    """The three visits of a person, always the same."""
    chance = random.Random(person)
    letter, serial = _LETTERS[person % 26], 10_000_000 + person // 26
    clinic = f"35012{chance.randrange(200):05d}"
    born = date(1940, 1, 1) + timedelta(days=chance.randrange(25_000))
    found = []
    for number in range(3):
        day = _FIRST + timedelta(days=90 * number + chance.randrange(80))
        at = datetime(day.year, day.month, day.day, 1, chance.randrange(60), tzinfo=UTC)
        codes = chance.sample(_CODES, 2 + (number + person) % 2)
        found.append(
            Visit(
                clinic,
                national_id(letter, serial),
                born,
                at,
                "01",
                f"{number:04d}",
                day,
                orders=tuple(Order(code) for code in codes),
            )
        )
    return found


def _fill(folder: Path, people: int) -> int:
    engine = open_writer(folder)
    orders = 0
    with engine.begin() as connection:
        values = {"id": 1, "received_at": datetime.now(UTC), "sha256": b"\0" * 32, "raw": b""}
        texts = ("source_id", "door", "media", "control_id", "name", "acknowledgement")
        connection.execute(
            insert(receipt).values(
                **values, **dict.fromkeys(texts, ""), identity=b"\0" * 16, state="parsed"
            )
        )
    for start in range(0, people, _GROUP):
        rows: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        for person in range(start, min(start + _GROUP, people)):
            for number, each in enumerate(visits_of(person)):
                visit_id = 3 * person + number + 1
                rows.append(_row(visit_id, each))
                lines += [
                    {
                        "visit_id": visit_id,
                        "order_code": order.order_code,
                        "placer_order_number": "",
                        "wanted": True,
                    }
                    for order in each.orders
                ]
        with engine.begin() as connection:
            connection.execute(insert(visit), rows)
            connection.execute(insert(visit_order), lines)
        orders += len(lines)
    engine.dispose()
    return orders


def _row(visit_id: int, item: Visit) -> dict[str, Any]:
    return {
        "id": visit_id,
        "receipt_id": 1,
        "institution_code": item.institution_code,
        "national_id": item.national_id,
        "card_at": item.card_at,
        "visit_type": item.visit_type,
        "visit_serial": item.visit_serial,
        "visit_on": item.visit_on,
        "birth_on": item.birth_on,
        "newborn": "",
        "body": visit_to_text(item),
    }


def _measure(reader: Engine, people: int, seconds: float) -> dict[str, Any]:
    chance = random.Random(1)
    done = matched = 0
    spent = 0.0
    with reader.connect() as connection:
        while spent < seconds:
            asked = [_report(visits_of(chance.randrange(people))) for _ in range(500)]
            began = time.process_time()
            for report in asked:
                look, desk = stored_visits(connection, 1)
                code = report.service[0].code
                desk.choice("1/", "0" * 64, "2026-01-01")
                known = look(report.clinic_code, report.patient.national_id)
                found = match_visit(report, code, report.clinic_code, [each for _, each in known])
                matched += found.outcome is Outcome.MATCHED
            spent += time.process_time() - began
            done += len(asked)
    return {"results_per_second": round(done / spent), "matched": round(matched / done, 4)}


def _report(known: list[Visit]) -> LabReport:
    """A result of the first order of the last visit."""
    meant = known[-1]
    taken = Moment(meant.card_at + timedelta(hours=1), Precision.MINUTE)
    return LabReport(
        Patient(meant.national_id, meant.birth_on),
        (Coding(meant.orders[0].order_code),),
        (),
        clinic_code=meant.institution_code,
        specimen=Specimen("", taken),
    )
