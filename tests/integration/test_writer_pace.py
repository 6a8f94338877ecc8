"""Who waits for whom at the writer: receipts not behind long work, the pipeline not for a few."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, insert, select

from adapters.ports.intake import Accepted, Door, Media, Payload
from broker.intake import DurableIntake
from broker.states import Acknowledgement
from broker.store.engine import open_writer
from broker.store.gathering import Gathering
from broker.store.receipts import ReceiptAppender, mark_acknowledged, receipt_row
from broker.store.schema import meta, receipt
from broker.store.writer import Writer

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def payload(number: int) -> Payload:
    return Payload("lab", Door.MLLP, Media.HL7V2, b"MSH|%d" % number, str(number))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_writer(tmp_path / "store")


@pytest.fixture
async def writer(engine: Engine) -> AsyncIterator[Writer]:
    opened = Writer(engine, asyncio.get_running_loop())
    yield opened
    opened.close()


async def test_long_work_is_spread_over_several_commits_in_its_order(
    engine: Engine, writer: Writer
) -> None:
    told: list[str] = []

    @event.listens_for(engine, "commit")
    def committing(_: Connection) -> None:
        told.append("commit")

    def work(_: Connection, number: int) -> None:
        time.sleep(0.003)
        told.append(str(number))

    futures = [writer.write(partial(work, number=number)) for number in range(10)]
    await asyncio.gather(*futures)
    assert [each for each in told if each != "commit"] == [str(number) for number in range(10)]
    assert told.count("commit") >= 5


async def test_a_receipt_does_not_wait_for_all_the_work_before_it(writer: Writer) -> None:
    finished: list[str] = []
    offered = threading.Event()

    def slow(_: Connection) -> None:
        assert offered.wait(20)
        time.sleep(0.006)

    futures = [writer.write(slow) for _ in range(20)]
    futures[-1].add_done_callback(lambda _: finished.append("work"))
    intake = DurableIntake(writer, on_stored=lambda: None)
    intake.offer(payload(1), lambda _: finished.append("receipt"))
    offered.set()
    await asyncio.gather(*futures)
    await asyncio.sleep(0)
    assert finished == ["receipt", "work"]


async def test_work_put_off_is_done_before_the_store_closes(tmp_path: Path) -> None:
    engine = open_writer(tmp_path / "store")
    writer = Writer(engine, asyncio.get_running_loop())

    def store(connection: Connection, number: int) -> None:
        time.sleep(0.003)
        connection.execute(insert(meta).values(name=f"work-{number}", value="done"))

    for number in range(10):
        writer.write(partial(store, number=number))
    writer.close()
    reopened = open_writer(tmp_path / "store")
    with reopened.connect() as connection:
        names = list(connection.execute(select(meta.c.name)).scalars())
    assert len([name for name in names if name.startswith("work-")]) == 10
    reopened.dispose()


async def test_only_a_crowd_at_the_doors_makes_the_pipeline_step_back(writer: Writer) -> None:
    woken: list[int] = []
    intake = DurableIntake(writer, on_stored=lambda: woken.append(1))
    for number in range(10):
        await intake.receive(payload(number))
    await asyncio.sleep(0)
    assert intake.last_stored_at == 0.0
    assert len(woken) == 10
    await asyncio.gather(*(intake.receive(payload(number)) for number in range(10, 60)))
    await asyncio.sleep(0)
    assert intake.last_stored_at > 0.0


class _Patient(Gathering):
    """Waits for two until they are there: what it waits for is seen without a clock."""

    def committed(self, seconds: float, receipts: int, waiting: int) -> None:
        self.expected = 2

    def patience(self) -> float:
        return 60.0 if self.expected else 0.0


async def test_who_sends_again_shares_the_commit_of_those_who_wait(writer: Writer) -> None:
    writer._gathering = _Patient()
    intake = DurableIntake(writer, on_stored=lambda: None)
    await intake.receive(payload(1))
    first = asyncio.create_task(intake.receive(payload(2)))
    await asyncio.sleep(0.05)
    assert not first.done()
    second = asyncio.create_task(intake.receive(payload(3)))
    assert [await first, await second] == [Accepted(2), Accepted(3)]


async def test_a_commit_that_waits_for_others_is_made_when_the_store_closes(
    tmp_path: Path,
) -> None:
    writer = Writer(open_writer(tmp_path / "store"), asyncio.get_running_loop())
    writer._gathering = _Patient()
    intake = DurableIntake(writer, on_stored=lambda: None)
    await intake.receive(payload(1))
    alone = asyncio.create_task(intake.receive(payload(2)))
    await asyncio.sleep(0.05)
    assert not alone.done()
    writer.close()
    assert await alone == Accepted(2)


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_writer(tmp_path_factory.mktemp("forty"))
    with engine.begin() as connection:
        rows = [receipt_row(payload(number), AT) for number in range(40)]
        stored = ReceiptAppender(connection).append(connection, rows)
    assert stored == [Accepted(number) for number in range(1, 41)]
    yield engine
    engine.dispose()


@given(st.sets(st.integers(1, 40)))
def test_exactly_the_answers_that_went_out_are_noted(forty: Engine, ids: set[int]) -> None:
    with forty.connect() as connection:
        mark_acknowledged(connection, sorted(ids, reverse=True), Acknowledgement.DELIVERED.value)
        marked = connection.execute(
            select(receipt.c.id).where(receipt.c.acknowledgement == "delivered")
        ).scalars()
        assert set(marked) == ids
        connection.rollback()


def test_repeats_in_a_large_group_are_found_wherever_they_stand(forty: Engine) -> None:
    with forty.connect() as connection:
        numbers = [*range(30, 80), *range(30, 80)]
        rows = [receipt_row(payload(number), AT) for number in numbers]
        found = ReceiptAppender(connection).append(connection, rows)
        first = dict(zip(numbers[:50], found[:50], strict=True))
        assert [first[number].duplicate for number in range(30, 80)] == [True] * 10 + [False] * 40
        assert [result.receipt_id for result in found[50:]] == [
            first[number].receipt_id for number in range(30, 80)
        ]
        assert all(result.duplicate for result in found[50:])
        connection.rollback()


def test_senders_that_share_a_number_and_bytes_are_told_apart() -> None:
    raw, control_id = b"MSH|1", "1"
    rows = [
        receipt_row(Payload(source, Door.MLLP, Media.HL7V2, raw, number), AT)
        for source, number in (("a", "1"), ("a1", ""), ("a", "11"), ("b", "1"))
    ]
    again = receipt_row(Payload("a", Door.MLLP, Media.HL7V2, raw, control_id), AT)
    identities = [row[6] for row in rows]
    assert len(set(identities)) == 4
    assert again[6] == identities[0]
