"""A store as it is after a hundred days of 500 clinics and 20 laboratories, filled in bulk: nearly
all accepted, some held, some on their way. All people of it are made up.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeAlias

from broker.store.engine import STORE_FILE, open_writer
from broker.store.visit_json import visit_to_text
from mapping.record import CORRECTION_KEY
from mapping.visit import Order, Visit

CLINICS, LABS = 500, 20
DAYS = 100
CODES = ("09005C", "09015C", "08011C", "09001C", "06012C", "09026C", "09025C", "09044C")
RARE = "18001C"
"""An order code of which there are a few results, all of them old."""
Row: TypeAlias = tuple[Any, ...]
_NOW = datetime.now(UTC)
_PACKAGE = 100


def fill(folder: Path, records: int) -> None:
    """Write the store into ``folder``. The store's own indexes are built at the end, each at once;
    what a broker never asks the database to learn (ANALYZE), it has not learnt here either."""
    open_writer(folder).dispose()
    connection = sqlite3.connect(folder / STORE_FILE, isolation_level=None)
    try:
        for pragma in (
            "journal_mode=OFF",
            "synchronous=OFF",
            "cache_size=-262144",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        for table, (names, rows) in TABLES.items():
            marks = ", ".join("?" * len(names.split()))
            statement = f"INSERT INTO {table} ({', '.join(names.split())}) VALUES ({marks})"  # noqa: S608 - our own names
            connection.executemany(statement, rows(records))
        connection.execute("COMMIT")
        for _, text in indexes:
            connection.execute(text)
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        connection.close()


def clinic_code(number: int) -> str:
    """The clinic of a visit of that number."""
    return f"35{number % CLINICS:08d}"


def lab_code(number: int) -> str:
    """The laboratory of a clinic, and of its visits."""
    return f"JY{number % CLINICS % LABS:08d}"


def source_id(number: int) -> str:
    """Where that laboratory's messages come from."""
    return f"lab-{number % CLINICS % LABS}"


def _visit_of(number: int) -> int:
    return (number - 1) // 4 + 1


def _micro(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _hits(number: int, one_in: int, which: int = 0) -> bool:
    """One in so many, whoever it belongs to."""
    return (number * 2_654_435_761 >> 8) % one_in == which


_END = _micro(_NOW)
_SPAN = DAYS * 86_400_000_000
_HOUR = 3_600_000_000


def _came_at(number: int, records: int) -> int:
    return _END - round(_SPAN * (1 - number / records))


def _receipts(records: int) -> Iterator[Row]:
    raw = b"MSH|^~\\&|LIS||||20260101||ORU^R01|1|P|2.5.1\rPID|1||A123456789\rOBX|1|NM|1||5\r" * 4
    for number in range(1, records + 1):
        source = source_id(_visit_of(number))
        quarantined = _hits(number, 50_000)
        yield (
            number,
            source,
            "mllp",
            "hl7v2",
            str(number),
            "",
            number.to_bytes(32, "big"),
            b"%s\0%d\0" % (source.encode(), number),
            _came_at(number, records),
            "quarantined" if quarantined else "parsed",
            "delivered",
            "reports",
            raw,
        )


def _visits(records: int) -> Iterator[Row]:
    bodies = [_visit_body(number) for number in range(len(CODES))]
    for number in range(1, records // 4 + 1):
        at = _came_at(number * 4, records) - 24 * _HOUR
        card_at = datetime.fromtimestamp(at // 1_000_000, UTC)
        person, serial = f"A1{number % 10_000_000:08d}", f"{number % 9999:04d}"
        body = bodies[number % len(CODES)].replace(_ONE.institution_code, clinic_code(number))
        body = body.replace(_ONE.national_id, person).replace(_ONE.visit_serial, serial)
        body = body.replace(_ONE.card_at.isoformat(), card_at.isoformat())
        yield (
            number,
            number,
            clinic_code(number),
            person,
            _micro(card_at),
            "01",
            serial,
            card_at.date().isoformat(),
            "1970-01-01",
            body.replace(_ONE.visit_on.isoformat(), card_at.date().isoformat()),
        )


_ONE = Visit(
    institution_code="3599999999",
    national_id="A199999999",
    birth_on=date(1970, 1, 1),
    card_at=datetime(1971, 2, 3, 4, 5, 6, tzinfo=UTC),
    visit_type="01",
    visit_serial="9998",
    visit_on=date(1971, 2, 4),
)


def _visit_body(number: int) -> str:
    """Making each visit from its parts would take longer than all the rest."""
    return visit_to_text(replace(_ONE, orders=tuple(Order(code) for code in _ordered(number))))


def _ordered(number: int) -> tuple[str, ...]:
    return tuple(CODES[(number + each) % len(CODES)] for each in range(4))


def _visit_orders(records: int) -> Iterator[Row]:
    for number in range(1, records // 4 + 1):
        for code in sorted(_ordered(number)):
            yield number, code, "", True


def _rate_orders(records: int) -> Iterator[Row]:
    for number in range(1, records // 4 + 1):
        at = _came_at(number * 4, records) - 24 * _HOUR
        day = datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()
        for code in sorted(_ordered(number)):
            yield clinic_code(number), day, number, code, code, 1000, 0, "", at


def _packages(records: int) -> Iterator[Row]:
    for number in range(1, records // _PACKAGE + 1):
        at = _came_at(number * _PACKAGE, records) + _HOUR // 3
        yield (
            number,
            f"{clinic_code(number)}{number:010d}",
            clinic_code(number),
            datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat(),
            "checked",
            _PACKAGE,
            "0" * 64,
            at,
            at + _HOUR // 60,
            at + _HOUR,
            f"{number:013d}",
            1,
        )


def _attempts(records: int) -> Iterator[Row]:
    for number in range(1, records // _PACKAGE + 1):
        at = _came_at(number * _PACKAGE, records) + _HOUR // 3
        yield number, "send", at, at + 1_000_000, "confirmed", b""


def _package_records(records: int) -> Iterator[Row]:
    for number in range(1, records // _PACKAGE * _PACKAGE + 1):
        package, place = divmod(number - 1, _PACKAGE)
        yield package + 1, number, place + 1, False, "accepted"


_HELD = json.dumps(
    [{"code": "14", "severity": "error", "field": "r6-1", "place": "rdata[1]"}], ensure_ascii=False
)
_UNMAPPED = json.dumps(
    [{"code": "unmapped-code", "severity": "error", "parameters": [["code", "XQ{}"]]}]
)
_UNSENT = 0.999
"""What came later has not left yet."""


def _records(records: int) -> Iterator[Row]:
    header = {tag: ["11010112345", "visit.card_at"] for tag in CORRECTION_KEY}
    row = {"r1": ["1", "sequence"], "r2": ["Glucose", "OBX[1]-3"], "r4": ["92", "OBX[1]-5"]}
    body = json.dumps({"h": header, "r": [row]})
    for number in range(1, records + 1):
        at, visit = _came_at(number, records), _visit_of(number)
        clinic, lab = clinic_code(visit), lab_code(visit)
        state, reason, findings = "accepted", "", "[]"
        lately = number > records * 0.8
        if number > records * _UNSENT:
            state = "rejected" if _hits(number, 3) else "ready"
        elif lately and _hits(number, 100):
            state, reason, findings = "held", "invalid", _HELD
        elif lately and _hits(number, 200, 1):
            state, reason = "held", "unmapped"
            findings = _UNMAPPED.replace("{}", str(number % 30))
        elif _hits(number, 50, 2):
            state = "superseded"
        done = at + _HOUR if state in ("accepted", "superseded") else None
        unmapped = reason == "unmapped"
        code = _ordered(visit)[(number - 1) % 4] if not _hits(number, 40) else CODES[-1]
        if _hits(number, 5000) and not lately:
            code = RARE
        yield (
            number,
            number,
            "1/x",
            "OBR[1]",
            f"o{number}",
            1,
            state,
            reason,
            lab if _hits(number, 30) else clinic,
            clinic,
            lab,
            "" if unmapped else code,
            f"A1{visit % 10_000_000:08d}",
            None if unmapped else visit,
            at,
            at + 24 * _HOUR,
            at,
            done,
            done,
            min(number, records - records % _PACKAGE) // _PACKAGE or 1 if done else None,
            "09" if state == "rejected" else "",
            state == "accepted",
            findings,
            "" if unmapped else body,
        )


def _reports(records: int) -> Iterator[Row]:
    for number in range(1, records + 1):
        at, visit = _came_at(number, records), _visit_of(number)
        yield (
            number,
            1,
            source_id(visit),
            lab_code(visit),
            clinic_code(visit),
            f"A1{visit % 10_000_000:08d}",
            "",
            number.to_bytes(16, "big"),
            at - 6 * _HOUR,
            at - 6 * _HOUR,
            at,
        )


def _outgoing(records: int) -> Iterator[Row]:
    for number in range(1, records + 1):
        at, visit = _came_at(number, records), _visit_of(number)
        by_hand = visit % 2 == 0
        is_open = number > records * 0.999 or (by_hand and _hits(number, 50))
        is_refused = _hits(number, 10_000)
        state = "queued" if is_open else "refused" if is_refused else "acknowledged"
        yield (
            clinic_code(visit),
            "inbox" if by_hand else "mllp",
            clinic_code(visit),
            lab_code(visit),
            number,
            1,
            state,
            0 if is_open else 1,
            at,
            None if is_open else at + 1_000_000,
            "" if is_open else "AA",
        )


def _critical(records: int) -> Iterator[Row]:
    for number in range(100, records + 1, 100):
        at, visit = _came_at(number, records), _visit_of(number)
        done = None if number > records * 0.99 else at + _HOUR // 2
        yield (
            number,
            1,
            1,
            number.to_bytes(16, "big"),
            clinic_code(visit),
            lab_code(visit),
            source_id(visit),
            "flag",
            at,
            done,
            "" if done is None else "somebody",
            done is None,
        )


def _alarms(records: int) -> Iterator[Row]:
    for number in range(1, records // 500 + 1):
        at = _came_at(number * 500, records)
        closed = at + _HOUR if number <= records // 500 - 12 else None
        kind = ("at-risk", "missed")[number % 2]
        yield kind, clinic_code(number), "invalid", 3, at + 24 * _HOUR, at, at, closed


def _events(records: int) -> Iterator[Row]:
    for number in range(1, records // 5 + 1):
        at, visit = _came_at(number * 5, records), _visit_of(number * 5)
        yield (
            number,
            at,
            f"person-{number % 40}",
            ("show", "fix", "sign-in", "settle")[number % 4],
            "record",
            str(number * 5),
            clinic_code(visit),
            "{}",
            number.to_bytes(32, "big"),
            (number + 1).to_bytes(32, "big"),
        )


def _head(records: int) -> Iterator[Row]:
    number = records // 5
    yield 1, number, (number + 1).to_bytes(32, "big")


TABLES: dict[str, tuple[str, Callable[[int], Iterator[Row]]]] = {
    "receipt": (
        "id source_id door media control_id name sha256 identity received_at state"
        " acknowledgement content raw",
        _receipts,
    ),
    "visit": (
        "id receipt_id institution_code national_id card_at visit_type visit_serial visit_on"
        " birth_on body",
        _visits,
    ),
    "visit_order": ("visit_id order_code placer_order_number wanted", _visit_orders),
    "rate_order": (
        "institution_code visit_on visit_id order_code paired_code due opted_out provider_id"
        " arrived_at",
        _rate_orders,
    ),
    "package": (
        "id stem institution_code upload_on state record_count sha256 sealed_at confirmed_at"
        " checked_at receipt_number attempts",
        _packages,
    ),
    "attempt": ("package_id kind started_at ended_at outcome raw_answer", _attempts),
    "record": (
        "id receipt_id slot place order_identity version state held_reason uploader_code"
        " clinic_code lab_code order_code national_id visit_id clock_started_at due_at ready_at"
        " confirmed_at checked_at package_id verdict_code was_accepted findings body",
        _records,
    ),
    "package_record": ("package_id record_id position active verdict", _package_records),
    "lab_report": (
        "receipt_id number source_id lab_code clinic_code national_id chart_number identity"
        " taken_from taken_until stored_at",
        _reports,
    ),
    "outgoing": (
        "destination kind clinic_code lab_code receipt_id number state attempts queued_at ended_at"
        " answer",
        _outgoing,
    ),
    "critical_result": (
        "receipt_id number line said clinic_code lab_code source_id reason found_at confirmed_at"
        " confirmed_by waits",
        _critical,
    ),
    "alarm": (
        "kind institution_code reason records due_at opened_at changed_at closed_at",
        _alarms,
    ),
    "audit_event": (
        "number at person action kind subject institution detail previous digest",
        _events,
    ),
    "audit_head": ("id events digest", _head),
}
