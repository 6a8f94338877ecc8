"""Delivery of HL7 v2 messages to one receiver: in order, each until it is answered.

Messages wait in an :class:`adapters.ports.outbox.Outbox`. The next one goes out only when the one
before it was answered, because a correction must not overtake what it corrects. What the answers
mean (HL7 v2.5.1 table 0008): AA and CA, delivered; AE and CE, the content is wrong and sending it
again would not help, so it is set aside for a person and the next goes on; anything else, silence
included, the same message again after a pause that grows.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from adapters.hl7.client import MllpClient, NotAcknowledged, connect
from adapters.ports.outbox import Outbox, Outgoing
from mapping.errors import LabbrokerError

_CONTENT_ERRORS: Final = ("AE", "CE")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to. ``tls`` is a client context, with our certificate where the receiver wants one."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """Times are seconds. After a failure the pause is ``first_pause``, then ``growth`` times longer
    each time up to ``longest_pause``, each shortened by a random part of up to ``spread``, so that
    many senders do not all come back at once."""

    answer: float = 30.0
    first_pause: float = 1.0
    longest_pause: float = 300.0
    growth: float = 2.0
    spread: float = 0.2
    idle: float = 60.0
    """After so long without a message the connection is closed."""


def pause_after(failures: int, pace: Pace, chance: float) -> float:
    """Seconds to wait after so many failures in a row (from 1). ``chance`` is between 0 and 1."""
    longest = pace.longest_pause
    grown = pace.first_pause
    for _ in range(failures - 1):
        grown = min(grown * pace.growth, longest)
        if grown == longest:
            break
    return min(grown, longest) * (1 - pace.spread * chance)


class MllpSender:
    """Empties one outbox. :meth:`run` works until it is cancelled; what was under way then is
    sent again at the next start, under the same control id."""

    def __init__(
        self,
        outbox: Outbox,
        destination: Destination,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._destination = destination
        self._pace = pace or Pace()
        self._sleep = sleep
        self._chance = chance
        self._client: MllpClient | None = None
        self._wake = asyncio.Event()
        self.failures = 0
        """How often in a row the first message was not delivered."""

    def wake(self) -> None:
        """A message was put into the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    outgoing = await self._outbox.first()
                    if outgoing is None:
                        await self._idle()
                        continue
                    delivered = await self._deliver(outgoing)
                except LabbrokerError:
                    # The store is not there: nothing was noted, so the same message comes again.
                    delivered = False
                if delivered:
                    self.failures = 0
                else:
                    self.failures += 1
                    await self._sleep(pause_after(self.failures, self._pace, self._chance()))
        finally:
            await self._disconnect()

    async def _deliver(self, outgoing: Outgoing) -> bool:
        """Whether the message is done with, delivered or refused."""
        outbox, number = self._outbox, outgoing.outgoing_id
        try:
            client = await self._connected()
            answer = await client.send(outgoing.raw)
        except ValueError:
            await outbox.refused(number, "", "the message holds VT or FS")
            return True
        except NotAcknowledged as error:
            await self._disconnect()
            await outbox.failed(number, error.code)
            return False
        except (OSError, TimeoutError) as error:
            await self._disconnect()
            await outbox.failed(number, type(error).__name__)
            return False
        if answer.accepted:
            await outbox.delivered(number, answer.code)
            return True
        if answer.code in _CONTENT_ERRORS:
            await outbox.refused(number, answer.code, answer.text)
            return True
        await outbox.failed(number, answer.code)
        return False

    async def _connected(self) -> MllpClient:
        if self._client is not None and self._client.is_closed:
            await self._disconnect()
        if self._client is None:
            to = self._destination
            self._client = await connect(
                to.host, to.port, tls=to.tls, timeout_seconds=self._pace.answer
            )
        return self._client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(self._pace.idle):
                await self._wake.wait()
        except TimeoutError:
            await self._disconnect()
            await self._wake.wait()
