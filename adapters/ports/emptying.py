"""Empties an outbox, one after the other: what all senders but MLLP's own have in common."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.ports.outbox import Outbox, Outgoing
from mapping.errors import LabbrokerError


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Why one try failed, in a word of our code; ``final`` where no other try could help."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has it; ``answer`` is its word."""

    answer: str


Deliver = Callable[[Outgoing], Awaitable[Taken | NotTaken]]


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds: ``first``, then twice as long after each failure up to ``longest``, each shortened
    by a random part of up to ``spread``."""

    first: float = 1.0
    longest: float = 300.0
    spread: float = 0.2

    def after(self, failures: int, chance: float) -> float:
        """How long to wait after so many failures in a row (from 1)."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest) * (
            1 - self.spread * chance
        )


class OutboxLoop:
    """:meth:`run` works until cancelled; what was under way then is sent again at the next
    start."""

    def __init__(
        self,
        outbox: Outbox,
        deliver: Deliver,
        pauses: Pauses | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._pauses = pauses or Pauses()
        self._sleep = sleep
        self._chance = chance
        self._wake = asyncio.Event()
        self.failures = 0
        """How often in a row the first message was not delivered."""

    def wake(self) -> None:
        """A message was put into the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._wake.clear()
            try:
                outgoing = await self._outbox.first()
                if outgoing is None:
                    await self._wake.wait()
                    continue
                done = await self._one(outgoing)
            except LabbrokerError:
                # The store is not there: nothing was noted, so the same message comes again.
                done = False
            if done:
                self.failures = 0
            else:
                self.failures += 1
                await self._sleep(self._pauses.after(self.failures, self._chance()))

    async def _one(self, outgoing: Outgoing) -> bool:
        outcome = await self._deliver(outgoing)
        number = outgoing.outgoing_id
        if isinstance(outcome, Taken):
            await self._outbox.delivered(number, outcome.answer)
            return True
        if outcome.final:
            await self._outbox.refused(number, outcome.reason, outcome.reason)
            return True
        await self._outbox.failed(number, outcome.reason)
        return False
