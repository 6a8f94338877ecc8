"""What the store promises, on each engine: the same tests on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from adapters.ports.intake import Accepted, Door, Media, Payload
from broker.store.alarms import AlarmKey, AlarmKind, Threat, open_alarms, settle_alarms
from broker.store.engine import open_reader, open_snapshot, open_writer
from broker.store.fault_index import waiting_faults
from broker.store.receipts import (
    mark_acknowledged,
    open_receipts,
    settle_acknowledgements_after_crash,
)
from broker.store.schema import receipt, record
from broker.store.unconfirmed import (
    LONG_AGO,
    PART,
    Unconfirmed,
    count_unconfirmed,
    split_at,
    unconfirmed_groups,
)
from broker.store.writer import Writer
from tests.stores import store_at

pytestmark = pytest.mark.usefixtures("both_stores")
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


@pytest.fixture
async def writer(both_stores: str, tmp_path: Path) -> AsyncIterator[Writer]:
    opened = Writer(open_writer(store_at(tmp_path)), asyncio.get_running_loop())
    yield opened
    opened.close()


async def take(writer: Writer, *raws: bytes, source: str = "lab") -> list[Accepted]:
    futures = []
    for raw in raws:
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        payload = Payload(source, Door.MLLP, Media.HL7V2, raw, "1")
        writer.append(payload, NOW, future.set_result)  # type: ignore[arg-type]
        futures.append(future)
    return list(await asyncio.gather(*futures))


async def test_bytes_come_back_as_they_were_and_repeats_are_told(
    writer: Writer, tmp_path: Path
) -> None:
    every_byte = bytes(range(256)) * 20
    first, again, other = await take(writer, every_byte, every_byte, b"x")
    (later,) = await take(writer, every_byte)
    assert not first.duplicate
    assert again == later == Accepted(first.receipt_id, duplicate=True)
    assert other.receipt_id != first.receipt_id
    reader = open_reader(store_at(tmp_path))
    with reader.connect() as connection:
        rows = {row.id: row for row in open_receipts(connection, 0, 10)}
    assert bytes(rows[first.receipt_id].raw) == every_byte
    assert rows[first.receipt_id].repeats == 2
    assert rows[first.receipt_id].received_at == NOW
    reader.dispose()


async def test_a_job_that_fails_costs_no_other_and_leaves_nothing(writer: Writer) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(update(receipt).values(name="changed"))
        raise ValueError

    await take(writer, b"a")
    outcomes = await asyncio.gather(
        writer.write(lambda _: 1),
        writer.write(fail),
        writer.write(lambda _: 2),
        return_exceptions=True,
    )
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == 2
    names = await writer.write(lambda c: list(c.execute(select(receipt.c.name)).scalars()))
    assert names == [""]


async def test_a_statement_that_the_database_refuses_costs_only_its_own_job(
    writer: Writer,
) -> None:
    (kept,) = await take(writer, b"a")

    def break_a_rule(connection: Connection) -> None:
        values = {"receipt_id": kept.receipt_id, "slot": None}
        connection.execute(insert(record).values(**values, **_NAMES))

    with pytest.raises(IntegrityError):
        await writer.write(break_a_rule)
    assert await writer.write(lambda c: c.execute(select(receipt.c.id)).scalars().all()) == [
        kept.receipt_id
    ]
    assert not writer.failed


async def test_answers_are_noted_and_what_was_owed_at_a_crash_is_undelivered(
    writer: Writer,
) -> None:
    one, two, three = await take(writer, b"a", b"b", b"c")
    await writer.write(lambda c: mark_acknowledged(c, [one.receipt_id], "delivered"))
    early = await writer.write(lambda c: settle_acknowledgements_after_crash(c, NOW))
    assert early == 0
    changed = await writer.write(settle_acknowledgements_after_crash)
    assert changed == 2
    rows = await writer.write(
        lambda c: dict(c.execute(select(receipt.c.id, receipt.c.acknowledgement)).all())
    )
    assert rows == {
        one.receipt_id: "delivered",
        two.receipt_id: "undelivered",
        three.receipt_id: "undelivered",
    }


_NAMES = {"place": "", "order_identity": "", "version": 1, "state": "held"}


async def _add_record(writer: Writer, receipt_id: int, slot: str, **values: object) -> int:
    row = {**_NAMES, "receipt_id": receipt_id, "slot": slot, **values}
    result = await writer.write(lambda c: c.execute(insert(record).values(row)))
    return int(result.inserted_primary_key[0])  # type: ignore[index]


async def test_the_database_itself_keeps_the_faults_that_wait_for_a_person(
    writer: Writer,
) -> None:
    (kept,) = await take(writer, b"a")
    findings = (
        '[{"code": "unit-unknown", "severity": "error", "field": "r5", "value": "mg",'
        ' "parameters": [["code", "GLUC"]]}, {"code": "told", "severity": "warning"}]'
    )
    # NUL is allowed in JSON, and no text of PostgreSQL: the record is told as a whole there.
    odd = '[{"code": "odd", "severity": "error", "value": "a\\u0000b", "parameters": []}]'
    one = await _add_record(writer, kept.receipt_id, "1", findings=findings, lab_code="L")
    two = await _add_record(writer, kept.receipt_id, "2", findings=odd, due_at=NOW)
    quiet = {"held_reason": "opted_out", "findings": findings}
    await _add_record(writer, kept.receipt_id, "3", **quiet)
    found = await writer.write(lambda c: list(waiting_faults(c)))
    assert [row[0] for row in found] == [two, one]
    assert tuple(found[1][2:]) == ("unit-unknown", "r5", "L", "GLUC", "mg")
    await writer.write(
        lambda c: c.execute(update(record).where(record.c.id == one).values(state="ready"))
    )
    left = await writer.write(lambda c: [row[0] for row in waiting_faults(c)])
    assert left == [two]
    await writer.write(
        lambda c: c.execute(update(record).where(record.c.id == two).values(findings="[]"))
    )
    (whole,) = await writer.write(lambda c: list(waiting_faults(c)))
    assert whole[:4] == (two, whole[1], "", "")


async def test_what_is_due_is_counted_between_times_and_alarms_open_and_close_once(
    writer: Writer,
) -> None:
    (kept,) = await take(writer, b"a")
    start = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
    for number in range(6):
        await _add_record(
            writer,
            kept.receipt_id,
            str(number),
            state="ready",
            uploader_code="3501234567",
            due_at=start + timedelta(minutes=3 * number),
        )
    end = start + timedelta(minutes=15)
    counted = Unconfirmed("3501234567", "", "ready", "", 6, start, end)
    assert await writer.write(count_unconfirmed) == [counted]
    (group,) = await writer.write(unconfirmed_groups)
    assert (group.records, group.due_at) == (0, start)
    edges = (start, start + timedelta(minutes=7), start + timedelta(minutes=15))
    bands = await writer.write(lambda c: list(split_at(c, group, edges)))
    assert [(band.records, band.due_at) for band in bands] == [
        (3, start),
        (2, start + timedelta(minutes=9)),
    ]
    other: dict[str, object] = {
        "state": "held",
        "held_reason": "unmatched",
        "clinic_code": "3501234569",
    }
    for number, values in enumerate(
        (
            {"state": "ready", "uploader_code": "3501234567", "awaited": '["x"]', "due_at": start},
            {"state": "held", "held_reason": "waiting_final", "due_at": start},
            {**other, "due_at": end},
            {**other, "due_at": start},
            {**other, "due_at": None},
            {"state": "accepted", "due_at": start},
            {"state": "checking", "confirmed_at": start, "due_at": start},
        ),
        start=10,
    ):
        await _add_record(writer, kept.receipt_id, str(number), **values)
    held = Unconfirmed("", "3501234569", "held", "unmatched", 2, start, end)
    part = Unconfirmed("3501234567", "", "ready", PART, 1, start, start)
    assert await writer.write(count_unconfirmed) == [part, held, counted]
    first, second = await writer.write(unconfirmed_groups)
    assert (first.clinic_code, second.uploader_code) == ("3501234569", "3501234567")
    bands = await writer.write(lambda c: list(split_at(c, counted, edges)))
    assert [band.records for band in bands] == [3, 2], "the part is no whole order"
    bands = await writer.write(lambda c: list(split_at(c, second, edges)))
    assert [band.records for band in bands] == [4, 2], "but it may be late like one"
    (band,) = await writer.write(lambda c: list(split_at(c, part, (LONG_AGO, end))))
    assert band == part
    key = AlarmKey(AlarmKind.AT_RISK, "3501234567", "ready")
    threat = {key: Threat(6, start)}
    opened = await writer.write(lambda c: settle_alarms(c, threat, NOW))
    again = await writer.write(lambda c: settle_alarms(c, threat, NOW))
    closed = await writer.write(lambda c: settle_alarms(c, {}, NOW))
    assert [change.opened for change in (*opened, *again, *closed)] == [True, False]
    assert await writer.write(open_alarms) == []


async def test_a_snapshot_does_not_see_what_is_written_meanwhile(
    writer: Writer, tmp_path: Path
) -> None:
    await take(writer, b"a")
    reader = open_reader(store_at(tmp_path))
    with open_snapshot(reader) as connection:
        assert len(open_receipts(connection, 0, 10)) == 1
        await take(writer, b"b")
        assert len(open_receipts(connection, 0, 10)) == 1
    with reader.connect() as connection:
        assert len(open_receipts(connection, 0, 10)) == 2
    reader.dispose()


async def test_a_reader_cannot_write(writer: Writer, tmp_path: Path) -> None:
    reader = open_reader(store_at(tmp_path))
    refusal = "readonly database|^ReadOnlySqlTransaction "
    with reader.connect() as connection, pytest.raises(DBAPIError, match=refusal):
        connection.execute(update(receipt).values(name="x"))
    reader.dispose()


def test_keys_have_64_bits_where_the_store_is_shared(both_stores: str, tmp_path: Path) -> None:
    writer = open_writer(store_at(tmp_path))
    if both_stores == "postgresql":
        with writer.connect() as connection:
            narrow = connection.exec_driver_sql(
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type = 'integer'"
                " AND column_default LIKE 'nextval%%'"
            ).scalars()
            assert list(narrow) == []
    writer.dispose()
