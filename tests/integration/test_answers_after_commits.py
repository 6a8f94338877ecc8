"""No acknowledgement leaves before its message is stored, whatever the commits do.

``LABBROKER_ACKS`` is how many messages (100,000 is the promise).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator

import pytest

from adapters.hl7.framing import enclose
from adapters.hl7.server import MllpServer
from adapters.ports.intake import Payload, Settle
from tests.mllp_peers import HeldIntake, Peer, listening, numbered

MESSAGES = int(os.environ.get("LABBROKER_ACKS", "1000"))
PEERS = 4
IN_FLIGHT = 20


class TardyIntake(HeldIntake):
    """Its commits take their time, overtake each other, and one in ten fails."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: dict[str, bool] = {}
        self._chance = random.Random(7)

    def offer(self, payload: Payload, settle: Settle) -> None:
        super().offer(payload, settle)
        number = len(self.offers)
        asyncio.get_running_loop().call_later(
            self._chance.choice((0, 0, 0.001, 0.004)), self._commit, number, payload.control_id
        )

    def _commit(self, number: int, control_id: str) -> None:
        fails = self._chance.random() < 0.1
        self.committed[control_id] = not fails
        if fails:
            self.fail(number)
        else:
            self.settle(number)


@pytest.fixture
async def intake() -> TardyIntake:
    return TardyIntake()


@pytest.fixture
async def server(intake: TardyIntake) -> AsyncIterator[MllpServer]:
    opened = await listening(intake)
    yield opened
    await opened.stop()


async def test_no_answer_is_early_and_each_says_what_became_of_its_message(
    intake: TardyIntake, server: MllpServer
) -> None:
    early = wrong = 0

    async def talk(first: int) -> None:
        nonlocal early, wrong
        peer = await Peer.connect(server.port)
        numbers = range(first, first + MESSAGES // PEERS)
        for start in range(numbers.start, numbers.stop, IN_FLIGHT):
            part = range(start, min(start + IN_FLIGHT, numbers.stop))
            peer.writer.write(b"".join(enclose(numbered(number)) for number in part))
            for number in part:
                code, control_id, _ = await peer.answer()
                assert control_id == f"M{number}"
                early += control_id not in intake.committed
                wrong += (code == "AA") is not intake.committed.get(control_id)
        await peer.leave()

    await asyncio.gather(*(talk(peer * MESSAGES) for peer in range(PEERS)))
    assert (early, wrong) == (0, 0)
    assert len(intake.committed) == MESSAGES // PEERS * PEERS
    assert not all(intake.committed.values())
