"""Leases by the database's own clock: one holder at a time, and a late one is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from broker.nodes import Node, SharedNode
from broker.store.engine import open_reader, open_writer
from broker.store.leases import (
    Lease,
    LeaseLost,
    add_knowledge,
    give_back_lease,
    knowledge,
    renew_lease,
    require_lease,
    take_lease,
)
from broker.store.listener import RECEIPTS, WORK, Listener
from broker.store.node_tables import lease
from broker.store.schema import meta
from broker.store.shared_writer import SharedWriter
from broker.store.writer import Writer
from tests.postgresql_server import PostgresqlServer
from tests.stores import store_at, stores_on

LONG = timedelta(minutes=5)


@pytest.fixture
async def writer(both_stores: str, tmp_path: Path) -> AsyncIterator[Writer]:
    opened = Writer(open_writer(store_at(tmp_path)), asyncio.get_running_loop())
    yield opened
    opened.close()


async def take(writer: Writer, names: list[str], holder: str) -> Lease | None:
    return await writer.write(lambda c: take_lease(c, names, holder, LONG))


def end_all(connection: Connection) -> None:
    """As if their time were over."""
    connection.execute(update(lease).values(until_at=None))


async def test_what_one_holds_the_other_cannot_take_until_it_is_given_back(writer: Writer) -> None:
    first = await take(writer, ["send:a"], "one")
    assert first == Lease("send:a", "one", 1)
    assert await take(writer, ["send:a"], "two") is None
    assert await take(writer, ["send:a", "send:b"], "two") == Lease("send:b", "two", 1)
    await writer.write(lambda c: give_back_lease(c, first))
    assert await take(writer, ["send:a"], "two") == Lease("send:a", "two", 2)


async def test_a_holder_whose_time_is_over_can_write_nothing_any_more(writer: Writer) -> None:
    late = await take(writer, ["send:a"], "one")
    assert late is not None
    await writer.write(lambda c: require_lease(c, late))
    assert await writer.write(lambda c: renew_lease(c, late, LONG))
    await writer.write(end_all)

    def write_late(connection: Connection) -> None:
        connection.execute(meta.insert().values(name="late", value="1"))
        require_lease(connection, late)

    with pytest.raises(LeaseLost):
        await writer.write(write_late)
    assert not await writer.write(lambda c: renew_lease(c, late, LONG))
    newer = await take(writer, ["send:a"], "two")
    assert newer is not None
    assert newer.token == late.token + 1
    with pytest.raises(LeaseLost):
        await writer.write(write_late)
    found = await writer.write(lambda c: c.execute(select(meta.c.value).filter_by(name="late")))
    assert found.all() == []


async def test_a_process_that_comes_back_under_its_old_name_does_not_get_its_old_lease(
    writer: Writer,
) -> None:
    old = await take(writer, ["watch"], "one")
    await writer.write(end_all)
    new = await take(writer, ["watch"], "one")
    assert old is not None
    assert new is not None
    with pytest.raises(LeaseLost):
        await writer.write(lambda c: require_lease(c, old))
    await writer.write(lambda c: require_lease(c, new))


async def test_what_is_known_only_grows(writer: Writer) -> None:
    assert await writer.write(knowledge) == 0
    assert await writer.write(add_knowledge) == 1
    assert await writer.write(add_knowledge) == 2
    assert await writer.write(knowledge) == 2


async def test_alone_on_its_store_a_node_may_do_everything_at_once() -> None:
    node = Node()
    assert await node.take("send:a") is not None
    assert await node.take("send:a") is not None


async def test_two_that_ask_at_the_same_moment_wait_for_neither_of_each_other(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    with stores_on(postgresql):
        one = open_writer(store_at(tmp_path))
    names = ["read:a", "read:b"]
    with one.begin() as first, one.begin() as setup:
        setup.execute(lease.insert(), [{"name": n, "holder": "", "token": 0} for n in names])
        setup.commit()
        assert take_lease(first, names, "one", LONG) == Lease("read:a", "one", 1)
        with one.begin() as second:
            second.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            # The row of the first is still locked by a transaction that has not ended.
            assert take_lease(second, names, "two", LONG) == Lease("read:b", "two", 1)
    one.dispose()


async def test_nodes_hear_of_each_other_and_not_of_themselves(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    with stores_on(postgresql):
        location = store_at(tmp_path)
    loop = asyncio.get_running_loop()
    engine, reader = open_writer(location), open_reader(location)
    heard: asyncio.Queue[str] = asyncio.Queue()
    writer = SharedWriter(engine, loop, holder="one")
    listener = Listener(reader, loop, "two", heard.put_nowait)
    deaf = Listener(reader, loop, "one", lambda what: told_itself.append(what))
    told_itself: list[str] = []
    async with asyncio.timeout(10):
        assert {await heard.get(), await heard.get()} == {RECEIPTS, WORK}
        await writer.write(lambda _: None)
        assert await heard.get() == WORK
    listener.close()
    deaf.close()
    writer.close()
    reader.dispose()
    assert told_itself.count(WORK) <= 1


async def test_a_node_keeps_what_it_holds_and_another_takes_over_when_it_is_gone(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    with stores_on(postgresql):
        location = store_at(tmp_path)
    loop = asyncio.get_running_loop()
    writer = SharedWriter(open_writer(location), loop, holder="one")
    span = timedelta(seconds=4)
    one, two = (SharedNode(writer, span=span, holder=name) for name in ("one", "two"))
    held = await one.take("watch")
    assert held is not None
    assert await one.take("watch") is None
    keeping = loop.create_task(one.run())
    kept_until: set[object] = set()
    async with asyncio.timeout(20):
        while len(kept_until) < 3:
            kept_until.add(
                await writer.write(lambda c: c.execute(select(lease.c.until_at)).scalar())
            )
            await asyncio.sleep(0.05)
    assert await two.take("watch") is None
    await writer.write(held.require)
    keeping.cancel()
    ends = held.lease
    assert ends is not None
    await writer.write(lambda c: renew_lease(c, ends, timedelta(seconds=0.2)))
    async with asyncio.timeout(20):
        while (taken := await two.take("watch")) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    with pytest.raises(LeaseLost):
        await writer.write(held.require)
    await two.close()
    assert await one.take("watch", "send:x") is not None
    await writer.write(lambda c: None)
    assert taken.kind == "watch"
    writer.close()
