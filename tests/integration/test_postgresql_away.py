"""PostgreSQL goes away in the middle, as in a failover: nothing is told that is not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from adapters.ports.intake import Accepted, Door, Media, Payload, StorageUnavailable
from broker.intake import DurableIntake
from broker.store.engine import open_reader, open_writer
from broker.store.location import StoreLocation, StoreUnreachable
from broker.store.schema import receipt
from broker.store.shared_writer import SharedWriter
from tests.conftest import Require, postgresql_running
from tests.postgresql_server import PostgresqlServer


@pytest.fixture
def own_server(require: Require) -> Iterator[PostgresqlServer]:
    """A server that a test may stop."""
    with postgresql_running(require) as server:
        yield server


def payload(number: int) -> Payload:
    return Payload("lab", Door.MLLP, Media.HL7V2, b"MSH|%d" % number, str(number))


async def test_senders_are_refused_while_it_is_away_and_nothing_is_lost_or_doubled(
    own_server: PostgresqlServer, tmp_path: Path
) -> None:
    location = StoreLocation(tmp_path, own_server.new_database())
    writer = SharedWriter(open_writer(location), asyncio.get_running_loop(), holder="one")
    intake = DurableIntake(writer, lambda: None, lambda: datetime.now(UTC))
    acknowledged: dict[int, Accepted] = {}
    waiting = set(range(60))
    refused = 0

    async def offer(number: int) -> None:
        nonlocal refused
        try:
            acknowledged[number] = await intake.receive(payload(number))
            waiting.discard(number)
        except StorageUnavailable:
            refused += 1

    for number in range(20):
        await offer(number)
    under_way = asyncio.gather(*(offer(number) for number in range(20, 40)))
    await asyncio.to_thread(own_server.stop_at_once)
    await under_way
    await asyncio.gather(*(offer(number) for number in range(40, 60)))
    with pytest.raises(StorageUnavailable):
        await writer.write(lambda c: c.execute(select(receipt.c.id)))
    assert refused >= 20
    await asyncio.to_thread(own_server.start_again)
    async with asyncio.timeout(20):
        while waiting:
            for number in sorted(waiting):
                await offer(number)
    assert not writer.failed
    await writer.write(lambda c: c.execute(select(receipt.c.id)).all())
    await intake.close()
    writer.close()
    reader = open_reader(location)
    with reader.connect() as connection:
        rows = connection.execute(select(receipt.c.id, receipt.c.control_id)).all()
    reader.dispose()
    assert sorted(int(row.control_id) for row in rows) == list(range(60))
    stored = {int(row.control_id): row.id for row in rows}
    assert {number: each.receipt_id for number, each in acknowledged.items()} == stored


async def test_who_reads_while_it_is_away_is_told_so_and_may_try_again(
    own_server: PostgresqlServer, tmp_path: Path
) -> None:
    location = StoreLocation(tmp_path, own_server.new_database())
    open_writer(location).dispose()
    reader = open_reader(location)
    with reader.connect() as connection:
        connection.execute(select(receipt.c.id)).all()
        await asyncio.to_thread(own_server.stop_at_once)
        with pytest.raises(StorageUnavailable):
            connection.execute(select(receipt.c.id)).all()
    with pytest.raises(StorageUnavailable):
        reader.connect()
    await asyncio.to_thread(own_server.start_again)
    with reader.connect() as connection:
        assert connection.execute(select(receipt.c.id)).all() == []
    reader.dispose()


def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@/nothing?host={tmp_path}"
    with pytest.raises(StoreUnreachable) as told:
        open_writer(StoreLocation(tmp_path / "node", url))
    assert "cannot be used: " in told.value.sentence()
    assert "PGPASSFILE" in told.value.remedy()


def test_what_postgresql_says_of_an_error_never_quotes_a_row(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    engine = open_writer(StoreLocation(tmp_path, postgresql.new_database()))
    row = dict.fromkeys(("source_id", "door", "media", "control_id", "name"), "A123456789")
    values: dict[str, object] = {
        **row,
        "sha256": b"",
        "identity": b"A123456789",
        "raw": b"A123456789",
    }
    values.update(received_at=datetime.now(UTC), state="stored", acknowledgement="")
    with engine.begin() as connection:
        connection.execute(receipt.insert().values(values))
    with pytest.raises(IntegrityError) as told, engine.begin() as connection:
        connection.execute(receipt.insert().values(values))
    engine.dispose()
    text = repr(told.value) + str(told.value) + str(getattr(told.value, "orig", ""))
    assert "23505" in text
    assert "A123456789" not in text
