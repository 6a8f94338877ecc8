"""Peers that drip or say nothing starve nobody: good senders are answered beside them.

``LABBROKER_SLOW_PEERS`` is how many drip (500 is the promise, with two fifths as many that have
connected and say nothing); from 500 on the time of the answers is asserted too.
"""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from adapters.hl7.framing import enclose
from adapters.hl7.limits import MllpLimits
from tests.conftest import Tell
from tests.mllp_peers import HeldIntake, Peer, listening, numbered

SLOW = int(os.environ.get("LABBROKER_SLOW_PEERS", "100"))
PROMISED = 500
SENDERS = 50
MESSAGES_EACH = 10
P99_SECONDS = 0.25
MOST = 2 * SLOW + SENDERS


@pytest.fixture
def many_sockets() -> None:
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * SLOW + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


async def drip(peer: Peer, block: bytes) -> None:
    """A byte now and then, and never the last one."""
    for at in range(len(block) - 2):
        peer.writer.write(block[at : at + 1])
        await asyncio.sleep(0.2)


async def send(peer: Peer, first: int, took: list[float]) -> None:
    loop = asyncio.get_running_loop()
    for number in range(first, first + MESSAGES_EACH):
        began = loop.time()
        peer.writer.write(enclose(numbered(number)))
        assert await peer.answer() == ("AA", f"M{number}", "")
        took.append(loop.time() - began)


@pytest.mark.usefixtures("many_sockets")
async def test_good_senders_are_answered_beside_hundreds_that_drip_or_say_nothing(
    tell: Tell,
) -> None:
    intake = HeldIntake(prompt=True)
    server = await listening(intake, MllpLimits(connections=MOST, connections_per_peer=MOST))
    slow = [await Peer.connect(server.port) for _ in range(SLOW)]
    silent = [await Peer.connect(server.port) for _ in range(2 * SLOW // 5)]
    drips = [asyncio.create_task(drip(peer, enclose(numbered(0)))) for peer in slow]
    good = [await Peer.connect(server.port) for _ in range(SENDERS)]
    took: list[float] = []
    async with asyncio.timeout(120):
        await asyncio.gather(
            *(send(peer, 1 + number * 1000, took) for number, peer in enumerate(good))
        )
    assert not any(peer.reader.at_eof() for peer in (*slow, *silent)), "they were still there"
    assert len(took) == SENDERS * MESSAGES_EACH == len(intake.offers), "and of no slow one"
    p99 = sorted(took)[int(len(took) * 0.99)]
    tell(f"{SLOW} drip, {len(silent)} are silent: p99 of {len(took)} answers {1000 * p99:.0f} ms")
    if SLOW >= PROMISED:
        assert p99 < P99_SECONDS
    for task in drips:
        task.cancel()
    await asyncio.gather(*drips, return_exceptions=True)
    for peer in (*slow, *silent, *good):
        await peer.leave()
    await server.stop()
