"""Packages wait for their card, and a person is told within a minute that they do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.card.agent import LOOK_SECONDS as AGENT_LOOK_SECONDS
from adapters.ports.card_agent import (
    HEARTBEAT_SECONDS,
    Message,
    SignAnswer,
    SignRequest,
    StatusMessage,
)
from adapters.ports.card_state import CardCondition
from adapters.ports.channel import ChannelReceipt, SealedPackage
from adapters.ports.credential import Credential
from broker.card_desk.desk import CardDesk
from broker.card_desk.remote_card import RemoteCard
from broker.card_desk.watch import AWAY_SECONDS, LOOK_SECONDS, CardWatch
from broker.opening_hours import OpeningHours, read_hours
from broker.store.alarms import open_alarms
from broker.store.card_waits import card_is_back
from broker.store.schema import package
from tests.card.agent_stage import PaperCard, pairing
from tests.integration.scripted_gateway import ScriptedGateway
from tests.integration.submission_stage import CLINIC, SubmissionStage


class SigningGateway(ScriptedGateway):
    """Lets nobody in without a signature, as a gateway's login does."""

    async def submit(self, package: SealedPackage, credential: Credential) -> ChannelReceipt:
        await asyncio.to_thread(credential.sign, b"nonce")
        return await super().submit(package, credential)


@dataclass
class CardStage:
    stage: SubmissionStage
    gateway: SigningGateway
    desk: CardDesk
    card: PaperCard
    hours: dict[str, OpeningHours] = field(default_factory=dict)
    connection: Any = None

    def __post_init__(self) -> None:
        self.watch = CardWatch(
            self.desk,
            self.stage.writer,
            self.stage.reader,
            self.stage.clock,
            (CLINIC,),
            self.hours,
            elapsed=lambda: self.stage.clock.elapsed,
        )

    async def come(self) -> None:
        """The agent connects and tells of its card."""
        self.connection = self.desk.connect(pairing(CLINIC), self._sign)
        await self.tell()

    async def tell(self, condition: CardCondition | None = None) -> None:
        if condition is not None:
            self.card.condition = condition
        before = self.desk.card_of(CLINIC).is_ready
        self.desk.take(self.connection, StatusMessage((self.card.look(),), (), "1.0"))
        if self.card.condition is CardCondition.READY and not before:
            now = self.stage.clock()
            await self.stage.writer.write(lambda c: card_is_back(c, CLINIC, now))

    def leave(self) -> None:
        self.desk.disconnect(self.connection)

    async def alarms(self, after: float = 0) -> list[tuple[str, str, int]]:
        """The open alarms after the watch has looked, so many seconds later."""
        self.stage.clock.pass_time(timedelta(seconds=after))
        await self.watch.look()
        return self.open_now()

    def open_now(self) -> list[tuple[str, str, int]]:
        with self.stage.reader.connect() as connection:
            return [(row.kind, row.reason, row.records) for row in open_alarms(connection)]

    async def _sign(self, request: Message) -> None:
        assert isinstance(request, SignRequest)
        try:
            answer = SignAnswer(request.request_id, self.card.sign_digest(request.digest))
        except Exception as error:  # noqa: BLE001 - as the agent does
            answer = SignAnswer(request.request_id, reason=getattr(error, "code", "fault"))
        self.desk.take(self.connection, answer)


@asynccontextmanager
async def opened(
    folder: Path, days: int = 365, hours: dict[str, OpeningHours] | None = None
) -> AsyncIterator[CardStage]:
    desk = CardDesk(
        (pairing(CLINIC),), lambda: datetime.now(UTC), test_issuers=("CN=Test authority",)
    )
    stage = SubmissionStage(folder, {})
    gateway = SigningGateway(folder / "gateway", stage.clock.true_time)
    stage.uploaders = {CLINIC: gateway.uploader(CLINIC, RemoteCard(desk, CLINIC))}
    await stage.start()
    try:
        yield CardStage(stage, gateway, desk, PaperCard(code=CLINIC, days=days), hours or {})
    finally:
        stage.end()


async def test_a_package_waits_for_its_card_and_leaves_when_it_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as play:
        await play.stage.tell(3)
        for _ in range(4):
            await play.stage.turn()
            play.stage.clock.pass_time(timedelta(minutes=2))
        assert play.stage.packages() == ["sealed"]
        assert play.stage.outcomes() == []
        assert [row.error_code for row in play.stage.rows(package)] == ["card-not-ready"]
        await play.come()
        await play.stage.turn()
        assert play.stage.packages() == ["sealed"]
        await play.tell(CardCondition.READY)
        await play.stage.run()
        assert play.stage.states() == ["accepted"] * 3
        assert len(play.gateway.sends) == 1


async def test_a_card_that_is_pulled_before_the_login_costs_a_try_and_no_package(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as play:
        await play.come()
        await play.tell(CardCondition.READY)
        play.card.pull()
        await play.stage.tell(2)
        await play.stage.turn()
        assert play.stage.packages() == ["sealed"]
        assert play.stage.outcomes() == [("send", "not_delivered")]
        assert play.gateway.sends == []
        await play.tell()
        await play.tell(CardCondition.READY)
        await play.stage.run()
        assert play.stage.states() == ["accepted"] * 2


@pytest.mark.parametrize("seed", range(3))
async def test_however_cards_come_and_go_each_result_goes_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with opened(tmp_path) as play:
        await play.come()
        for _ in range(25):
            event = chance.choice(("result", "ready", "pull", "pull unseen", "lost", "time"))
            if event == "result":
                await play.stage.tell()
            elif event == "ready":
                await play.tell(CardCondition.READY)
            elif event == "pull":
                await play.tell(CardCondition.ABSENT)
            elif event == "pull unseen":
                play.card.pull()
            elif event == "lost":
                play.leave()
                await play.come()
            else:
                play.stage.clock.pass_time(timedelta(minutes=chance.randint(1, 30)))
            await play.stage.turn()
        await play.tell(CardCondition.ABSENT)
        await play.tell(CardCondition.READY)
        await play.stage.run()
        assert set(play.stage.states()) <= {"accepted"}
        stems = [stem for stem, _ in play.gateway.sends]
        assert len(stems) == len(set(stems))


async def test_a_card_that_goes_is_alarmed_and_the_alarm_ends_with_its_return(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as play:
        await play.come()
        await play.tell(CardCondition.READY)
        assert await play.alarms(after=60) == []
        await play.stage.tell(2)
        await play.tell(CardCondition.ABSENT)
        assert await play.alarms() == []
        assert await play.alarms(after=AWAY_SECONDS) == [("card-away", "card-absent", 2)]
        await play.stage.watch.look()
        assert play.open_now() == [("card-away", "card-absent", 2)]
        play.leave()
        assert await play.alarms() == [("card-away", "agent-away", 2)]
        await play.come()
        await play.tell(CardCondition.READY)
        assert await play.alarms() == []


def test_a_card_that_is_gone_is_alarmed_within_a_minute() -> None:
    # aiohttp takes a peer for gone half a heartbeat after one that was not answered.
    lost = max(AGENT_LOOK_SECONDS, 1.5 * HEARTBEAT_SECONDS)
    assert lost + AWAY_SECONDS + LOOK_SECONDS < 60


async def test_a_card_that_is_wiped_and_put_back_alarms_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as play:
        await play.come()
        for _ in range(5):
            await play.tell(CardCondition.READY)
            assert await play.alarms(after=5) == []
            await play.tell(CardCondition.ABSENT)
            assert await play.alarms(after=AWAY_SECONDS - 1) == []


async def test_a_card_that_is_not_expected_is_not_missed(tmp_path: Path) -> None:
    # The stage begins at noon in Taipei.
    async with opened(tmp_path, hours={CLINIC: read_hours(["daily 08:00-11:00"])}) as play:
        assert await play.alarms(after=300) == []
    async with opened(tmp_path / "b", hours={CLINIC: read_hours(["daily 08:00-17:00"])}) as play:
        assert await play.alarms() == []
        assert await play.alarms(after=300) == [("card-away", "agent-away", 0)]


async def test_a_certificate_is_told_of_thirty_days_before_its_end(tmp_path: Path) -> None:
    for folder, days, kinds in (
        ("a", 29, [("certificate-ends", "ends", 0)]),
        ("b", 32, []),
    ):
        async with opened(tmp_path / folder, days=days) as play:
            play.watch._clock = lambda: datetime.now(UTC)
            await play.come()
            await play.tell(CardCondition.READY)
            assert await play.alarms() == kinds
            await play.tell(CardCondition.ABSENT)
            assert await play.alarms() == kinds
            play.watch._clock = lambda: datetime.now(UTC) + timedelta(days=40)
            ended = [found for found in await play.alarms() if found[0] == "certificate-ends"]
            assert ended == [("certificate-ends", "ended", 0)]


async def test_a_certificate_that_has_ended_lets_its_packages_wait(tmp_path: Path) -> None:
    async with opened(tmp_path) as play:
        await play.come()
        await play.tell(CardCondition.READY)
        play.desk._clock = lambda: datetime.now(UTC) + timedelta(days=400)
        await play.stage.tell()
        await play.stage.turn()
        assert play.stage.packages() == ["sealed"]
        assert play.gateway.sends == []
