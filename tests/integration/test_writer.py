"""The one writer: groups, duplicates, failures, and nobody told of success before the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, select

from adapters.ports.intake import Accepted, Door, Media, Payload, StorageUnavailable
from broker.intake import DurableIntake
from broker.store.engine import StoreBusy, StoreMissing, is_intact, open_reader, open_writer
from broker.store.schema import meta, receipt
from broker.store.writer import Writer


def payload(raw: bytes, control_id: str = "1", source_id: str = "lab") -> Payload:
    return Payload(source_id, Door.MLLP, Media.HL7V2, raw, control_id)


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    opened = Writer(open_writer(tmp_path / "store"), asyncio.get_running_loop())
    yield opened
    opened.close()


async def test_received_bytes_are_stored_exactly(writer: Writer, tmp_path: Path) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    raw = bytes(range(256)) * 10
    accepted = await intake.receive(payload(raw))
    with open_reader(tmp_path / "store").connect() as connection:
        row = connection.execute(select(receipt).where(receipt.c.id == accepted.receipt_id)).one()
    assert row.raw == raw
    assert row.acknowledgement == "owed"
    assert row.received_at.tzinfo is UTC


async def test_the_same_bytes_under_the_same_control_id_are_one_receipt(writer: Writer) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    first = await intake.receive(payload(b"MSH|a"))
    again = await intake.receive(payload(b"MSH|a"))
    assert again == Accepted(first.receipt_id, duplicate=True)


async def test_the_same_control_id_with_other_bytes_is_another_receipt(writer: Writer) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    first = await intake.receive(payload(b"MSH|a"))
    other = await intake.receive(payload(b"MSH|b"))
    elsewhere = await intake.receive(payload(b"MSH|a", source_id="other"))
    assert len({first.receipt_id, other.receipt_id, elsewhere.receipt_id}) == 3
    assert not other.duplicate
    assert not elsewhere.duplicate


async def test_a_burst_with_repeats_inside_is_told_apart(writer: Writer) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    results = await asyncio.gather(
        *(intake.receive(payload(b"%d" % (number % 7))) for number in range(50))
    )
    assert len({result.receipt_id for result in results}) == 7
    assert sum(not result.duplicate for result in results) == 7


async def test_nothing_is_told_before_the_commit_returned(tmp_path: Path) -> None:
    engine = open_writer(tmp_path / "store")
    told: list[str] = []

    @event.listens_for(engine, "commit")
    def committing(_: Connection) -> None:
        told.append("commit")

    writer = Writer(engine, asyncio.get_running_loop())
    told.clear()
    intake = DurableIntake(writer, on_stored=lambda: None)
    done = asyncio.Event()
    intake.offer(payload(b"x"), lambda _: (told.append("settled"), done.set())[0])  # type: ignore[func-returns-value]
    await done.wait()
    assert told[:2] == ["commit", "settled"]
    writer.close()


def _failing_commit(engine: Engine, error: Exception) -> None:
    @event.listens_for(engine, "commit")
    def fail(_: Connection) -> None:
        raise error


async def test_a_failing_commit_refuses_and_stops_the_writer(tmp_path: Path) -> None:
    engine = open_writer(tmp_path / "store")
    failed = asyncio.Event()
    writer = Writer(engine, asyncio.get_running_loop(), on_failure=failed.set)
    intake = DurableIntake(writer, on_stored=lambda: None)
    good = await intake.receive(payload(b"before"))
    _failing_commit(engine, OSError(5, "Input/output error"))
    with pytest.raises(StorageUnavailable):
        await intake.receive(payload(b"lost?"))
    async with asyncio.timeout(5):
        await failed.wait()
    with pytest.raises(StorageUnavailable):
        await intake.receive(payload(b"after"))
    writer.close()
    reopened = open_writer(tmp_path / "store")
    with reopened.connect() as connection:
        assert list(connection.execute(select(receipt.c.id)).scalars()) == [good.receipt_id]
    assert is_intact(reopened)
    reopened.dispose()


async def test_a_full_disk_is_refused_and_passes(tmp_path: Path) -> None:
    engine = open_writer(tmp_path / "store")
    with engine.connect() as connection:
        pages: Any = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")
        connection.rollback()
    writer = Writer(engine, asyncio.get_running_loop())
    intake = DurableIntake(writer, on_stored=lambda: None)
    stored = []

    async def receive_many() -> None:
        for number in range(1000):
            stored.append(await intake.receive(payload(b"x" * 3000, str(number))))

    with pytest.raises(StorageUnavailable) as refusal:
        await receive_many()
    assert "full" in str(refusal.value)
    assert not writer.failed
    await writer.write(
        lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1000000").all()
    )
    again = await intake.receive(payload(b"there is room again"))
    assert again.receipt_id > stored[-1].receipt_id
    writer.close()


async def test_a_job_that_fails_costs_no_other(writer: Writer) -> None:
    def bad(connection: Connection) -> None:
        connection.execute(insert(meta).values(name="torn", value="1"))
        connection.execute(insert(meta).values(name="torn", value="2"))

    def good(connection: Connection) -> str:
        connection.execute(insert(meta).values(name="kept", value="1"))
        return "done"

    failing, succeeding = writer.write(bad), writer.write(good)
    accepted = await DurableIntake(writer, on_stored=lambda: None).receive(payload(b"kept"))
    assert await succeeding == "done"
    assert accepted.receipt_id == 1
    with pytest.raises(Exception, match="UNIQUE"):
        await failing
    names = await writer.write(lambda c: list(c.execute(select(meta.c.name)).scalars()))
    assert sorted(names) == ["kept", "schema_version"]


async def test_answers_are_noted_on_their_own_axis(writer: Writer) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    delivered = await intake.receive(payload(b"1"))
    gone = await intake.receive(payload(b"2"))
    intake.acknowledged(delivered.receipt_id, True)
    intake.acknowledged(gone.receipt_id, False)
    await intake.close()
    rows = await writer.write(
        lambda c: c.execute(select(receipt.c.acknowledgement).order_by(receipt.c.id)).all()
    )
    assert [row.acknowledgement for row in rows] == ["delivered", "undelivered"]


def test_a_data_folder_serves_one_broker(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    with pytest.raises(StoreBusy):
        open_writer(tmp_path)
    engine.dispose()
    open_writer(tmp_path).dispose()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        open_reader(tmp_path)
    open_writer(tmp_path).dispose()
    reader = open_reader(tmp_path)
    with reader.connect() as connection, pytest.raises(Exception, match=r"readonly|read-only"):
        connection.execute(insert(meta).values(name="a", value="b"))
    reader.dispose()


def test_every_commit_is_fully_synced(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


def test_received_times_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    engine = open_writer(tmp_path)
    at = datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(
            insert(receipt).values(
                source_id="s",
                door="d",
                media="m",
                control_id="",
                name="",
                sha256=b"",
                identity=b"i",
                received_at=at,
                state="stored",
                acknowledgement="owed",
                raw=b"",
            )
        )
        assert connection.execute(select(receipt.c.received_at)).scalar_one() == at
    engine.dispose()
    assert sqlite3.threadsafety == 3


async def test_a_receipt_that_cannot_be_written_costs_no_other(writer: Writer) -> None:
    intake = DurableIntake(writer, on_stored=lambda: None)
    bad = Payload("lab", Door.FOLDER, Media.CSV, b"x", name="\udce9.csv")
    results = await asyncio.gather(
        intake.receive(payload(b"1")),
        intake.receive(bad),
        intake.receive(payload(b"2")),
        return_exceptions=True,
    )
    assert isinstance(results[1], StorageUnavailable)
    assert [type(each) for each in (results[0], results[2])] == [Accepted, Accepted]
    assert not writer.failed
    await intake.receive(payload(b"3"))


async def test_a_job_with_a_wrong_statement_ends_nothing_else(writer: Writer) -> None:
    with pytest.raises(Exception, match="nosuch"):
        await writer.write(lambda c: c.exec_driver_sql("select nosuch()").all())
    assert not writer.failed
    await DurableIntake(writer, on_stored=lambda: None).receive(payload(b"1"))
