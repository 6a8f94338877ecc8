"""Over any store: what is not final is afterwards as it was, byte for byte."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, select

from adapters.ports.intake import Door, Media, Payload
from broker.operation.retention import erase_all
from broker.states import Acknowledgement, HeldReason, PackageState, ReceiptState, RecordState
from broker.store.audit import note
from broker.store.code_tables import waiting_code
from broker.store.delivery_tables import critical_result, delivery_attempt, outgoing
from broker.store.engine import open_writer
from broker.store.receipts import ReceiptAppender, receipt_row, replay_receipt
from broker.store.retention import Kept
from broker.store.schema import (
    attempt,
    metadata,
    package,
    package_record,
    receipt,
    record,
    visit,
    visit_order,
)
from tests.stores import store_at

NOW = datetime(2026, 1, 10, 19, 0, tzinfo=UTC)
DAYS = 100
EXAMPLES = int(os.environ.get("LABBROKER_RETENTION_EXAMPLES", "15"))
LONG_AGO, LATELY = NOW - timedelta(days=DAYS + 40), NOW - timedelta(days=DAYS - 1)
TIMES = (LONG_AGO, LONG_AGO, LATELY)
AT_REST = ("accepted", "superseded")
FINAL_REPORT = '[{"code": "report-applied"}]'

Rows = dict[str, dict[Any, dict[str, Any]]]


def likely(rnd: random.Random, usual: str, others: list[str]) -> str:
    """``usual`` mostly, so that much of a store is final."""
    return usual if rnd.random() < 0.8 else rnd.choice(others)


def fill(connection: Connection, rnd: random.Random) -> list[Payload]:
    """A store in any state; the payloads that its receipts came from."""
    payloads = [
        Payload("lab", Door.MLLP, Media.HL7V2, rnd.randbytes(rnd.randint(0, 9)), str(number))
        for number in range(rnd.randint(1, 6))
    ]
    rows = [receipt_row(each, rnd.choice(TIMES)) for each in payloads]
    ids = [each.receipt_id for each in ReceiptAppender(connection).append(connection, rows)]
    packages = range(1, rnd.randint(1, 3) + 1)
    for number in packages:
        connection.execute(
            insert(package).values(
                id=number,
                stem=f"p{number}",
                institution_code="3501200000",
                upload_on=date(2025, 9, 1),
                state=likely(rnd, "checked", [each.value for each in PackageState]),
                record_count=1,
                sha256="",
                sealed_at=LONG_AGO,
                checked_at=rnd.choice((*TIMES, None)),
                raw_verdict=rnd.choice((b"report", None)),
            )
        )
        for _ in range(rnd.randint(0, 2)):
            connection.execute(
                insert(attempt).values(
                    package_id=number,
                    institution_code="3501200000",
                    kind="send",
                    started_at=LONG_AGO,
                    ended_at=rnd.choice((*TIMES, None)),
                    raw_answer=b"answer",
                )
            )
    place = 0
    for number in ids:
        contents = ["reports", "visits", "check_report", "correction", ""]
        connection.execute(
            receipt.update()
            .where(receipt.c.id == number)
            .values(
                state=likely(rnd, "parsed", [each.value for each in ReceiptState]),
                acknowledgement=likely(rnd, "delivered", [each.value for each in Acknowledgement]),
                content=rnd.choice(contents),
                findings=likely(rnd, FINAL_REPORT, ['[{"code": "report-record-unknown"}]']),
            )
        )
        visit_id = None
        if rnd.random() < 0.4:
            visit_id = number * 10
            connection.execute(
                insert(visit).values(
                    id=visit_id,
                    receipt_id=number,
                    institution_code="3501200000",
                    national_id="",
                    card_at=LONG_AGO + timedelta(minutes=number),
                    visit_type="01",
                    visit_serial="",
                    visit_on=rnd.choice(TIMES).date(),
                    birth_on=date(1980, 1, 1),
                    body="{}",
                )
            )
            if rnd.random() < 0.7:
                connection.execute(
                    insert(visit_order).values(
                        visit_id=visit_id,
                        institution_code="3501200000",
                        order_code="06012C",
                        placer_order_number="",
                        wanted=rnd.random() < 0.7,
                    )
                )
        for slot in range(rnd.randint(0, 2)):
            place += 1
            state = likely(rnd, rnd.choice(AT_REST), [each.value for each in RecordState])
            connection.execute(
                insert(record).values(
                    id=place,
                    receipt_id=number,
                    slot=str(slot),
                    place="",
                    order_identity=rnd.choice(("", "a", "b", "c")),
                    version=1,
                    state=state,
                    held_reason=rnd.choice(list(HeldReason)).value if state == "held" else "",
                    order_code="06012C",
                    clinic_code="3501200000",
                    visit_id=visit_id,
                    task=likely(rnd, "", ["task"]),
                )
            )
            connection.execute(
                insert(package_record).values(
                    package_id=rnd.choice(packages),
                    record_id=place,
                    position=1,
                    active=False,
                    institution_code="3501200000",
                    clinic_code="3501200000",
                )
            )
        for again in range(rnd.choice((0, 0, 1, 2))):
            states = ["queued", "sent", "failed", "refused"]
            made = connection.execute(
                insert(outgoing).values(
                    destination="clinic",
                    kind="mllp",
                    clinic_code="3501200000",
                    lab_code="",
                    receipt_id=number,
                    number=1,
                    again=again,
                    state=rnd.choice(("acknowledged", "acknowledged", "refused", *states)),
                    queued_at=LONG_AGO,
                    ended_at=rnd.choice((*TIMES, None)),
                    body=rnd.choice((b"body", None)),
                )
            )
            connection.execute(
                insert(delivery_attempt).values(
                    outgoing_id=made.inserted_primary_key[0],  # type: ignore[index]
                    clinic_code="3501200000",
                    started_at=LONG_AGO,
                    ended_at=rnd.choice((*TIMES, None)),
                )
            )
        if rnd.random() < 0.2:
            connection.execute(
                insert(critical_result).values(
                    receipt_id=number,
                    number=1,
                    line=1,
                    said=b"",
                    clinic_code="",
                    lab_code="",
                    source_id="lab",
                    reason="flag",
                    found_at=LONG_AGO,
                    confirmed_at=rnd.choice((LONG_AGO, None)),
                    waits=rnd.random() < 0.5,
                )
            )
        if rnd.random() < 0.1:
            connection.execute(
                insert(waiting_code).values(
                    receipt_id=number, place="1", source_id="lab", code="X", name=""
                )
            )
        note(
            connection,
            person="a",
            action="show",
            kind="receipt",
            subject=str(number),
            institution="",
            at=LONG_AGO,
        )
    return payloads


def dump(connection: Connection) -> Rows:
    """Every row of every table, by table and key."""
    return {
        table.name: {
            tuple(getattr(row, column.name) for column in table.primary_key): dict(row._mapping)
            for row in connection.execute(select(table))
        }
        for table in metadata.sorted_tables
    }


def old(at: datetime | None) -> bool:
    return at is not None and at < NOW - timedelta(days=DAYS)


def is_open(row: dict[str, Any]) -> bool:
    return row["state"] not in AT_REST or row["task"] != ""


def receipt_may_go(rows: Rows, one: dict[str, Any]) -> bool:
    """The rule, said once more by whoever reads rows and not by the store."""
    every = list(rows["record"].values())
    own = [each for each in every if each["receipt_id"] == one["id"]]
    orders = {each["order_identity"] for each in own} - {""}
    visits = [each for each in rows["visit"].values() if each["receipt_id"] == one["id"]]
    answered = {
        (each["visit_id"], each["order_code"]) for each in every if each["state"] == "accepted"
    }

    def mine(table: str) -> list[dict[str, Any]]:
        return [each for each in rows[table].values() if each["receipt_id"] == one["id"]]

    return (
        old(one["received_at"])
        and one["state"] == "parsed"
        and one["acknowledgement"] in ("delivered", "not_owed")
        and one["content"] in ("reports", "visits", "check_report")
        and not any(is_open(each) for each in own)
        and not any(is_open(each) for each in every if each["order_identity"] in orders)
        and all(each["state"] == "acknowledged" for each in mine("outgoing"))
        and not any(each["waits"] for each in mine("critical_result"))
        and not mine("waiting_code")
        and all(each["visit_on"] < (NOW - timedelta(days=DAYS)).date() for each in visits)
        and all(
            not order["wanted"] or (order["visit_id"], order["order_code"]) in answered
            for order in rows["visit_order"].values()
            if order["visit_id"] in {each["id"] for each in visits}
        )
        and not (one["content"] == "check_report" and one["findings"] != FINAL_REPORT)
    )


def package_is_final(rows: Rows, number: int) -> bool:
    records = [
        rows["record"][(each["record_id"],)]
        for each in rows["package_record"].values()
        if each["package_id"] == number
    ]
    return rows["package"][(number,)]["state"] == "checked" and not any(map(is_open, records))


def body_may_go(rows: Rows, one: dict[str, Any]) -> bool:
    if not old(one["ended_at"]) or one["body"] is None:
        return False
    return one["state"] == "acknowledged" or (
        one["state"] == "refused"
        and any(
            each["receipt_id"] == one["receipt_id"]
            and each["again"] > one["again"]
            and each["state"] == "acknowledged"
            and old(each["ended_at"])
            for each in rows["outgoing"].values()
        )
    )


def expected(before: Rows) -> Rows:
    """The store as it must be afterwards."""
    after = {name: {key: dict(row) for key, row in some.items()} for name, some in before.items()}
    for key, row in before["receipt"].items():
        if receipt_may_go(before, row):
            after["receipt"][key]["raw"] = b""
    for key, row in before["outgoing"].items():
        if body_may_go(before, row):
            after["outgoing"][key]["body"] = None
    for key, row in before["package"].items():
        if package_is_final(before, row["id"]) and old(row["checked_at"]):
            after["package"][key]["raw_verdict"] = None
    for key, row in before["attempt"].items():
        sent = before["package"][(row["package_id"],)]
        final = package_is_final(before, sent["id"]) and old(sent["checked_at"])
        if final and old(row["ended_at"]):
            del after["attempt"][key]
    for key, row in before["delivery_attempt"].items():
        whole = before["outgoing"][(row["outgoing_id"],)]
        arrived = whole["state"] == "acknowledged" and old(whole["ended_at"])
        if arrived and old(row["ended_at"]):
            del after["delivery_attempt"][key]
    return after


def holds(engine: Engine, rnd: random.Random) -> None:
    days = dict.fromkeys(Kept, DAYS)
    with engine.connect() as connection:
        transaction = connection.begin()
        payloads = fill(connection, rnd)
        before = dump(connection)
        counted = erase_all(connection, days, NOW, dry_run=True)
        assert dump(connection) == before
        assert erase_all(connection, dict.fromkeys(Kept), NOW) == {}
        assert dump(connection) == before
        assert erase_all(connection, days, NOW) == counted
        assert dump(connection) == expected(before)
        assert erase_all(connection, days, NOW) == {}
        again = ReceiptAppender(connection).append(
            connection, [receipt_row(each, NOW) for each in payloads]
        )
        assert [each.duplicate for each in again] == [True] * len(payloads)
        for row in dump(connection)["receipt"].values():
            assert row["sha256"] == before["receipt"][(row["id"],)]["sha256"]
            erased = hashlib.sha256(row["raw"]).digest() != row["sha256"]
            is_read = row["state"] != "stored"
            assert replay_receipt(connection, row["id"]) is (is_read and not erased)
        transaction.rollback()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rnd=st.randoms(use_true_random=False))
def test_what_is_not_final_is_the_same_byte_for_byte(
    rnd: random.Random, sqlite_engine: Engine
) -> None:
    holds(sqlite_engine, rnd)


@pytest.fixture(scope="module")
def sqlite_engine() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_writer(Path(folder))
        yield engine
        engine.dispose()


def test_both_engines_erase_alike(both_stores: str, tmp_path: Path) -> None:
    engine = open_writer(store_at(tmp_path))
    try:
        for seed in range(3):
            holds(engine, random.Random(seed))
    finally:
        engine.dispose()


def test_the_random_stores_hold_what_may_go_and_what_may_not(sqlite_engine: Engine) -> None:
    gone: set[str] = set()
    stayed = 0
    for seed in range(12):
        with sqlite_engine.connect() as connection:
            transaction = connection.begin()
            fill(connection, random.Random(seed))
            before = dump(connection)
            after = expected(before)
            gone |= {name for name in before if before[name] != after[name]}
            stayed += sum(row["raw"] != b"" for row in after["receipt"].values())
            transaction.rollback()
    assert gone == {"receipt", "outgoing", "package", "attempt", "delivery_attempt"}
    assert stayed
