"""How long each page of the console takes on a full store, for one who sees everything and for a
clinic. The server answers in this process, one request at a time: one core, as one person waits.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from broker.access.roles import Role
from broker.bootstrap.readers import READERS
from broker.config import load_settings
from broker.drafting import Drafting
from broker.store.engine import STORE_FILE, open_reader, open_writer
from broker.store.visit_json import visit_to_text
from broker.web.console.desk import Desk
from broker.web.console.routes import install_console
from broker.web.entrance import Access
from broker.web.session import install_access
from mapping.record import CORRECTION_KEY
from mapping.visit import Order, Visit
from tests.access.web_people import SignedIn, sign_in_as

RECORDS = 1_000_000
CLINICS, LABS = 500, 20
DAYS = 100
_NOW = datetime.now(UTC)
_CODES = ("09005C", "09015C", "08011C", "09001C", "06012C", "09026C", "09025C", "09044C")
_PAGES = {
    "today": "/",
    "worklist": "/worklist",
    "records": "/records",
    "records by state": "/records?state=accepted",
    "records by order": "/records?order=09044C",
    "records due": "/records?due=open",
    "record": "/records/{record}",
    "uploads": "/uploads",
    "upload": "/uploads/{package}",
    "rates": "/rates",
    "clinic's rates": "/rates/3500000007",
    "sources": "/sources",
    "codes": "/codes",
    "entry": "/entry",
    "cards": "/cards",
    "audit": "/audit",
    "settings": "/settings",
}
_SETTINGS = '[[source]]\nid = "lab-{n}"\nlab_code = "JY{n:08d}"\n'


def run(folder: Path, records: int = RECORDS, rounds: int = 40) -> dict[str, Any]:
    """Milliseconds: the middle and the 95th of a hundred, for each page and person."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    fill(folder, records)
    filled = time.perf_counter() - began
    return {
        "records": records,
        "filled in seconds": round(filled, 1),
        "pages": asyncio.run(_measure(folder, records, rounds)),
    }


def fill(folder: Path, records: int) -> None:
    """A store as it is after ``DAYS`` days: nearly all accepted, some held, some on their way."""
    open_writer(folder).dispose()
    connection = sqlite3.connect(folder / STORE_FILE, isolation_level=None)
    try:
        for pragma in ("synchronous=OFF", "cache_size=-262144", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        _insert(connection, "receipt", _receipts(records))
        _insert(connection, "visit", _visits(records))
        _insert(connection, "visit_order", _visit_orders(records))
        _insert(connection, "package", _packages(records))
        _insert(connection, "record", _records(records))
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    names = ", ".join(first)
    marks = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _micro(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _came_at(number: int, records: int) -> datetime:
    return _NOW - timedelta(days=DAYS) * (1 - number / records)


def _clinic(number: int) -> str:
    return f"35{number % CLINICS:08d}"


def _lab(number: int) -> int:
    return number % CLINICS % LABS


def _receipts(records: int) -> Iterator[dict[str, Any]]:
    raw = b"MSH|^~\\&|LIS||||20260101||ORU^R01|1|P|2.5.1\rPID|1||A123456789\rOBX|1|NM|1||5\r" * 4
    for number in range(1, records + 1):
        yield {
            "id": number,
            "source_id": f"lab-{_lab(number)}",
            "door": "mllp",
            "media": "hl7v2",
            "control_id": str(number),
            "name": "",
            "sha256": number.to_bytes(32, "big"),
            "identity": number.to_bytes(16, "big"),
            "received_at": _micro(_came_at(number, records)),
            "state": "parsed",
            "acknowledgement": "delivered",
            "content": "reports",
            "raw": raw,
        }


def _visits(records: int) -> Iterator[dict[str, Any]]:
    for number in range(1, records // 4 + 1):
        at = _came_at(number * 4, records) - timedelta(days=1)
        person = f"A1{number % 10_000_000:08d}"
        visit = Visit(
            institution_code=_clinic(number),
            national_id=person,
            birth_on=date(1970, 1, 1),
            card_at=at.replace(microsecond=0),
            visit_type="01",
            visit_serial=f"{number % 9999:04d}",
            visit_on=at.date(),
            orders=tuple(Order(code) for code in _ordered(number)),
        )
        yield {
            "id": number,
            "receipt_id": number,
            "institution_code": visit.institution_code,
            "national_id": person,
            "card_at": _micro(visit.card_at),
            "visit_type": "01",
            "visit_serial": visit.visit_serial,
            "visit_on": visit.visit_on.isoformat(),
            "birth_on": "1970-01-01",
            "body": visit_to_text(visit),
        }


def _ordered(number: int) -> tuple[str, ...]:
    return tuple(_CODES[(number + each) % len(_CODES)] for each in range(4))


def _visit_orders(records: int) -> Iterator[dict[str, Any]]:
    for number in range(1, records // 4 + 1):
        for code in _ordered(number):
            yield {
                "visit_id": number,
                "order_code": code,
                "placer_order_number": "",
                "wanted": True,
            }


def _packages(records: int) -> Iterator[dict[str, Any]]:
    for number in range(1, records // 100 + 1):
        at = _came_at(number * 100, records) + timedelta(minutes=20)
        yield {
            "id": number,
            "stem": f"{_clinic(number)}{number:010d}",
            "institution_code": _clinic(number),
            "upload_on": at.date().isoformat(),
            "state": "checked",
            "record_count": 100,
            "sha256": "0" * 64,
            "sealed_at": _micro(at),
            "confirmed_at": _micro(at + timedelta(minutes=1)),
            "checked_at": _micro(at + timedelta(minutes=40)),
            "receipt_number": f"{number:013d}",
        }


_HELD = json.dumps(
    [{"code": "14", "severity": "error", "field": "r6-1", "place": "rdata[1]"}], ensure_ascii=False
)
_UNMAPPED = json.dumps(
    [{"code": "unmapped-code", "severity": "error", "parameters": [["code", "XQ{}"]]}]
)


def _records(records: int) -> Iterator[dict[str, Any]]:
    header = {tag: ["1", "visit.card_at"] for tag in CORRECTION_KEY}
    row = {"r1": ["1", "sequence"], "r2": ["Glucose", "OBX[1]-3"], "r4": ["92", "OBX[1]-5"]}
    body = json.dumps({"h": header, "r": [row]})
    for number in range(1, records + 1):
        at = _came_at(number, records)
        state, reason, findings = "accepted", "", "[]"
        lately = number > records * 0.996
        if lately and number % 4:
            state = ("ready", "sealed", "checking")[number % 3]
        elif number % 100 == 7 and number > records * 0.8:
            state, reason, findings = "held", "invalid", _HELD
        elif number % 200 == 11 and number > records * 0.8:
            state, reason = "held", "unmapped"
            findings = _UNMAPPED.replace("{}", str(number % 30))
        elif number % 50 == 3:
            state = "superseded"
        visit = (number - 1) // 4 + 1
        confirmed = _micro(at + timedelta(hours=1)) if state == "accepted" else None
        yield {
            "receipt_id": number,
            "slot": "1/x",
            "place": "OBR[1]",
            "order_identity": f"o{number}",
            "version": 1,
            "state": state,
            "held_reason": reason,
            "uploader_code": _clinic(visit),
            "clinic_code": _clinic(visit),
            "lab_code": f"JY{_lab(number):08d}",
            "order_code": "" if reason == "unmapped" else _CODES[number % len(_CODES)],
            "national_id": f"A1{visit % 10_000_000:08d}",
            "visit_id": None if reason == "unmapped" else visit,
            "clock_started_at": _micro(at),
            "due_at": _micro(at + timedelta(hours=24)),
            "ready_at": _micro(at),
            "confirmed_at": confirmed,
            "checked_at": confirmed,
            "package_id": max(1, min(number, records) // 100) if confirmed else None,
            "was_accepted": state == "accepted",
            "findings": findings,
            "body": "" if reason == "unmapped" else body,
        }


async def _measure(folder: Path, records: int, rounds: int) -> dict[str, Any]:
    file = folder / "labbroker.toml"
    file.write_text(
        'data_dir = "."\n' + "".join(_SETTINGS.format(n=n) for n in range(LABS)), "utf-8"
    )
    settings = load_settings(file, {})
    engine = open_writer(folder)
    reader = open_reader(folder)

    async def write(work: Callable[[Any], Any]) -> Any:
        with engine.begin() as connection:
            return work(connection)

    async def nothing(*_: object) -> Any:
        raise AssertionError("a page that is only looked at writes nothing")

    receive: Callable[[Any], Awaitable[Any]] = nothing
    desk = Desk(
        settings,
        reader,
        write,
        lambda: datetime.now(UTC),
        settings.profiles,
        READERS,
        {},
        nothing,
        Drafting(settings.agreements, frozenset()),
        receive,
    )
    application = web.Application()
    install_access(application, Access(reader, write, desk.clock))
    install_console(application, desk)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with engine.begin() as connection:
        people = {
            "everywhere": sign_in_as(connection, Role.OPERATOR),
            "a clinic": sign_in_as(connection, Role.CLINIC, [_clinic(7)]),
        }
    places = {"record": str(7 * 4 * 20), "package": "7"}
    found: dict[str, Any] = {}
    try:
        for who, person in people.items():
            for name, path in _PAGES.items():
                found[f"{name}, {who}"] = await _page(url + path.format(**places), person, rounds)
    finally:
        await runner.cleanup()
        reader.dispose()
        engine.dispose()
    return {name: each for name, each in found.items() if each}


async def _page(url: str, who: SignedIn, rounds: int) -> dict[str, float]:
    took: list[float] = []
    async with ClientSession(cookies=who.cookies) as session:
        for number in range(rounds + 2):
            began = time.perf_counter()
            async with session.get(url, allow_redirects=False) as answer:
                await answer.read()
                if answer.status != 200:
                    return {}
            if number >= 2:
                took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return {
        "median ms": round(took[len(took) // 2], 1),
        "p95 ms": round(took[int(len(took) * 0.95) - 1], 1),
    }
