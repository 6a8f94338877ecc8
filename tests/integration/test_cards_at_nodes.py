"""Two nodes on one PostgreSQL: the node with the card sends, and a card that is at none is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from adapters.card.agent import LOOK_SECONDS as AGENT_LOOK_SECONDS
from adapters.ports.card_agent import (
    HEARTBEAT_SECONDS,
    Message,
    SignAnswer,
    SignRequest,
    StatusMessage,
)
from adapters.ports.card_state import CardCondition
from broker.card_desk.desk import CardDesk
from broker.card_desk.remote_card import RemoteCard
from broker.card_desk.watch import AWAY_SECONDS, LOOK_SECONDS, CardWatch
from broker.nodes import LEASE_SPAN, Node, SharedNode
from broker.packages import Sealer
from broker.scheduler import Scheduler
from broker.store.alarms import open_alarms
from broker.store.card_waits import card_is_back
from broker.store.engine import open_writer
from broker.store.leases import Lease, give_back_lease
from broker.store.migrations import greet
from broker.store.node_tables import node as node_table
from broker.store.package_files import load_package_file
from broker.store.schema import package
from broker.store.shared_writer import SharedWriter
from broker.submission import Submission
from tests.card.agent_stage import PaperCard, pairing
from tests.integration.submission_stage import CLINIC, POLL, SETTLE, SubmissionStage
from tests.integration.test_card_packages import SigningGateway
from tests.postgresql_server import PostgresqlServer
from tests.stores import store_at, stores_on


@dataclass
class CardNode:
    """One broker's part in sending, and the agents that are connected to it."""

    stage: SubmissionStage
    writer: SharedWriter
    node: SharedNode
    desk: CardDesk
    scheduler: Scheduler
    watch: CardWatch
    connection: Any = None

    async def come(self, card: PaperCard) -> None:
        async def sign(request: Message) -> None:
            assert isinstance(request, SignRequest)
            answer = SignAnswer(request.request_id, card.sign_digest(request.digest))
            self.desk.take(self.connection, answer)

        self.connection = self.desk.connect(pairing(CLINIC), sign)
        self.desk.take(self.connection, StatusMessage((card.look(),), (), "1.0"))
        now = self.stage.clock()
        await self.writer.write(lambda c: card_is_back(c, CLINIC, now))

    def leave(self) -> None:
        self.desk.disconnect(self.connection)

    async def greet(self) -> None:
        await self.writer.beside(lambda c: greet(c, self.node.holder))


@dataclass
class Nodes:
    stage: SubmissionStage
    gateway: SigningGateway
    first: CardNode
    second: CardNode
    card: PaperCard = field(
        default_factory=lambda: PaperCard(code=CLINIC, condition=CardCondition.READY)
    )

    async def turn(self) -> None:
        """Both look for work, the one without the card first."""
        await self.second.scheduler.work_once()
        await self.first.scheduler.work_once()
        self.stage.clock.pass_time(timedelta(seconds=3))

    async def alarms(self, after: float = 0) -> list[tuple[str, str, int]]:
        """What is open after both nodes have looked, so much later."""
        self.stage.clock.pass_time(timedelta(seconds=after))
        for each in (self.second, self.first):
            await each.watch.look()
        return self.open_alarms()

    def open_alarms(self) -> list[tuple[str, str, int]]:
        with self.stage.reader.connect() as connection:
            return [(row.kind, row.reason, row.records) for row in open_alarms(connection)]


def _node(stage: SubmissionStage, number: int) -> CardNode:
    loop = asyncio.get_running_loop()
    place = store_at(stage.folder)
    engine = open_writer(type(place)(stage.folder / f"node-{number}", place.url))
    writer = SharedWriter(engine, loop, holder=f"node-{number}")
    node = SharedNode(writer, holder=f"node-{number}")
    desk = CardDesk(
        (pairing(CLINIC),), lambda: datetime.now(UTC), test_issuers=("CN=Test authority",)
    )
    gateway: SigningGateway = stage.uploaders[CLINIC].channel  # type: ignore[assignment]
    uploaders = {CLINIC: gateway.uploader(CLINIC, RemoteCard(desk, CLINIC))}
    folder = stage.folder / f"node-{number}" / "packages"
    sealer = Sealer(writer, stage.reader, folder, stage.clock, 1000)
    submission = Submission(
        writer, uploaders, sealer.path, stage.clock, poll=POLL, settle=SETTLE, send_timeout=5,
        elapsed=lambda: stage.clock.elapsed,
        stored_file=lambda package_id: load_package_file(stage.reader, package_id),
    )  # fmt: skip
    scheduler = Scheduler(
        writer, stage.reader, sealer, submission, stage.clock, wait=timedelta(0),
        press=timedelta(hours=2), node=node, serves=frozenset(uploaders),
        can_send=lambda code: desk.card_of(code).is_ready,
    )  # fmt: skip
    watch = CardWatch(
        desk, writer, stage.reader, stage.clock, (CLINIC,), {},
        elapsed=lambda: stage.clock.elapsed, node=node,
    )  # fmt: skip
    return CardNode(stage, writer, node, desk, scheduler, watch)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Nodes]:
    stage = SubmissionStage(folder, {})
    gateway = SigningGateway(folder / "gateway", stage.clock.true_time)
    stage.uploaders = {CLINIC: gateway.uploader(CLINIC)}
    await stage.start()
    first, second = _node(stage, 1), _node(stage, 2)
    for each in (first, second):
        await each.greet()
    try:
        yield Nodes(stage, gateway, first, second)
    finally:
        for each in (first, second):
            await asyncio.to_thread(each.writer.close)
        stage.end()


@pytest.fixture
async def nodes(postgresql: PostgresqlServer, tmp_path: Path) -> AsyncIterator[Nodes]:
    with stores_on(postgresql):
        async with opened(tmp_path) as play:
            yield play


async def until(play: Nodes, happened: Callable[[], bool]) -> None:
    for _ in range(60):
        if happened():
            return
        await play.turn()
        play.stage.clock.pass_time(timedelta(minutes=1))
    raise AssertionError(play.stage.packages())


async def test_the_node_with_the_card_sends_whoever_else_looks_first(nodes: Nodes) -> None:
    await nodes.first.come(nodes.card)
    await nodes.stage.tell(3)
    # The second seals, since anybody may; it does not claim what it could not sign.
    await nodes.turn()
    assert nodes.stage.packages() == ["submitted"]
    assert [row.error_code for row in nodes.stage.rows(package)] == [""]
    assert nodes.stage.outcomes() == [("send", "confirmed")]
    await until(nodes, lambda: nodes.stage.states() == ["accepted"] * 3)
    assert len(nodes.gateway.sends) == 1


async def test_a_card_that_moves_to_another_node_takes_its_packages_with_it(nodes: Nodes) -> None:
    await nodes.first.come(nodes.card)
    nodes.first.leave()
    await nodes.stage.tell(2)
    for _ in range(3):
        await nodes.turn()
    assert nodes.stage.packages() == ["sealed"]
    assert nodes.stage.outcomes() == []
    await nodes.second.come(nodes.card)
    await until(nodes, lambda: nodes.stage.states() == ["accepted"] * 2)
    assert len(nodes.gateway.sends) == 1
    assert nodes.second.node.holder != nodes.first.node.holder


async def test_a_card_at_one_node_is_not_missed_by_the_other(nodes: Nodes) -> None:
    await nodes.first.come(nodes.card)
    assert await nodes.alarms() == []
    assert await nodes.alarms(after=AWAY_SECONDS * 3) == []
    nodes.first.leave()
    await nodes.stage.tell(2)
    assert await nodes.alarms() == []
    assert await nodes.alarms(after=LOOK_SECONDS) == []
    assert await nodes.alarms(after=AWAY_SECONDS) == [("card-away", "agent-away", 2)]
    await nodes.second.come(nodes.card)
    assert await nodes.alarms() == []


async def test_a_node_that_dies_with_its_card_is_noticed_and_the_package_goes_once(
    nodes: Nodes,
) -> None:
    await nodes.first.come(nodes.card)
    assert await nodes.alarms() == []
    await nodes.stage.tell(2)
    await nodes.second.scheduler.work_once()
    # It is silent from here on; the database's clock is not the tests' to move.
    long_ago = update(node_table).where(node_table.c.holder == nodes.first.node.holder)
    gone = datetime.now(UTC) - nodes.second.node.silent_after - timedelta(seconds=1)
    await nodes.second.writer.write(lambda c: c.execute(long_ago.values(seen_at=gone)))
    lease = nodes.first.watch._alarms._hold
    if lease is not None and isinstance(lease.lease, Lease):
        held = lease.lease
        await nodes.second.writer.write(lambda c: give_back_lease(c, held))
    await nodes.second.watch.look()
    nodes.stage.clock.pass_time(timedelta(seconds=AWAY_SECONDS))
    await nodes.second.watch.look()
    assert nodes.open_alarms() == [("card-away", "agent-away", 2)]
    await nodes.second.scheduler.work_once()
    assert nodes.stage.packages() == ["sealed"]
    await nodes.second.come(nodes.card)
    await nodes.second.scheduler.work_once()
    assert nodes.stage.packages() == ["submitted"]
    assert len(nodes.gateway.sends) == 1


def test_a_card_that_goes_is_alarmed_within_a_minute_also_with_its_node() -> None:
    lost = max(AGENT_LOOK_SECONDS, 1.5 * HEARTBEAT_SECONDS, Node.silent_after.total_seconds())
    assert lost + AWAY_SECONDS + 2 * LOOK_SECONDS < 60
    assert LEASE_SPAN.total_seconds() < lost + AWAY_SECONDS
